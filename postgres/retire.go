package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
)

const (
	// retireMost is how many jobs one call of Retire drops one by one.
	retireMost = 1000
	// retireScrapers is of how many scrapers one call drops what they do not keep.
	retireScrapers = 200
)

const (
	// The topics that go with the jobs of x.
	topicsOfX = `(select 'job/' || id from x union all select 'job/' || id || '/items' from x)`

	// A job ends after it was made, as its ID says; one that came with a clock ahead is kept for
	// longer by as much.
	retireRows = `with x as (
		delete from %s where ctid = any (array(select ctid from %[1]s where id < $3 and finished_at < $1 order by id limit $2)) returning id)
		select (select count(*) from x), (select array_agg(topic) from topics where topic in ` + topicsOfX + `)`

	// Of a day that goes as a whole, the topics of its jobs lie between those of its first and
	// its last.
	topicsOfDay = `select array_agg(topic) from (
		select t.topic from topics as t
		where t.topic >= 'job/' || (select id from %s order by id limit 1)
			and t.topic <= 'job/' || (select id from %[1]s order by id desc limit 1) || '/items'
			and exists (select from %[1]s as h where h.id::text = substr(t.topic, 5, 36))
		limit $1) as t`

	// The scrapers behind $1, one after the other, each with how many runs its last one keeps.
	retireKept = `with recursive names as (
		(select scraper, 1 as n from job_history where scraper > $1 order by scraper limit 1)
		union all
		select h.scraper, n + 1 from names cross join lateral (
			select scraper from job_history where scraper > names.scraper order by scraper limit 1) as h
		where n < $2
	), kept as (
		select scraper, (select keep from (
			(select id, keep from jobs as j where j.scraper = names.scraper order by id desc limit 1)
			union all
			(select id, keep from job_history as h where h.scraper = names.scraper order by id desc limit 1)) as last
			order by id desc limit 1) as keep
		from names
	), x as (
		delete from job_history as h using (
			select old.id, old.finished_at from kept cross join lateral (
				select id, finished_at from job_history as h where h.scraper = kept.scraper order by id desc offset kept.keep limit $3) as old
			where kept.keep > 0 limit $3) as old
		where h.id = old.id and h.finished_at = old.finished_at returning h.id
	)
	select (select count(*) from x), (select array_agg(topic) from topics where topic in ` + topicsOfX + `),
		(select count(*) from names), (select max(scraper) from names)`

	retireOwners = `delete from owners as o where expires_at < $1 and not exists (select from jobs where holder = o.name)
		and not exists (select from claims where owner = o.name)`

	// Lanes are locked, then looked at anew: whoever pushes holds the lock of the lane that it means.
	lockLanes  = `select id from lanes as l where not exists (select from jobs where lane = l.id) order by id limit 1000 for update skip locked`
	dropLanes  = "delete from lanes as l where id = any ($1::int8[]) and not exists (select from jobs where lane = l.id)"
	dropLimits = `with x as materialized (
		select key from limits as k where running = 0 and clock < now()
			and not exists (select from lanes where limit_key = k.key) and not exists (select from lanes where rate_key = k.key)
		limit 1000 for update skip locked)
		delete from limits as k where key in (select key from x)`

	dropValues = "delete from kv where ctid = any (array(select ctid from kv where expires_at < now() limit 1000 for update skip locked))"
)

// A round is how far Retire has come among the scrapers.
type round struct {
	mu    sync.Mutex
	after string
}

