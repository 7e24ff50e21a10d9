package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/vedettehq/vedette"
)

const (
	// holdLease says whether a leader leads, and keeps its lease from others until the end of the
	// transaction.
	holdLease = "select from leases where name = $1 and owner = $2 and token = $3 and expires_at > clock_timestamp() for share"

	// lockLost locks the owners whose time ran out and who hold claims. One who claims just now
	// is waited for, and one who beats just now is not lost.
	lockLost = `select name from owners as o
		where expires_at <= clock_timestamp() and (exists (select from jobs where holder = o.name)
			or exists (select from claims where owner = o.name))
		order by name for update`

	lockLostJobs = `select id from jobs as j
		where holder = any ($1::text[]) or state = 3 and cancel_at <= now() - $2::interval
		order by id limit 2000 for update`
	rescueMost = 2000

	// What was to be done by the claims of $1 is done again at once, in its old place, if it may
	// be. The claim's own word counts no more, since the epoch is another. Why is $2; "" is that
	// the owner was lost, or did not end in time.
	whyLost = `case when $2 <> '' then $2 when j.cancel_at <= now() - $3::interval and o.expires_at > clock_timestamp()
		then 'did not end when it was told to' else 'owner ' || j.owner || ' was lost' end`

	buryLost = `with x as (
		delete from jobs as j using (
			select j.id, case when j.cancel is not null then 8 else 7 end as state, ` + whyLost + ` as why
			from jobs as j left join owners as o on o.name = j.owner
			where j.id = any ($1::uuid[]) and j.epoch > 0 and (j.cancel is not null or j.attempt >= j.max_attempts)) as u
		where j.id = u.id
		returning ` + jobColumns + `, j.lane, j.epoch + 1 as epoch, u.state, j.result, u.why as error,
			coalesce(j.attempts, '[]') || ` + attemptThat + `'state', ` + stateName + `, 'error', u.why) as attempts, j.said
	), h as (` + bury + `)
	select array_agg(id), array_agg(epoch), limits_leave(array_agg(lane) filter (where lane is not null)) from x`

	rerunLost = `with x as (
		update jobs as j set epoch = -1 - j.epoch, owner = null, holder = null, started_at = null, beat = null, error = u.why,
			state = case when j.run_at > now() then 4 when j.lane is null then 2 else 0 end,
			attempts = coalesce(j.attempts, '[]') || ` + attemptThat + `'state', 'pending', 'error', u.why)
		from (
			select j.id, ` + whyLost + ` as why from jobs as j left join owners as o on o.name = j.owner
			where j.id = any ($1::uuid[]) and j.epoch > 0) as u
		where j.id = u.id
		returning j.id, -j.epoch as epoch, j.queue, j.priority, j.run_at, j.lane
	)
	select (select array_agg(id) from x), (select array_agg(epoch) from x),
		limits_leave((select array_agg(lane) from x where lane is not null)), ` + ringColumns + `
	from (select queue, count(*) as n, min(priority) as priority, min(run_at) as run_at from x group by queue) as g`

	// recount makes good what nothing should have made wrong. It locks the limits first.
	lockWrong = `with counts as (
		select limit_key as key, count(*) as n from jobs as j join lanes as l on l.id = j.lane
		where j.state = 3 and limit_key <> '' group by limit_key)
		select array_agg(l.id) from limits as k join lanes as l on l.limit_key = k.key left join counts as c on c.key = k.key
		where k.running <> coalesce(c.n, 0)`
	recount = `with near as materialized (select limits_lock($1::int8[]) as lanes)
		select near.lanes from near`
	putRight = `update limits as k set running = coalesce(c.n, 0)
		from (select l.limit_key as key, count(j.id) as n from lanes as l left join jobs as j on j.lane = l.id and j.state = 3
			where l.id = any ($1::int8[]) and l.limit_key <> '' group by l.limit_key) as c
		where k.key = c.key and k.running <> c.n returning k.key`
	promote = "select limits_promote($1::int8[])"
)

