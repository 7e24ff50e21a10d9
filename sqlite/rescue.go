package sqlite

import (
	"context"
	"fmt"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

// Rescue ends claims that nobody will end, as [vedette.Queue] says.
func (q queue) Rescue(ctx context.Context, leader vedette.Lease) (rescued []vedette.Job, err error) {
	err = q.s.update(ctx, func(t *tx) error {
		if err := t.leads(leader); err != nil {
			return err
		}
		rescued, err = t.rescueAll()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("rescue jobs: %w", err)
	}
	return rescued, nil
}

// leads reports ErrLeaseLost unless a leader may do its work.
func (t *tx) leads(leader vedette.Lease) error {
	_, holds, err := t.find("select 1 from leases where name = ? and owner = ? and token = ? and expires > ?",
		leader.Name, leader.Owner, leader.Token, t.now)
	if err == nil && !holds {
		err = fmt.Errorf("%s does not hold %s: %w", leader.Owner, leader.Name, vedette.ErrLeaseLost)
	}
	return err
}

func (t *tx) rescueAll() (rescued []vedette.Job, err error) {
	lost, err := t.rows("select "+rowColumns+" from owners cross join jobs on owner = owners.num and state = 3 where ends <= ?", t.now)
	if err != nil {
		return nil, err
	}
	late, err := t.rows("select "+rowColumns+" from cancels cross join jobs on jobs.id = job where at <= ?", t.now-vedette.CancelGrace.Microseconds())
	if err != nil {
		return nil, err
	}
	seen := map[vedette.ID]bool{}
	for i, r := range append(lost, late...) {
		if seen[r.id] {
			continue
		}
		seen[r.id] = true
		why := "did not end when it was told to"
		if i < len(lost) {
			o, err := t.owner(r.owner)
			if err != nil {
				return nil, err
			}
			why = fmt.Sprintf("owner %s was lost", o.name)
		}
		j, err := t.rescue(r, why)
		if err != nil {
			return nil, fmt.Errorf("job %s: %w", r.id, err)
		}
		rescued = append(rescued, j)
	}
	return rescued, nil
}

// rescue ends the claim of r: what it was to do is done again at once, in its old place, if it
// may be. The claim's own word counts no more, since the epoch is another.
func (t *tx) rescue(r *row, why string) (j vedette.Job, err error) {
	state, err := t.outcome(r, vedette.JobRetrying)
	if err != nil {
		return j, err
	}
	if state == vedette.JobRetrying {
		state = vedette.JobPending
	}
	last, err := tailOf(r.tail)
	if err != nil {
		return j, err
	}
	last.err = why
	o, err := t.owner(r.owner)
	if err == nil {
		err = t.attempt(r, &last, state, why)
	}
	if err != nil {
		return j, err
	}
	r.taken = true
	if err = t.vacated(r, state, &last); err != nil {
		return j, err
	}
	r.tail = last.append(nil)
	if j, err = r.job(); !j.State.Live() {
		j.Owner, j.FinishedAt = o.name, pack.TimeOf(t.now)
	}
	return j, err
}

// terminate ends jobs without asking their workers.
func (t *tx) terminate(ids []vedette.ID) error {
	for _, id := range ids {
		r, err := t.row(id)
		switch {
		case err != nil || r == nil:
		case r.state == started:
			err = t.terminateRow(r)
		case r.cancelAt == 0:
			err = t.stop(r, "terminated")
		}
		if err != nil {
			return fmt.Errorf("job %s: %w", id, err)
		}
	}
	return nil
}

func (t *tx) terminateRow(r *row) error {
	last, err := tailOf(r.tail)
	if err != nil {
		return err
	}
	if r.cancelAt == 0 {
		last.cancel, r.cancelAt = "terminated", t.now
		r.tail = last.append(nil)
	}
	_, err = t.rescue(r, "terminated")
	return err
}
