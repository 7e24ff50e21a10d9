package sqlite

import (
	"cmp"
	"context"
	"fmt"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

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
		if err := ends[i].Err(); err != nil {
			return err
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
		valid, err := t.finishOne(rows[e.Job], e)
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

// finishOne ends a claim of r, which may be nil, and reports whether it was one, or has said the
// same before.
func (t *tx) finishOne(r *row, e *vedette.End) (valid bool, err error) {
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
	return true, t.end(r, *e, &last)
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
// what is to end does not run again, and neither does what has no attempts left.
func (t *tx) end(r *row, e vedette.End, last *tail) error {
	state, err := t.outcome(r, e.State)
	if err != nil {
		return err
	}
	last.result, last.err = cmp.Or(e.Result, last.result), cmp.Or(e.Error, last.err)
	if state == vedette.JobPending {
		r.attempt--
		return t.vacated(r, state, last)
	}
	if err := t.attempt(r, last, state, e.Error); err != nil {
		return err
	}
	if state == vedette.JobRetrying {
		r.runAt = cmp.Or(pack.Micros(e.RunAt), t.now)
	}
	return t.vacated(r, state, last)
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

// vacated takes r from its owner, to run again when it says or to be history.
func (t *tx) vacated(r *row, state vedette.JobState, last *tail) error {
	o, err := t.owner(r.owner)
	if err == nil {
		err = t.vacate(r)
	}
	if err != nil {
		return err
	}
	if r.taken {
		r.epoch++
	} else {
		o.beat = t.now
	}
	if state != vedette.JobPending && state != vedette.JobRetrying {
		r.state = pack.JobStateNum(state)
		return t.bury(r, o, last)
	}
	r.state, r.owner, r.started, r.tail = retrying, nobody, 0, nil
	if !last.empty() {
		r.tail = last.append(nil)
	}
	if err := t.enter(r); err != nil {
		return err
	}
	return t.save(r)
}