// lead begins a transaction of a leader, or reports ErrLeaseLost.
func lead(ctx context.Context, c *pgx.Conn, leader vedette.Lease, more ...step) ([]*pgconn.Result, error) {
	held := with("hold lease", holdLease, []uint32{oidText, oidText, oidInt8}, row{}.text(leader.Name).text(leader.Owner).int8(leader.Token))
	got, err := pipe(ctx, c, append([]step{{doing: "begin", sql: "begin"}, held.as("hold")}, more...)...)
	if err == nil && len(got[1].Rows) == 0 {
		rollback(ctx, c)
		err = fmt.Errorf("%s does not hold %s: %w", leader.Owner, leader.Name, vedette.ErrLeaseLost)
	}
	if err != nil {
		return nil, err
	}
	return got[2:], nil
}

// Rescue ends claims that nobody will end, as [vedette.Queue] says.
func (q queue) Rescue(ctx context.Context, leader vedette.Lease) (rescued []vedette.Job, err error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("rescue jobs: %w", err)
	}
	for {
		some, more, err := q.rescueSome(ctx, leader)
		if err != nil {
			return rescued, fmt.Errorf("rescue jobs: %w", refused(err))
		}
		if rescued = append(rescued, some...); !more {
			return rescued, nil
		}
	}
}

// rescueSome is one transaction, of a size that does not hold up the leader's next beat.
func (q queue) rescueSome(ctx context.Context, leader vedette.Lease) (rescued []vedette.Job, more bool, err error) {
	var e ending
	err = q.inDay(ctx, func(c *pgx.Conn) error {
		e = ending{}
		return q.s.hurry(ctx, c, patience, func() error {
			rescued, more, err = q.rescue(ctx, c, &e, leader)
			return err
		})
	})
	if err == nil {
		q.s.herald.ring(e.rings...)
	}
	return rescued, more, err
}

// rescue is the transaction. More says whether there is more to rescue.
func (q queue) rescue(ctx context.Context, c *pgx.Conn, e *ending, leader vedette.Lease) (rescued []vedette.Job, more bool, err error) {
	got, err := lead(ctx, c, leader, step{doing: "lock lost owners", sql: lockLost})
	if err != nil {
		return nil, false, err
	}
	lost := make([]string, len(got[0].Rows))
	for i, one := range got[0].Rows {
		lost[i] = cells(one).text(0)
	}
	got, err = pipe(ctx, c, with("settle claims", settleLost, []uint32{oidTexts, oidInt8}, row{}.texts(lost).int8(settleMost)).as("settlelost"),
		with("lock lost jobs", lockLostJobs, []uint32{oidTexts, oidSpan}, row{}.texts(lost).span(vedette.CancelGrace)),
		step{doing: "count limits", sql: lockWrong})
	if err != nil {
		return nil, false, err
	}
	ids := make([]vedette.ID, len(got[1].Rows))
	for i, one := range got[1].Rows {
		ids[i] = cells(one).id(0)
	}
	more = cells(got[0].Rows[0]).int(0) == settleMost || len(ids) == rescueMost
	wrong := cells(got[2].Rows[0])[0]
	steps := takeAway(ids, "")
	if wrong != nil {
		lanes := []uint32{oidInt8s}
		steps = append(steps, with("lock limits", recount, lanes, row{}.bytes(wrong)), with("count limits", putRight, lanes, row{}.bytes(wrong)),
			with("let go jobs", promote, lanes, row{}.bytes(wrong)))
	}
	show := with("read rescued jobs", getJobs, []uint32{oidUUIDs}, row{}.uuids(ids))
	got, err = pipe(ctx, c, append(steps, show, step{doing: "commit", sql: "commit"})...)
	if err != nil {
		return nil, false, err
	}
	ended := map[vedette.Ref]bool{}
	e.read(got[0], ended)
	e.read(got[1], ended)
	if wrong != nil {
		q.s.log.Warn("counts of limits were wrong", "limits", len(got[3].Rows))
		e.rings = append(e.rings, promoted(cells(got[4].Rows[0]).texts(0))...)
	}
	rescued, err = jobsOf(got[len(got)-2])
	return rescued, more, err
}

// takeAway returns the two steps that take started jobs from their owners.
func takeAway(ids []vedette.ID, why string) []step {
	oids, values := []uint32{oidUUIDs, oidText, oidSpan}, row{}.uuids(ids).text(why).span(vedette.CancelGrace)
	return []step{with("end lost jobs", buryLost, oids, values), with("run lost jobs again", rerunLost, oids, values)}
}
