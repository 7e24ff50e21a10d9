package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
)

const (
	lockJobs = "select from jobs where id = any ($1::uuid[]) order by id for update"

	cancelWaiting = `with x as (
		delete from jobs as j where j.id = any ($1::uuid[]) and j.epoch <= 0
		returning ` + waitingColumns + `, j.lane, abs(j.epoch) as epoch, 8 as state, j.result, j.error, j.attempts, j.said
	), h as (` + bury + `)
	select array_agg(id), array_agg(epoch), limits_settle(array_agg(distinct lane) filter (where lane is not null)) from x`

	// waitingColumns are jobColumns with the reason.
	waitingColumns = `j.id, j.run_at, j.created_at, j.started_at, j.attempt, j.keep, j.queue, j.handler, j.owner, j.scraper, j.fire_at,
		$2::text as cancel, j.body`

	cancelStarted = `update jobs set cancel = $2, cancel_at = clock_timestamp(), state = 3, holder = owner
		where id = any ($1::uuid[]) and epoch > 0 and cancel is null`
)

// Cancel ends jobs, as [vedette.Jobs] says.
func (q queue) Cancel(ctx context.Context, reason string, ids ...vedette.ID) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cancel jobs: %w", err)
	}
	var e ending
	err := q.inDay(ctx, func(c *pgx.Conn) error {
		e = ending{}
		return q.s.hurry(ctx, c, patience, func() error {
			got, err := pipe(ctx, c, cancelled(ids, reason)...)
			if err == nil {
				e.read(got[1], map[vedette.Ref]bool{})
			}
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("cancel jobs: %w", refused(err))
	}
	q.s.herald.ring(e.rings...)
	return nil
}

// cancelled returns the steps that cancel jobs: those that run are told, behind the lock that
// keeps the others from being claimed.
func cancelled(ids []vedette.ID, reason string) []step {
	all := row{}.uuids(ids)
	oids, values := []uint32{oidUUIDs, oidText}, slices.Concat(all, row{}.text(cmp.Or(clean(reason), "cancelled")))
	return []step{
		with("lock jobs", lockJobs, oids[:1], all),
		with("cancel jobs", cancelWaiting, oids, values),
		with("tell jobs to end", cancelStarted, oids, values),
	}
}
