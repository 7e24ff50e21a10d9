package postgres

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
)

// What time alone makes ready lies outside the index of what is ready. Whoever claims makes it so:
// when the next of it is due, and each second, since others may have pushed it.
const (
	ripenJobs = `with d as materialized (
		select id from jobs where state in (1, 4) and run_at <= clock_timestamp() order by run_at limit 1000 for update skip locked
	), u as (
		update jobs set state = case when lane is null then 2 else 0 end
		where id = any (array(select id from d)) returning queue, lane, priority, run_at
	)
	select ` + ringColumns + `,
		limits_settle((select array_agg(distinct lane) from (
			select lane from u where lane is not null
			union all
			(select id from lanes where wake_at <= clock_timestamp() limit 1000)) as w (lane)))
		from (select queue, count(*) as n, min(priority) as priority, min(run_at) as run_at from u where lane is null group by queue) as g`

	// What to ring for, of queues in which jobs without limits have become ready.
	ringColumns = "array_agg(queue), array_agg(n), array_agg(priority), array_agg(run_at)"

	// Microseconds until the next job is due; null if there is none.
	nextRipe = `select (extract(epoch from least(
			(select min(run_at) from jobs where state in (1, 4)), (select min(wake_at) from lanes)
		) - clock_timestamp()) * 1000000)::bigint`

	lives = "select from owners where name = $1 and expires_at > clock_timestamp()"
)

// ripe knows when to look for what is due. It is safe for concurrent use.
type ripe struct {
	mu sync.Mutex
	at time.Time
}

// now reports whether it is time to look; who is told so looks.
func (r *ripe) now() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if now.Before(r.at) {
		return false
	}
	r.at = now.Add(poll)
	return true
}

// in says that it will be time in d.
func (r *ripe) in(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at := time.Now().Add(min(d, poll)); at.Before(r.at) {
		r.at = at
	}
}

// left returns how long it is until then.
func (r *ripe) left() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Until(r.at)
}

// ripen makes ready what is due, rings for it, and returns when more will be.
func (q queue) ripen(ctx context.Context) (next time.Duration, err error) {
	err = q.s.update(ctx, func(c *pgx.Conn) error {
		_, next, err = q.ripenOn(ctx, c)
		return err
	})
	return next, err
}

func (q queue) ripenOn(ctx context.Context, c *pgx.Conn, more ...step) (alive bool, next time.Duration, err error) {
	found, err := pipe(ctx, c, append([]step{
		step{doing: "look for what is due", sql: ripenJobs}.as("ripen"), step{doing: "read what is due next", sql: nextRipe}.as("next"),
	}, more...)...)
	if err != nil {
		return false, 0, err
	}
	ripened := cells(found[0].Rows[0])
	rings := append(ringsOf(ripened), promoted(ripened.texts(4))...)
	q.s.herald.ring(rings...)
	next = math.MaxInt64
	if cell := cells(found[1].Rows[0]); cell[0] != nil {
		next = max(time.Duration(cell.int(0))*time.Microsecond, time.Millisecond)
	}
	if len(rings) > 0 {
		next = 0
	}
	q.s.ripe.in(next)
	return len(more) == 0 || len(found[2].Rows) == 1, next, nil
}

// ringsOf reads ringColumns.
func ringsOf(c cells) []ring {
	queues, counts, priorities, times := c.list(0), c.list(1), c.list(2), c.list(3)
	all := make([]ring, len(queues))
	for i := range all {
		all[i] = ring{queueBell(queues.text(i)), int(counts.int(i)), priorities.int(i), times.int(i)}
	}
	return all
}

// promoted returns what to ring for when limits let go jobs of queues: they may lie before all
// others.
func promoted(queues []string) []ring {
	all := make([]ring, len(queues))
	for i, name := range queues {
		all[i] = ring{queueBell(name), forAll, math.MinInt64, math.MinInt64}
	}
	return all
}

// await returns how long to wait for a job.
func (q queue) await(ctx context.Context, owner string) (next time.Duration, err error) {
	q.s.herald.hear()
	alive := false
	err = q.s.update(ctx, func(c *pgx.Conn) error {
		alive, next, err = q.ripenOn(ctx, c, with("look for owner", lives, []uint32{oidText}, row{}.text(owner)).as("lives"))
		return err
	})
	if err == nil && !alive {
		err = fmt.Errorf("owner %q does not live: %w", owner, vedette.ErrLeaseLost)
	}
	return next, err
}
