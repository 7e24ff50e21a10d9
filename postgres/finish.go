package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

// A claim is fenced by (id, epoch) alone: a job that nobody owns has a negative epoch. A predicate
// on the state would let the planner look through the index of all that is started instead.
const (
	finishJobs = `with x as (
		delete from jobs as j using unnest($1::uuid[], $2::int8[], $3::int2[], $4::text[], $5::text[]) as u (id, epoch, state, result, error)
		where j.id = u.id and j.epoch = u.epoch
		returning ` + jobColumns + `, j.lane, j.epoch, u.state, coalesce(u.result, j.result) as result, coalesce(u.error, j.error) as error,
			case when j.attempts is not null then j.attempts || ` + attemptThat + `'state', ` + stateName + `, 'error', coalesce(u.error, '')) end as attempts,
			j.said
	), h as (` + buryAsSaid + `)
	select count(*), null, limits_leave(array_agg(lane) filter (where lane is not null)) from x`

	// jobColumns are what a job takes along into history as it is, of jobs as j.
	jobColumns = "j.id, j.run_at, j.created_at, j.started_at, j.attempt, j.keep, j.queue, j.handler, j.owner, j.scraper, j.fire_at, j.cancel, j.body"

	// bury makes x history. An owner who said so was heard of at the end, any other when it has last beaten.
	bury       = buryInto + "greatest(x.started_at, (select beat_at from owners where name = x.owner and x.started_at is not null))" + buryRest
	buryAsSaid = buryInto + "greatest(now(), x.started_at)" + buryRest
	buryInto   = `insert into job_history (id, finished_at, run_at, created_at, started_at, beat_at, epoch, attempt, keep, state, queue, handler,
			owner, scraper, fire_at, cancel, result, error, body, attempts, said)
		select x.id, greatest(now(), x.started_at), x.run_at, x.created_at, x.started_at, `
	buryRest = `, x.epoch, x.attempt, x.keep, x.state, x.queue, x.handler, x.owner, x.scraper, x.fire_at, x.cancel, x.result, x.error, x.body,
			x.attempts, x.said
		from x`

	// attemptThat begins what is kept of an attempt of jobs as j; state and error are to follow.
	attemptThat = `jsonb_build_object('epoch', j.epoch, 'owner', j.owner, 'started_at', j.started_at, 'finished_at', greatest(now(), j.started_at), `

	// stateName is the name of u.state.
	stateName = "(array['scheduled', 'pending', 'started', 'retrying', 'succeeded', 'failed', 'dead', 'cancelled'])[u.state]"

	lockClaims = `select from jobs as j join unnest($1::uuid[], $2::int8[]) as u (id, epoch) on j.id = u.id and j.epoch = u.epoch
		order by j.id for update of j`

	// What is to end does not run again, and neither does what has no attempts left.
	buryAgain = `with x as (
		delete from jobs as j using (
			select u.id, u.epoch, u.state as asked, u.error, u.result, case when k.cancel is not null then 8 else 7 end as state
			from ` + ends + ` join jobs as k on k.id = u.id and k.epoch = u.epoch
			where k.cancel is not null or u.state = 4 and k.attempt >= k.max_attempts) as u
		where j.id = u.id and j.epoch = u.epoch
		returning ` + jobColumns + `, j.lane, j.epoch, u.state, coalesce(u.result, j.result) as result, coalesce(u.error, j.error) as error,
			coalesce(j.attempts, '[]') || ` + attemptThat + `'state', ` + stateName + `, 'error', coalesce(u.error, '')) as attempts,
			` + saidMore + ` as said
	), h as (` + buryAsSaid + `)
	select array_agg(id), array_agg(epoch), limits_leave(array_agg(lane) filter (where lane is not null)) from x`

	runAgain = `with x as (
		update jobs as j set
			run_at = case when u.asked = 2 then j.run_at else coalesce(u.run_at, now()) end,
			state = case when (case when u.asked = 2 then j.run_at else coalesce(u.run_at, now()) end) > now() then 4
				when j.lane is null then 2 else 0 end,
			attempt = j.attempt - case when u.asked = 2 then 1 else 0 end,
			epoch = -j.epoch, owner = null, holder = null, started_at = null, beat = null,
			result = coalesce(u.result, j.result), error = coalesce(u.error, j.error),
			attempts = case when u.asked = 4 then coalesce(j.attempts, '[]') || ` + attemptThat + `'state', 'retrying', 'error', coalesce(u.error, ''))
				when u.error is not null then coalesce(j.attempts, '[]') else j.attempts end,
			said = ` + saidMore + `
		from (select *, state as asked from ` + ends + `) as u
		where j.id = u.id and j.epoch = u.epoch
		returning j.id, -j.epoch as epoch, j.queue, j.priority, j.run_at, j.lane
	)
	select (select array_agg(id) from x), (select array_agg(epoch) from x),
		limits_leave((select array_agg(lane) from x where lane is not null)), ` + ringColumns + `
	from (select queue, count(*) as n, min(priority) as priority, min(run_at) as run_at from x group by queue) as g`

	ends = "unnest($1::uuid[], $2::int8[], $3::int2[], $4::text[], $5::text[], $6::timestamptz[]) as u (id, epoch, state, result, error, run_at)"

	// saidMore keeps the last of what was said, which may be said again.
	saidMore = "(coalesce(j.said, '{}') || (16 * j.epoch + u.asked))[greatest(1, cardinality(j.said) - 30):]"

	// whatWasSaid tells of claims that are no longer so how they were said to end.
	whatWasSaid = `select u.id, u.epoch, coalesce(
			(select s % 16 from unnest(coalesce(j.said, h.said)) as s where s / 16 = u.epoch limit 1),
			case when h.epoch = u.epoch and h.owner is not null then h.state end, 0)::int8
		from unnest($1::uuid[], $2::int8[]) as u (id, epoch)
			left join jobs as j on j.id = u.id left join job_history as h on h.id = u.id`
)