// Retire drops history, as [vedette.Queue] says. What is kept for longer than two days goes by
// whole days, up to a day later. Retire makes the tables of the days to come, too.
func (q queue) Retire(ctx context.Context, leader vedette.Lease, before time.Time) (more bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, fmt.Errorf("retire jobs: %w", err)
	}
	q.s.round.mu.Lock()
	defer q.s.round.mu.Unlock()
	err = q.s.update(ctx, func(c *pgx.Conn) error {
		r := &retiring{q: q, c: c, leader: leader, before: before}
		for _, do := range []func(context.Context) (bool, error){r.tidy, r.days, r.kept} {
			if more, err = do(ctx); more || err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("retire jobs: %w", err)
	}
	return more, nil
}

// A retiring is one call of Retire. Each of its transactions holds the leader's lease.
type retiring struct {
	q      queue
	c      *pgx.Conn
	leader vedette.Lease
	before time.Time
}

// commit drops topics, and ends the transaction.
func (r *retiring) commit(ctx context.Context, topics []byte) error {
	steps := []step{{doing: "commit", sql: "commit"}}
	if topics != nil {
		steps = append(dropped(row{}.bytes(topics)), steps...)
	}
	_, err := pipe(ctx, r.c, steps...)
	return err
}

// tidy drops what jobs have left behind elsewhere.
func (r *retiring) tidy(ctx context.Context) (bool, error) {
	got, err := lead(ctx, r.c, r.leader, with("drop owners", retireOwners, []uint32{oidTime}, row{}.time(r.before)),
		step{doing: "lock lanes", sql: lockLanes})
	if err != nil {
		return false, err
	}
	lanes := rows{oids: []uint32{oidInt8}}
	for _, one := range got[1].Rows {
		lanes.add(func(b row) row { return b.int8(cells(one).int(0)) })
	}
	_, err = pipe(ctx, r.c, over("drop lanes", dropLanes, &lanes), step{doing: "drop limits", sql: dropLimits},
		step{doing: "drop values", sql: dropValues}, step{doing: "commit", sql: "commit"})
	if err != nil {
		return false, err
	}
	return false, jobHistory.addDaysAhead(ctx, r.c, time.Now())
}

// days drops a day, or a piece of one.
func (r *retiring) days(ctx context.Context) (more bool, err error) {
	all, err := jobHistory.days(ctx, r.c)
	if err != nil {
		return false, err
	}
	p := pruner{s: r.q.s, c: r.c}
	for _, d := range all {
		switch {
		case !d.attached || d.pending:
			_, err = p.patiently(ctx, d, p.drop)
		case !d.begins().Before(r.before):
		case !d.ends().After(r.before) && d.ends().Before(time.Now()):
			more, err = r.whole(ctx, p, d)
		case time.Since(r.before) <= short:
			more, err = r.piece(ctx, d)
		}
		if more || err != nil {
			return more, err
		}
	}
	return false, nil
}

// whole drops a day, once the topics of its jobs are gone.
func (r *retiring) whole(ctx context.Context, p pruner, d day) (more bool, err error) {
	got, err := lead(ctx, r.c, r.leader, with("look for topics", fmt.Sprintf(topicsOfDay, d.name), []uint32{oidInt8}, row{}.int8(retireMost)))
	if err != nil {
		return false, err
	}
	topics := cells(got[0].Rows[0])[0]
	if err := r.commit(ctx, topics); err != nil || topics != nil {
		return true, err
	}
	return p.patiently(ctx, d, p.drop)
}

// piece drops some jobs of a day.
func (r *retiring) piece(ctx context.Context, d day) (more bool, err error) {
	got, err := lead(ctx, r.c, r.leader, with("drop old jobs", fmt.Sprintf(retireRows, d.name),
		[]uint32{oidTime, oidInt8, oidUUID}, row{}.time(r.before).int8(retireMost).uuid(vedette.FirstID(r.before))))
	if err != nil {
		return false, err
	}
	one := cells(got[0].Rows[0])
	return one.int(0) == retireMost, r.commit(ctx, one[1])
}

// kept drops what some scrapers do not keep. There is more until all had their turn.
func (r *retiring) kept(ctx context.Context) (more bool, err error) {
	after := r.q.s.round.after
	got, err := lead(ctx, r.c, r.leader, with("drop jobs that are not kept", retireKept,
		[]uint32{oidText, oidInt8, oidInt8}, row{}.text(after).int8(retireScrapers).int8(retireMost)))
	if err != nil {
		return false, err
	}
	one := cells(got[0].Rows[0])
	if err := r.commit(ctx, one[1]); err != nil {
		return false, err
	}
	switch {
	case one.int(0) == retireMost: // and the same have more
		return true, nil
	case one.int(2) == retireScrapers:
		r.q.s.round.after = one.text(3)
		return true, nil
	}
	r.q.s.round.after = ""
	return false, nil
}
