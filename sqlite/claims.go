package sqlite

import (
	"cmp"
	"context"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

// An owner is a worker that has beaten. One whose time ran out stays, so that it is not revived.
type owner struct {
	num   int64
	name  string
	beat  int64 // when it was last
	beats int64
}

func scanOwner(row []driver.Value) owner {
	return owner{row[0].(int64), row[1].(string), row[2].(int64), row[3].(int64)}
}

// lives returns an owner who lives.
func (t *tx) lives(name string) (o owner, err error) {
	err = t.query(func(row []driver.Value) error {
		o = scanOwner(row)
		return nil
	}, "select num, name, beat, beats from owners where name = ? and ends > ?", name, t.now)
	if err == nil && o.num == 0 {
		err = fmt.Errorf("owner %q does not live: %w", name, vedette.ErrLeaseLost)
	}
	return o, err
}

// owner returns the one of a number.
func (c *conn) owner(num int64) (o owner, err error) {
	err = c.query(func(row []driver.Value) error {
		o = scanOwner(row)
		return nil
	}, "select num, name, beat, beats from owners where num = ?", num)
	return o, err
}

// owner returns the one of a number.
func (t *tx) owner(num int64) (o owner, err error) {
	o, known := t.owners[num]
	if known {
		return o, nil
	}
	if t.owners == nil {
		t.owners = map[int64]owner{}
	}
	o, err = t.conn.owner(num)
	t.owners[num] = o
	return o, err
}

// Beat keeps owner alive, as [vedette.Queue] says.
func (q queue) Beat(ctx context.Context, owner string, ttl time.Duration, held ...vedette.Ref) (orders []vedette.Order, err error) {
	err = q.s.update(ctx, func(t *tx) (err error) {
		orders, err = t.beat(owner, ttl, held)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("beat: %w", err)
	}
	return orders, nil
}

func (t *tx) beat(name string, ttl time.Duration, held []vedette.Ref) ([]vedette.Order, error) {
	_, err := t.exec(`insert into owners select max(coalesce(max(num), 0), 16777216) + 1, ?1, ?2 + 1, 0, 0 from owners
		where true on conflict do nothing`, name, t.now)
	if err != nil {
		return nil, err
	}
	o, err := t.lives(name)
	if err != nil {
		return nil, err
	}
	o.beats++
	_, err = t.exec("update owners set ends = ?, beat = ?, beats = ? where num = ?", t.now+ttl.Microseconds(), t.now, o.beats, o.num)
	if err != nil {
		return nil, err
	}
	rows, err := t.rows("select "+rowColumns+" from jobs where owner = ? and state = 3", o.num)
	if err == nil {
		rows, err = t.handBack(rows, held, o.beats)
	}
	if err != nil {
		return nil, err
	}
	return ordersOf(rows, held)
}

// handBack gives back those claims of which their owner has not said in two beats that it holds
// them, since the answer to its Claim never came, and returns the others.
func (t *tx) handBack(rows []*row, held []vedette.Ref, beats int64) (left []*row, err error) {
	known := make(map[vedette.Ref]bool, len(held))
	for _, ref := range held {
		known[ref] = true
	}
	for _, r := range rows {
		if known[vedette.Ref{Job: r.id, Epoch: r.epoch}] || beats-r.beat < 2 {
			left = append(left, r)
			continue
		}
		last, err := tailOf(r.tail)
		if err == nil {
			err = t.end(r, vedette.End{State: vedette.JobPending}, &last, 1)
		}
		if err != nil {
			return nil, fmt.Errorf("give back job %s: %w", r.id, err)
		}
	}
	return left, nil
}

func ordersOf(rows []*row, held []vedette.Ref) (orders []vedette.Order, err error) {
	byID := make(map[vedette.ID]*row, len(rows))
	for _, r := range rows {
		byID[r.id] = r
	}
	for _, ref := range held {
		r := byID[ref.Job]
		switch {
		case r == nil || r.epoch != ref.Epoch:
			orders = append(orders, vedette.Order{Ref: ref, Lost: true})
		case r.cancelAt != 0:
			last, err := tailOf(r.tail)
			if err != nil {
				return nil, fmt.Errorf("stored job %s: %w", r.id, err)
			}
			orders = append(orders, vedette.Order{Ref: ref, Reason: last.cancel})
		}
	}
	return orders, nil
}

// Finish ends claims, as [vedette.Queue] says.
func (q queue) Finish(ctx context.Context, ends ...vedette.End) (stale []vedette.Ref, err error) {
	err = checkEnds(ends)
	if err == nil {
		err = q.s.update(ctx, func(t *tx) (err error) {
			stale, err = t.finish(ends)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("finish jobs: %w", err)
	}
	return stale, nil
}

func checkEnds(ends []vedette.End) error {
	for i := range ends {
		switch ends[i].State {
		case vedette.JobPending, vedette.JobRetrying, vedette.JobSucceeded, vedette.JobFailed, vedette.JobDead, vedette.JobCancelled:
		default:
			return fmt.Errorf("job %s: no claim ends as %q: %w", ends[i].Job, ends[i].State, vedette.ErrRefused)
		}
	}
	return nil
}

// finish ends claims by ID and epoch alone.
func (t *tx) finish(ends []vedette.End) (stale []vedette.Ref, err error) {
	ids := make([]vedette.ID, len(ends))
	for i := range ends {
		ids[i] = ends[i].Job
	}
	rows, err := t.rowsOf(ids)
	if err != nil {
		return nil, err
	}
	for i := range ends {
		e := &ends[i]
		valid, err := t.finish1(rows[e.Job], e)
		if err != nil {
			return nil, fmt.Errorf("job %s: %w", e.Job, err)
		}
		if !valid {
			stale = append(stale, e.Ref)
		}
		if r := rows[e.Job]; r != nil && r.state > retrying {
			delete(rows, e.Job)
		}
	}
	return stale, nil
}

// finish1 ends a claim of r, which may be nil, and reports whether it was one, or has said the
// same before.
func (t *tx) finish1(r *row, e *vedette.End) (valid bool, err error) {
	if r == nil {
		return t.heard(e)
	}
	last, err := tailOf(r.tail)
	if err != nil {
		return false, err
	}
	if r.state != started || r.epoch != e.Epoch {
		return last.heard(e.Epoch, e.State), nil
	}
	last.say(e.Epoch, e.State)
	return true, t.end(r, *e, &last, 0)
}

// heard reports whether a claim of a job that is history said that it ended so.
func (t *tx) heard(e *vedette.End) (bool, error) {
	p, err := t.past(e.Job)
	if err != nil || p == nil {
		return false, err
	}
	last, err := p.read(&vedette.Job{})
	return last.heard(e.Epoch, e.State), err
}

// end takes the started r from its owner, and makes of it what e asks for as far as that may be:
// what is to end does not run again, and neither does what has no attempts left. Its epoch
// grows by bump.
func (t *tx) end(r *row, e vedette.End, last *tail, bump int64) error {
	state, err := t.outcome(r, e.State)
	if err != nil {
		return err
	}
	last.result, last.err = cmp.Or(e.Result, last.result), cmp.Or(e.Error, last.err)
	if state == vedette.JobPending {
		r.attempt--
		return t.vacated(r, state, r.runAt, last, bump)
	}
	if err := t.attempt(r, last, state, e.Error); err != nil {
		return err
	}
	return t.vacated(r, state, cmp.Or(pack.Micros(e.RunAt), t.now), last, bump)
}

// outcome returns what becomes of r when its claim ends as state.
func (t *tx) outcome(r *row, state vedette.JobState) (vedette.JobState, error) {
	switch {
	case state != vedette.JobPending && state != vedette.JobRetrying:
		return state, nil
	case r.cancelAt != 0:
		return vedette.JobCancelled, nil
	case state == vedette.JobPending:
		return state, nil
	}
	j, err := r.said()
	if err == nil && r.attempt >= int64(j.MaxAttempts) {
		state = vedette.JobDead
	}
	return state, err
}

// attempt notes how the attempt of r ended.
func (t *tx) attempt(r *row, last *tail, state vedette.JobState, why string) error {
	o, err := t.owner(r.owner)
	last.attempts = pack.AppendAttempts(last.attempts, vedette.Attempt{
		Epoch: r.epoch, Owner: o.name, StartedAt: pack.TimeOf(r.started), FinishedAt: pack.TimeOf(t.now), State: state, Error: why,
	})
	return err
}

// vacated takes r from its owner, to run again at a time or to be history.
func (t *tx) vacated(r *row, state vedette.JobState, runAt int64, last *tail, bump int64) error {
	o, err := t.owner(r.owner)
	if err == nil {
		err = t.vacate(r)
	}
	if err != nil {
		return err
	}
	r.epoch += bump
	if state != vedette.JobPending && state != vedette.JobRetrying {
		r.state = pack.JobStateNum(state)
		return t.bury(r, o, last)
	}
	r.state, r.runAt, r.owner, r.started, r.tail = retrying, runAt, nobody, 0, nil
	if !last.empty() {
		r.tail = last.append(nil)
	}
	if err := t.enter(r); err != nil {
		return err
	}
	return t.save(r)
}

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
	if err = t.vacated(r, state, r.runAt, &last, 1); err != nil {
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
			err = t.terminate1(r)
		case r.cancelAt == 0:
			err = t.stop(r, "terminated")
		}
		if err != nil {
			return fmt.Errorf("job %s: %w", id, err)
		}
	}
	return nil
}

func (t *tx) terminate1(r *row) error {
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
