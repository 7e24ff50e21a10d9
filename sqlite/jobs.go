package sqlite

import (
	"cmp"
	"context"
	"fmt"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

var _ vedette.Jobs = queue{}

// Jobs returns the jobs.
func (s *Store) Jobs() vedette.Jobs { return queue{s} }

// Push adds jobs, as [vedette.Jobs] says.
func (q queue) Push(ctx context.Context, jobs ...vedette.Job) (refused []vedette.ID, err error) {
	err = checkJobs(jobs)
	if err == nil {
		err = q.s.update(ctx, func(t *tx) (err error) {
			refused, err = t.push(jobs)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("push jobs: %w", err)
	}
	return refused, nil
}

func checkJobs(jobs []vedette.Job) error {
	for i := range jobs {
		if err := jobs[i].Err(); err != nil {
			return err
		}
	}
	return nil
}

// push adds jobs that make sense, and returns those that others keep out.
func (t *tx) push(jobs []vedette.Job) (refused []vedette.ID, err error) {
	var buf []byte
	for i := range jobs {
		j := jobs[i]
		j.Queue, j.MaxAttempts = cmp.Or(j.Queue, vedette.DefaultQueue), max(j.MaxAttempts, 1)
		j.CreatedAt = pack.TimeOf(t.now)
		buf = pack.AppendJob(buf[:0], &j)
		out, err := t.admit(&j, buf)
		if err != nil {
			return nil, fmt.Errorf("job %s: %w", j.ID, err)
		}
		if out {
			refused = append(refused, j.ID)
		}
	}
	return refused, nil
}

// admit adds one job, unless it is no news, and reports whether others keep it out.
func (t *tx) admit(j *vedette.Job, body []byte) (out bool, err error) {
	known, err := t.known(j)
	if err != nil || known {
		return false, err
	}
	r := row{
		id: j.ID, state: scheduled, priority: int64(j.Priority), runAt: cmp.Or(pack.Micros(j.RunAt), t.now),
		scraper: string(j.Scraper), body: body, pushed: j,
	}
	if r.queue, err = t.queue(j.Queue); err != nil {
		return false, err
	}
	if out, err = t.hold(&r, j); out || err != nil {
		return out, err
	}
	if err := t.enter(&r); err != nil {
		return false, err
	}
	_, err = t.exec("insert into jobs values (?, ?, ?, ?, ?, ?, 0, 0, ?, '', 0, 0, 0, ?, null, ?)",
		r.id[:], r.queue, r.lane, r.state, r.priority, r.runAt, r.flags, r.scraper, r.body)
	return false, err
}

// known reports whether the ID of j is known, or what it was fired for.
func (t *tx) known(j *vedette.Job) (bool, error) {
	_, known, err := t.find("select 1 from jobs where id = ?1 union all select 1 from past where id = ?1", j.ID[:])
	if err != nil || known || !j.Fired {
		return known, err
	}
	_, known, err = t.find("select 1 from fires where scraper = ? and at = ?", string(j.Scraper), pack.Micros(j.FireAt))
	return known, err
}

// hold takes for j what it holds while it lives, and reports whether others have it.
func (t *tx) hold(r *row, j *vedette.Job) (out bool, err error) {
	if j.LimitKey != "" {
		r.flags |= isLimited
	}
	if j.Limit > 0 || j.RateEvery > 0 {
		r.flags |= isHeld
	}
	for kind, key := range map[int64]string{isUnique: j.Unique, isWaiting: j.UniqueWaiting} {
		if key == "" {
			continue
		}
		_, taken, err := t.find("select 1 from keys where kind = ? and key = ?", kind, key)
		if err != nil || taken {
			return taken, err
		}
		r.flags |= kind
	}
	return false, t.note(r, j)
}

// note writes what r holds, and what it is found by.
func (t *tx) note(r *row, j *vedette.Job) (err error) {
	insert := func(text string, args ...any) {
		if err == nil {
			_, err = t.exec(text, args...)
		}
	}
	if r.flags&isUnique != 0 {
		insert("insert into keys values (?, ?, ?)", int64(isUnique), j.Unique, j.ID[:])
	}
	if r.flags&isWaiting != 0 {
		insert("insert into keys values (?, ?, ?)", int64(isWaiting), j.UniqueWaiting, j.ID[:])
	}
	if j.Fired {
		insert("insert into fires values (?, ?)", r.scraper, pack.Micros(j.FireAt))
	}
	if r.scraper != "" {
		insert(`insert into runs values (?, ?, ?, 1, 0) on conflict do update
			set live = live + 1, keep = case when excluded.last > last then excluded.keep else keep end, last = max(last, excluded.last)`,
			r.scraper, j.ID[:], int64(j.Keep))
	}
	return err
}

// Cancel ends jobs, as [vedette.Jobs] says.
func (q queue) Cancel(ctx context.Context, reason string, ids ...vedette.ID) error {
	err := q.s.update(ctx, func(t *tx) error { return t.cancel(reason, ids) })
	if err != nil {
		return fmt.Errorf("cancel jobs: %w", err)
	}
	return nil
}

func (t *tx) cancel(reason string, ids []vedette.ID) error {
	for _, id := range ids {
		r, err := t.row(id)
		if err == nil && r != nil && r.cancelAt == 0 {
			err = t.stop(r, cmp.Or(reason, "cancelled"))
		}
		if err != nil {
			return fmt.Errorf("job %s: %w", id, err)
		}
	}
	return nil
}

// stop ends r at once if nobody runs it, and else has its owner told.
func (t *tx) stop(r *row, reason string) error {
	last, err := tailOf(r.tail)
	if err != nil {
		return err
	}
	last.cancel = reason
	r.cancelAt = t.now
	if r.state == started {
		r.tail = last.append(nil)
		return t.save(r)
	}
	if err := t.leave(r); err != nil {
		return err
	}
	r.state = pack.JobStateNum(vedette.JobCancelled)
	return t.bury(r, 0, &last)
}

// leave takes r out of the table of live jobs.
func (t *tx) leave(r *row) error {
	if r.lane != 0 {
		t.unsettle(r.lane)
	}
	_, err := t.exec("delete from jobs where id = ?", r.id[:])
	return err
}
