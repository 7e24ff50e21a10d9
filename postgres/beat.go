package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
)

// An owner beats in one row, however many claims it holds.
const (
	beat = `insert into owners as o (name, expires_at, beat_at, beats) values ($1, clock_timestamp() + $2, clock_timestamp(), 1)
		on conflict (name) do update set expires_at = clock_timestamp() + $2, beat_at = clock_timestamp(), beats = o.beats + 1
		where o.expires_at > clock_timestamp()
		returning o.beats`

	// unheard are the claims that were made two beats ago, and that their owner does not name:
	// their answer never came. $1 to $4 are the owner, how often it has beaten, and what it holds.
	unheard = `j.holder = $1 and j.beat <= $2 - 2
		and not exists (select from unnest($3::uuid[], $4::int8[]) as h (id, epoch) where h.id = j.id and h.epoch = j.epoch)`

	buryUnheard = `with x as (
		delete from jobs as j where ` + unheard + ` and j.cancel is not null
		returning ` + jobColumns + `, j.lane, j.epoch + 1 as epoch, 8 as state, j.result, j.error,
			coalesce(j.attempts, '[]') || ` + attemptThat + `'state', 'cancelled', 'error', '') as attempts, j.said
	), h as (` + bury + `)
	select array_agg(id), array_agg(epoch), limits_leave(array_agg(lane) filter (where lane is not null)) from x`

	giveBackUnheard = `with x as (
		update jobs as j set epoch = -1 - j.epoch, attempt = j.attempt - 1, owner = null, holder = null, started_at = null, beat = null,
			state = case when j.run_at > now() then 4 when j.lane is null then 2 else 0 end
		where ` + unheard + ` and j.cancel is null
		returning j.queue, j.priority, j.run_at, j.lane
	)
	select null, null, limits_leave((select array_agg(lane) from x where lane is not null)), ` + ringColumns + `
	from (select queue, count(*) as n, min(priority) as priority, min(run_at) as run_at from x group by queue) as g`

	orders = `select h.id, h.epoch, j.id is null, j.cancel
		from unnest($1::uuid[], $2::int8[]) as h (id, epoch)
			left join jobs as j on j.id = h.id and j.epoch = h.epoch and j.owner = $3
		where j.id is null or j.cancel is not null`
)

// Beat keeps owner alive, as [vedette.Queue] says.
func (q queue) Beat(ctx context.Context, owner string, ttl time.Duration, held ...vedette.Ref) (all []vedette.Order, err error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("beat: %w", err)
	}
	r := rows{oids: []uint32{oidUUID, oidInt8}}
	for _, ref := range held {
		r.add(func(b row) row { return claimRow(b, ref) })
	}
	var e ending
	err = q.inDay(ctx, func(c *pgx.Conn) error {
		e.rings, all = nil, nil
		return q.s.hurry(ctx, c, patience, func() error {
			all, err = q.beat(ctx, c, &e, owner, ttl, &r)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("beat: %w", refused(err))
	}
	q.s.herald.ring(e.rings...)
	for _, o := range all {
		if o.Lost {
			q.s.ledger.end(o.Ref)
		}
	}
	return all, nil
}

// beat is the transaction: whoever has beaten twice gives back what it has not heard of.
func (q queue) beat(ctx context.Context, c *pgx.Conn, e *ending, owner string, ttl time.Duration, held *rows) ([]vedette.Order, error) {
	said := with("beat", beat, []uint32{oidText, oidSpan}, row{}.text(owner).span(ttl)).as("beat")
	got, err := pipe(ctx, c, step{doing: "begin", sql: "begin"}, said)
	if err != nil {
		return nil, err
	}
	if len(got[1].Rows) == 0 {
		rollback(ctx, c)
		q.s.ledger.forget(owner)
		return nil, fmt.Errorf("owner %q does not live: %w", owner, vedette.ErrLeaseLost)
	}
	values, oids := held.arrays()
	mine := row{}.text(owner).int8(cells(got[1].Rows[0]).int(0))
	buried := with("end lost claims", buryUnheard, []uint32{oidText, oidInt8}, mine)
	buried.values, buried.oids = append(buried.values, values...), append(buried.oids, oids...)
	given := buried
	given.doing, given.sql = "give back lost claims", giveBackUnheard
	taken := q.s.ledger.of(owner)
	old := with("settle claims", settleOld, []uint32{oidText, oidInt8, oidInt8s}, mine.int8s(taken))
	asked := step{doing: "read orders", sql: orders, values: values, oids: oids}.also([]uint32{oidText}, row{}.text(owner))
	got, err = pipe(ctx, c, old.as("settle"), buried.as("unheardend"), given.as("unheard"), asked.as("orders"), step{doing: "commit", sql: "commit"})
	if err != nil {
		return nil, err
	}
	q.s.ledger.drop(owner, taken)
	ended := map[vedette.Ref]bool{}
	e.read(got[1], ended)
	e.read(got[2], ended)
	var all []vedette.Order
	for _, one := range got[3].Rows {
		one := cells(one)
		all = append(all, vedette.Order{Ref: vedette.Ref{Job: one.id(0), Epoch: one.int(1)}, Lost: one.bool(2), Reason: one.text(3)})
	}
	return all, nil
}
