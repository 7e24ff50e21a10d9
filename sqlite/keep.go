package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

// Dirty returns slots, oldest first, as [vedette.Keeper] says.
func (s *Store) Dirty(ctx context.Context, before time.Time, n int) (slots []vedette.Slot, err error) {
	read := func(c *conn) error {
		return c.query(func(row []driver.Value) error {
			hour, num := row[0].(int64), row[3].(int64)
			slots = append(slots, vedette.Slot{
				Monitor: vedette.MonitorID(row[2].(string)), Hour: hourTime(hour), Mark: row[1].(int64),
			})
			if !s.readOnly && !s.guest && s.hours[num] == hour {
				delete(s.hours, num)
			}
			return nil
		}, `select hour, mark, id, num from slots join names using (num)
			where hour < ? and mark > 0 order by hour, num limit ?`, before.Unix()/3600, int64(n))
	}
	if s.readOnly || s.guest {
		err = s.read(ctx, read)
	} else {
		// Under the writer, or a result might still count on a mark that is being read.
		err = s.owned(ctx, func(tx *tx) error { return read(tx.conn) })
	}
	if err != nil {
		return nil, fmt.Errorf("read dirty slots: %w", err)
	}
	return slots, nil
}

// Roll keeps rollups and cleans their slots, as [vedette.Keeper] says.
func (s *Store) Roll(ctx context.Context, rollups ...vedette.Rollup) error {
	err := s.owned(ctx, func(tx *tx) error {
		for i := range rollups {
			if err := tx.roll(&rollups[i]); err != nil {
				return fmt.Errorf("monitor %q: %w", rollups[i].Monitor, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep rollups: %w", err)
	}
	return nil
}

func (t *tx) roll(r *vedette.Rollup) error {
	if r.Monitor == "" {
		return fmt.Errorf("no monitor: %w", vedette.ErrRefused)
	}
	num, err := t.num(r.Monitor)
	if err != nil {
		return err
	}
	period, at, spent := int64(time.Duration(r.Period)/time.Second), r.At.Unix(), pack.AppendSpent(nil, &r.Spent)
	added, err := t.exec("insert into rollups values (?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
		period, at, num, r.Checks, r.Failed, spent, r.Latency)
	if err == nil && added == 0 {
		_, err = t.exec("update rollups set checks = ?, failed = ?, spent = ?, latency = ? where period = ? and at = ? and num = ?",
			r.Checks, r.Failed, spent, r.Latency, period, at, num)
	}
	if err != nil {
		return err
	}
	t.add("rollups", added)
	if r.Period != vedette.Hourly {
		return nil
	}
	cleaned, err := t.exec("update slots set mark = 0 where hour = ? and num = ? and mark = ? and mark > 0", at/3600, num, r.Mark)
	t.add("dirty", -cleaned)
	if cleaned > 0 {
		delete(t.s.hours, num)
	}
	return err
}

// Forget drops statuses, as [vedette.Keeper] says.
func (s *Store) Forget(ctx context.Context, ids ...vedette.MonitorID) error {
	err := s.owned(ctx, func(tx *tx) error {
		for _, id := range ids {
			dropped, err := tx.exec("delete from statuses where num = (select num from names where id = ?)", string(id))
			if err != nil {
				return err
			}
			tx.add("statuses", -dropped)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget statuses: %w", err)
	}
	return nil
}

// Size tells how much the store holds, by counts that the transactions keep. Rows of failures
// are among those of results.
func (s *Store) Size(ctx context.Context) (size vedette.Size, err error) {
	size.Rows = map[string]int64{}
	err = s.read(ctx, func(c *conn) (err error) {
		err = c.query(func(row []driver.Value) error {
			size.Rows[row[0].(string)] = row[1].(int64)
			return nil
		}, "select name, n from counts where name not in ('mark', 'shards', 'version')")
		if err == nil {
			size.Bytes, err = c.bytes()
		}
		return err
	})
	if err != nil {
		return vedette.Size{}, fmt.Errorf("read size: %w", err)
	}
	size.Rows["results"] += size.Rows["failures"]
	return size, nil
}

// bytes returns the size of the pages in use.
func (c *conn) bytes() (int64, error) {
	size, err := c.int("pragma page_size")
	if err != nil {
		return 0, err
	}
	pages, err := c.int("pragma page_count")
	if err != nil {
		return 0, err
	}
	free, err := c.int("pragma freelist_count")
	return (pages - free) * size, err
}