// An ending is some ends on their way.
type ending struct {
	ends  []*vedette.End                   // each claim once, in the order of IDs
	last  int                              // how many are not to run again, which the first step ends
	found map[vedette.Ref]vedette.JobState // what was said of claims that ended now or before
	rings []ring
}

// Finish ends claims, as [vedette.Queue] says.
func (q queue) Finish(ctx context.Context, ends ...vedette.End) (stale []vedette.Ref, err error) {
	if err := cmp.Or(ctx.Err(), checkEnds(ends)); err != nil || len(ends) == 0 {
		return nil, wrap("finish jobs", err)
	}
	if len(ends) <= fewEnds {
		var a answer[[]vedette.Ref]
		a, err = q.s.shared.ends.Call(ctx, ends)
		stale, err = a.got, cmp.Or(err, a.err)
	} else {
		var found map[vedette.Ref]vedette.JobState
		found, err = q.finish(ctx, ends)
		stale = staleOf(ends, found)
	}
	if err != nil {
		return nil, fmt.Errorf("finish jobs: %w", refused(err))
	}
	return stale, nil
}

// finish returns what was said of claims that ended now or before.
func (q queue) finish(ctx context.Context, ends []vedette.End) (map[vedette.Ref]vedette.JobState, error) {
	e := &ending{}
	steps := e.steps(ends)
	err := q.inDay(ctx, func(c *pgx.Conn) error {
		e.found, e.rings = make(map[vedette.Ref]vedette.JobState, len(ends)), nil
		return q.s.hurry(ctx, c, patience, func() error { return e.run(ctx, c, steps) })
	})
	if err == nil {
		q.s.herald.ring(e.rings...)
		q.s.ledger.end(e.refs()...)
	}
	return e.found, err
}

func (e *ending) refs() []vedette.Ref {
	all := make([]vedette.Ref, len(e.ends))
	for i, one := range e.ends {
		all[i] = one.Ref
	}
	return all
}

// staleOf returns the claims that did not end as ends say.
func staleOf(ends []vedette.End, found map[vedette.Ref]vedette.JobState) (stale []vedette.Ref) {
	for i := range ends {
		if one := &ends[i]; found[one.Ref] != one.State {
			stale = append(stale, one.Ref)
		}
	}
	return stale
}

func checkEnds(ends []vedette.End) error {
	for i := range ends {
		if err := ends[i].Err(); err != nil {
			return err
		}
	}
	return nil
}

// inDay runs f, which moves jobs to history, and makes the table of the day if it is not there.
func (q queue) inDay(ctx context.Context, f func(*pgx.Conn) error) error {
	err := q.s.update(ctx, f)
	if codeOf(err) != checkViolation {
		return err
	}
	err = q.s.update(ctx, func(c *pgx.Conn) error {
		var now time.Time
		if err := c.QueryRow(ctx, "select clock_timestamp()").Scan(&now); err != nil {
			return fmt.Errorf("read the clock: %w", err)
		}
		return jobHistory.addDaysAhead(ctx, c, now)
	})
	if err != nil {
		return err
	}
	return q.s.update(ctx, f)
}

