package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
)

// A call of Prune drops about a piece of rows, or works for a turn: so long do writers wait.
const (
	piece = 5000
	turn  = 20 * time.Millisecond
)

// A place is where the next piece of a table of results begins. What lies before it is dirty or
// gone; a sweep that has reached its end starts anew.
type place struct{ minute, num int64 }

// Prune drops a piece of what is old, as [vedette.Keeper] says. Looks with a failure stay as
// long as both results and failures are kept.
func (s *Store) Prune(ctx context.Context, now time.Time, keep vedette.Retention) (more bool, err error) {
	err = s.owned(ctx, func(tx *tx) error {
		for begun := time.Now(); time.Since(begun) < turn && tx.dropped < piece; {
			if more, err = tx.prune(now, keep); !more || err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("prune: %w", err)
	}
	return more, nil
}

// prune does one step of the work.
func (t *tx) prune(now time.Time, keep vedette.Retention) (more bool, err error) {
	for _, drop := range []func() (bool, error){
		func() (bool, error) { return t.pruneOld("results", now, keep.Results) },
		func() (bool, error) { return t.pruneOld("failures", now, longer(keep.Results, keep.Failures)) },
		func() (bool, error) { return t.pruneIncidents(now, keep.Failures) },
		func() (bool, error) { return t.pruneLetters(now, keep.Failures) },
		func() (bool, error) { return t.pruneRollups(vedette.Hourly, now, keep.Hourly) },
		func() (bool, error) { return t.pruneRollups(vedette.Daily, now, keep.Daily) },
		func() (bool, error) { return t.cut(keep.MaxBytes) },
		t.pruneSlots,
		t.shrink,
	} {
		if more, err := drop(); more || err != nil {
			return more, err
		}
	}
	return false, nil
}

// longer returns the longer of two times, where 0 is for ever.
func longer(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}

// pruneOld drops a piece of a table of results that is older than age, from where the last
// piece ended.
func (t *tx) pruneOld(table string, now time.Time, age time.Duration) (more bool, err error) {
	if age == 0 {
		return false, nil
	}
	cutoff := now.Add(-age).Unix() / 60
	from := t.s.sweeps[table]
	minute, some, err := t.find("select min(minute) from "+table+" where minute >= ?", from.minute)
	if err != nil || !some || minute >= cutoff {
		delete(t.s.sweeps, table)
		return false, err
	}
	if minute > from.minute {
		from = place{minute, -1}
	}
	t.s.sweeps[table], err = t.drop(table, from, " and not exists (select 1 from slots where slots.num = "+table+".num and hour = minute / 60 and mark > 0)")
	return true, err
}

// drop drops up to a piece of one minute, as far as but allows, and returns where to go on.
func (t *tx) drop(table string, from place, but string) (place, error) {
	end, found, err := t.find("select num from "+table+" where minute = ? and num > ? order by num limit 1 offset ?",
		from.minute, from.num, int64(piece))
	if err != nil {
		return from, err
	}
	next := place{from.minute, end}
	if !found {
		end = 1<<62 - 1
		next = place{from.minute + 1, -1}
	}
	dropped, err := t.exec("delete from "+table+" where minute = ? and num > ? and num <= ?"+but, from.minute, from.num, end)
	t.remove(table, dropped)
	return next, err
}

// pruneSlots drops clean slots of hours that no look is left of.
func (t *tx) pruneSlots() (more bool, err error) {
	first, some, err := t.find(minuteAfter, int64(0))
	if err != nil {
		return false, err
	}
	if !some {
		first = 1<<62 - 1
	}
	dropped, err := t.exec(`delete from slots where (hour, num) in (
		select hour, num from slots where hour < ? and mark = 0 limit ?)`, first/60, int64(piece))
	t.dropped += dropped
	return dropped > 0, err
}

func (t *tx) pruneIncidents(now time.Time, age time.Duration) (more bool, err error) {
	if age == 0 {
		return false, nil
	}
	dropped, err := t.exec(`delete from incidents where id in (
		select id from incidents where closed > 0 and closed < ? limit ?)`, now.Add(-age).UnixMicro(), int64(piece))
	t.remove("incidents", dropped)
	return dropped > 0, err
}

func (t *tx) pruneRollups(p vedette.Period, now time.Time, age time.Duration) (more bool, err error) {
	if age == 0 {
		return false, nil
	}
	dropped, err := t.exec(`delete from rollups where (period, at, num) in (
		select period, at, num from rollups where period = ? and at < ? limit ?)`,
		int64(time.Duration(p)/time.Second), now.Add(-age).Unix(), int64(piece))
	t.remove("rollups", dropped)
	return dropped > 0, err
}

// cut drops a piece of the oldest results, dirty or not, and of looks with a failure if no
// others are left, while there are too many bytes.
func (t *tx) cut(limit int64) (more bool, err error) {
	if limit == 0 {
		return false, nil
	}
	size, err := t.bytes()
	if err != nil || size <= limit {
		return false, err
	}
	for _, table := range []string{"results", "failures"} {
		minute, some, err := t.find("select min(minute) from " + table)
		if err != nil {
			return false, err
		}
		if some {
			_, err = t.drop(table, place{minute, -1}, "")
			return true, err
		}
	}
	return false, nil
}

// remove counts rows that are gone.
func (t *tx) remove(table string, n int64) {
	t.add(table, -n)
	t.dropped += n
}

// shrink gives a piece of the file back to the system if much of it is free.
func (t *tx) shrink() (more bool, err error) {
	free, err := t.int("pragma freelist_count")
	if err != nil {
		return false, err
	}
	pages, err := t.int("pragma page_count")
	if err != nil || free < 1024 || free < pages/4 {
		return false, err
	}
	_, err = t.exec("pragma incremental_vacuum(256)")
	return true, err
}
