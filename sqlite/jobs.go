package sqlite

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

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
	if err := t.dig(); err != nil {
		return nil, err
	}
	plain := make([]*row, 0, len(jobs))
	var j vedette.Job // one for all: it is large
	for i := range jobs {
		j = jobs[i]
		r, err := t.fresh(&j)
		if err != nil {
			return nil, err
		}
		if r.flags == 0 {
			plain = append(plain, r)
			continue
		}
		if err := t.plant(plain); err != nil {
			return nil, err
		}
		plain = plain[:0]
		r.pushed = &j
		out, err := t.admit(r, &j)
		if err != nil {
			return nil, fmt.Errorf("job %s: %w", r.id, err)
		}
		if out {
			refused = append(refused, r.id)
		}
	}
	return refused, t.plant(plain)
}

// fresh returns the row of a job that is new; what it is to hold stands in its flags. It fills in
// what the job leaves open.
func (t *tx) fresh(j *vedette.Job) (*row, error) {
	j.Queue, j.MaxAttempts = cmp.Or(j.Queue, vedette.DefaultQueue), max(j.MaxAttempts, 1)
	j.CreatedAt = pack.TimeOf(t.now)
	num, err := t.queue(j.Queue)
	if err != nil {
		return nil, err
	}
	r := &row{
		id: j.ID, lane: num, state: scheduled, priority: int64(j.Priority), runAt: cmp.Or(pack.Micros(j.RunAt), t.now),
		owner: nobody, body: pack.AppendJob(make([]byte, 0, 64+len(j.Params)), j),
	}
	r.flags = flagIf(isUnique, j.Unique != "") | flagIf(isWaiting, j.UniqueWaiting != "") |
		flagIf(isLimited, j.LimitKey != "") | flagIf(isHeld, j.Limit > 0 || j.RateEvery > 0) |
		flagIf(isRun, j.Scraper != "") | flagIf(isFired, j.Fired)
	if r.flags == 0 {
		err = t.enter(r)
	}
	return r, err
}

func flagIf(flag int64, is bool) int64 {
	if is {
		return flag
	}
	return 0
}

// seeds is how many jobs one statement adds.
const seeds = 25

// Whatever a row breaks it is left out: so SQLite need not be able to undo half a statement.
// 16777216 is nobody, and 36 the size of a life.
const (
	onePlain  = "(?, ?, ?, ?, ?, ?)"
	intoJobs  = "insert or ignore into jobs select column1, column2, column3, column4, column5, 16777216, zeroblob(36), column6 from (values "
	butPast   = ") as new where not exists (select 1 from past where id = new.column1)"
	plainArgs = 6
)

// plant adds jobs that hold nothing, but for those that are known. It adds them in the order of
// their IDs, by which they are stored. History seldom has IDs as young as these.
func (t *tx) plant(plain []*row) error {
	if len(plain) == 0 {
		return nil
	}
	slices.SortStableFunc(plain, func(a, b *row) int { return bytes.Compare(a.id[:], b.id[:]) })
	_, known, err := t.find("select 1 from past where id >= ? limit 1", plain[0].id[:])
	if err != nil {
		return fmt.Errorf("look for known jobs: %w", err)
	}
	but := ")"
	if known {
		but = butPast
	}
	args := make([]any, 0, len(plain)*plainArgs)
	for _, r := range plain {
		args = append(args, r.id[:], r.lane, r.state, r.priority, r.runAt, r.body)
	}
	for len(args) > 0 {
		n := 1
		if len(args) >= seeds*plainArgs {
			n = seeds
		}
		text := intoJobs + onePlain + strings.Repeat(", "+onePlain, n-1) + but
		added, err := t.exec(text, args[:n*plainArgs]...)
		if err != nil {
			return fmt.Errorf("add jobs: %w", err)
		}
		t.add("jobs", added)
		args = args[n*plainArgs:]
	}
	return nil
}

// admit adds one job that holds something, unless it is known, and reports whether others keep
// it out.
func (t *tx) admit(r *row, j *vedette.Job) (out bool, err error) {
	known, err := t.known(j)
	if err != nil || known {
		return false, err
	}
	if out, err = t.keptOut(r, j); out || err != nil {
		return out, err
	}
	if err = t.hold(r, j); err == nil {
		err = t.enter(r)
	}
	if err == nil {
		t.add("jobs", 1)
		_, err = t.exec("insert into jobs values (?, ?, ?, ?, ?, ?, ?, ?)",
			r.id[:], r.lane, r.state, r.priority, r.runAt, r.owner, r.stored(), r.body)
	}
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

// keptOut reports whether others have a key of r.
func (t *tx) keptOut(r *row, j *vedette.Job) (out bool, err error) {
	for flag, key := range map[int64]string{isUnique: j.Unique, isWaiting: j.UniqueWaiting} {
		if err == nil && !out && r.flags&flag != 0 {
			_, out, err = t.find("select 1 from keys where kind = ? and key = ?", flag, key)
		}
	}
	return out, err
}

// hold writes what r holds.
func (t *tx) hold(r *row, j *vedette.Job) (err error) {
	take := func(flag int64, text string, args ...any) {
		if err == nil && r.flags&flag != 0 {
			_, err = t.exec(text, args...)
		}
	}
	take(isUnique, "insert into keys values (?, ?, ?)", int64(isUnique), j.Unique, j.ID[:])
	take(isWaiting, "insert into keys values (?, ?, ?)", int64(isWaiting), j.UniqueWaiting, j.ID[:])
	take(isFired, "insert into fires values (?, ?)", string(j.Scraper), pack.Micros(j.FireAt))
	take(isRun, "insert into live values (?, ?)", string(j.Scraper), j.ID[:])
	take(isRun, `insert into runs values (?, ?, ?, 1, 0) on conflict do update
		set live = live + 1, keep = case when excluded.last > last then excluded.keep else keep end, last = max(last, excluded.last)`,
		string(j.Scraper), j.ID[:], int64(j.Keep))
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
	if r.state != started {
		r.state = pack.JobStateNum(vedette.JobCancelled)
		return t.bury(r, owner{}, &last)
	}
	if _, err := t.exec("insert into cancels values (?, ?)", r.id[:], r.cancelAt); err != nil {
		return err
	}
	r.tail = last.append(nil)
	return t.save(r)
}
