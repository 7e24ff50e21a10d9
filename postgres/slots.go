package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/vedettehq/vedette"
)

// A slot is an hour (since 1970) of a monitor.
type slot struct {
	monitor vedette.MonitorID
	hour    int64
}

func (s slot) time() time.Time { return time.Unix(s.hour*3600, 0).UTC() }

func slotOf(r *vedette.Result) slot { return slot{r.Monitor, r.StartedAt.Unix() / 3600} }

// Marking every slot in every write would cost as much as the statuses. A slot that this process
// has marked is not marked again before its hour has ended by the server's clock, which is safe
// although a janitor works in another process:
//
//   - Dirty gives no slot before settle has passed since the end of its hour, so that nobody has
//     read the mark before.
//   - A write that counts on an older mark holds the lock of the hour, shared, from before it
//     reads the clock until its commit; Dirty takes the lock alone before it reads slots. So
//     either the write was kept by then, or it reads the clock later and marks anew.
//
// settle is a margin for a clock that is set back.
const settle = time.Minute

// lockHours is how many of a batch's newest hours a write locks, and waitHours how many hours
// Dirty waits for: longer ago, no write that is in progress can have begun.
const (
	lockHours = 2
	waitHours = 24
)

// hourLock names the locks of hours in this schema; locks of other schemas differ.
const hourLock = "hashtext('vedette hours ' || current_schema())"

const (
	shareHours = "select pg_advisory_xact_lock_shared(" + hourLock + ", h) from unnest($1::int4[]) as h"

	awaitHours = "select pg_advisory_xact_lock(" + hourLock + `, h)
		from generate_series($1::int4 - 24, $1::int4 - 1) as h`

	markSlots = `insert into slots
		select to_timestamp(hour * 3600), monitor_id, nextval('marks')
		from unnest($1::text[], $2::int8[]) as u(monitor_id, hour)
		on conflict (hour, monitor_id) do update set mark = excluded.mark`

	ended = "select least(extract(epoch from clock_timestamp())::bigint - $1, $2::bigint) / 3600"

	dirtySlots = `select hour, monitor_id, mark from slots
		where hour < to_timestamp($1::bigint * 3600) order by hour, monitor_id limit $2`
)

// maxMarked bounds how many monitors have their marks remembered, since whoever sends results can name
// any number of them. To forget one costs a mark.
const maxMarked = 1 << 18

// marked remembers the newest slot of each monitor that this process has marked. It is safe for
// concurrent use.
type marked struct {
	mu    sync.Mutex
	hours map[vedette.MonitorID]int64
}

// share returns the step that locks the hours in which a write may count on older marks.
func (m *marked) share(results []*vedette.Result) step {
	var hours []int64
	for _, r := range results {
		if hour := slotOf(r).hour; len(hours) == 0 || hours[len(hours)-1] != hour {
			hours = append(hours, hour)
		}
	}
	slices.Sort(hours)
	hours = slices.Compact(hours)
	all := rows{oids: []uint32{oidInt4}}
	for _, hour := range hours[max(0, len(hours)-lockHours):] {
		all.add(func(b row) row { return b.int4(int32(hour)) }) //nolint:gosec // until the year 246,000
	}
	return over("lock hours", shareHours, &all)
}

// dirtied returns the slots of results that must be marked at now, by monitor and hour as the
// results are.
func (m *marked) dirtied(results []*vedette.Result, now time.Time) (dirty []slot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	newest := int64(0)
	for _, r := range results {
		newest = max(newest, slotOf(r).hour)
	}
	var last slot
	for _, r := range results {
		one := slotOf(r)
		if one == last {
			continue
		}
		last = one
		locked, open := one.hour > newest-lockHours, now.Before(one.time().Add(time.Hour))
		if !locked || !open || m.hours[one.monitor] != one.hour {
			dirty = append(dirty, one)
		}
	}
	return dirty
}

// keep remembers slots whose marks are kept.
func (m *marked) keep(slots []slot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hours == nil || len(m.hours)+len(slots) > maxMarked {
		m.hours = map[vedette.MonitorID]int64{}
	}
	for _, one := range slots {
		m.hours[one.monitor] = max(m.hours[one.monitor], one.hour)
	}
}

func slotRows(slots []slot) *rows {
	all := &rows{oids: []uint32{oidText, oidInt8}}
	for _, one := range slots {
		all.add(func(b row) row { return b.text(string(one.monitor)).int8(one.hour) })
	}
	return all
}

// addedSlots reads what addNewResults gives.
func addedSlots(r *pgconn.Result) []slot {
	all := make([]slot, len(r.Rows))
	for i, row := range r.Rows {
		all[i] = slot{vedette.MonitorID(row[0]), int64(binary.BigEndian.Uint64(row[1]))} //nolint:gosec // the bits
	}
	return all
}

// Dirty returns slots, oldest first, as [vedette.Keeper] says, but none before a minute has
// passed since the end of its hour.
func (s *Store) Dirty(ctx context.Context, before time.Time, n int) (slots []vedette.Slot, err error) {
	err = s.use(ctx, func(c *pgx.Conn) error {
		var hour int64
		if err := c.QueryRow(ctx, ended, int64(settle/time.Second), before.Unix()).Scan(&hour); err != nil {
			return err
		}
		if !s.readOnly {
			err := s.hurry(ctx, c, patience, func() error {
				_, err := c.Exec(ctx, awaitHours, hour)
				return err
			})
			if err != nil {
				return fmt.Errorf("wait for writes: %w", err)
			}
		}
		found, err := c.Query(ctx, dirtySlots, hour, n)
		if err != nil {
			return err
		}
		slots, err = pgx.CollectRows(found, func(row pgx.CollectableRow) (one vedette.Slot, err error) {
			err = row.Scan(&one.Hour, &one.Monitor, &one.Mark)
			one.Hour = one.Hour.UTC()
			return one, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read dirty slots: %w", err)
	}
	return slots, nil
}