// again reports whether e asks for another run.
func again(e *vedette.End) bool {
	return e.State == vedette.JobPending || e.State == vedette.JobRetrying
}

// steps returns what ends the claims.
func (e *ending) steps(ends []vedette.End) []step {
	order := make([]*vedette.End, len(ends))
	for i := range ends {
		order[i] = &ends[i]
	}
	slices.SortStableFunc(order, func(a, b *vedette.End) int {
		return cmp.Or(slices.Compare(a.Job[:], b.Job[:]), cmp.Compare(a.Epoch, b.Epoch))
	})
	order = slices.CompactFunc(order, func(a, b *vedette.End) bool { return a.Ref == b.Ref }) // the first word counts
	oids := []uint32{oidUUID, oidInt8, oidInt2, oidText, oidText, oidTime}
	last, more, claims := rows{oids: oids[:5], buf: make([]byte, 0, 64*len(order))}, rows{oids: oids}, rows{oids: oids[:2]}
	for _, one := range order {
		if again(one) {
			claims.add(func(b row) row { return claimRow(b, one.Ref) })
			more.add(func(b row) row { return endRow(b, one).when(one.RunAt) })
		} else {
			last.add(func(b row) row { return endRow(b, one) })
		}
	}
	e.ends, e.last = order, last.n
	var steps []step
	if last.n > 0 {
		steps = append(steps, over("move jobs to history", finishJobs, &last).as("finish"))
	}
	if more.n > 0 {
		steps = append(steps, over("lock jobs", lockClaims, &claims), over("move jobs to history", buryAgain, &more),
			over("give back jobs", runAgain, &more))
	}
	return steps
}

// claimRow appends what names a claim. An epoch below 1 is that of none.
func claimRow(b row, ref vedette.Ref) row {
	if b = b.uuid(ref.Job); ref.Epoch < 1 {
		return b.null()
	}
	return b.int8(ref.Epoch)
}

func endRow(b row, e *vedette.End) row {
	b = claimRow(b, e.Ref).int2(int16(pack.JobStateNum(e.State))) //nolint:gosec // a few
	return b.some(clean(e.Result)).some(clean(e.Error))
}

func (e *ending) run(ctx context.Context, c *pgx.Conn, steps []step) error {
	got, err := pipe(ctx, c, steps...)
	if err != nil {
		return err
	}
	ended := map[vedette.Ref]bool{} // of those to run again
	for _, r := range got {
		e.read(r, ended)
	}
	all := e.last > 0 && cells(got[0].Rows[0]).int(0) == int64(e.last)
	missed := rows{oids: []uint32{oidUUID, oidInt8}}
	for _, one := range e.ends {
		if ended[one.Ref] || all && !again(one) {
			e.found[one.Ref] = one.State
		} else {
			missed.add(func(b row) row { return claimRow(b, one.Ref) })
		}
	}
	if missed.n == 0 {
		return nil
	}
	return e.look(ctx, c, &missed)
}

// read notes the claims that a step has ended, and what to ring for.
func (e *ending) read(r *pgconn.Result, ended map[vedette.Ref]bool) {
	if len(r.Rows) != 1 || len(r.Rows[0]) == 0 {
		return // a step that locks
	}
	c := cells(r.Rows[0])
	ids, epochs := c.list(0), c.list(1)
	for i := range ids {
		ended[vedette.Ref{Job: ids.id(i), Epoch: epochs.int(i)}] = true
	}
	e.rings = append(e.rings, promoted(c.texts(2))...)
	if len(c) > 3 {
		e.rings = append(e.rings, ringsOf(c[3:])...)
	}
}

// look finds out what was said before of claims that are no longer so.
func (e *ending) look(ctx context.Context, c *pgx.Conn, missed *rows) error {
	got, err := pipe(ctx, c, over("look for what was said", whatWasSaid, missed))
	if err != nil {
		return err
	}
	for _, one := range got[0].Rows {
		one := cells(one)
		if state := pack.JobStateOf(one.int(2)); state != "" {
			e.found[vedette.Ref{Job: one.id(0), Epoch: one.int(1)}] = state
		}
	}
	return nil
}
