package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

var _ vedette.Schedules = schedules{}

// schedules are the cursors beside the jobs.
type schedules struct{ s *Store }

// Schedules returns the cursors of schedules.
func (s *Store) Schedules() vedette.Schedules { return schedules{s} }

const cursorColumns = "scraper, version, at, last, skipped, dropped, since, failed"

func scanCursor(row []driver.Value) vedette.Cursor {
	c := vedette.Cursor{
		Scraper: vedette.ScraperID(row[0].(string)), Version: row[1].(int64),
		At: pack.TimeOf(row[2].(int64)), Last: pack.TimeOf(row[3].(int64)),
		Skipped: row[4].(int64), Dropped: row[5].(int64), Since: pack.TimeOf(row[6].(int64)),
	}
	copy(c.Failed[:], row[7].([]byte))
	return c
}

func (c *conn) cursors(text string, args ...any) (all []vedette.Cursor, err error) {
	err = c.query(func(row []driver.Value) error {
		all = append(all, scanCursor(row))
		return nil
	}, "select "+cursorColumns+" from cursors "+text, args...)
	return all, err
}

func (s schedules) List(ctx context.Context, after vedette.ScraperID, n int) (page []vedette.Cursor, err error) {
	err = s.s.read(ctx, func(c *conn) (err error) {
		page, err = c.cursors("where scraper > ? order by scraper limit ? + 0", string(after), int64(n))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list cursors: %w", err)
	}
	return page, nil
}

func (s schedules) Due(ctx context.Context, n int) (due []vedette.Cursor, next time.Time, err error) {
	err = s.s.read(ctx, func(c *conn) error {
		v := newViewer(c)
		due, err = c.cursors("where at <> 0 and at <= ? order by at, scraper limit ? + 0", v.now, int64(n))
		if err != nil {
			return err
		}
		at, err := c.int("select coalesce(min(at), 0) from cursors where at <> 0 and at > ?", v.now)
		if err != nil {
			return err
		}
		next = pack.TimeOf(at)
		for i := range due {
			if due[i].Live, err = v.liveOf(due[i].Scraper); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read what is due: %w", err)
	}
	return due, next, nil
}

// liveOf returns the live jobs of a scraper by ID, without what may be large.
func (v *viewer) liveOf(id vedette.ScraperID) (all []vedette.Job, err error) {
	rows, err := v.rows("select "+rowColumns+" from live cross join jobs on jobs.id = job where scraper = +? order by job", string(id))
	for _, r := range rows {
		j, err := v.show(r)
		if err != nil {
			return nil, err
		}
		j.Params, j.Result, j.Error = nil, "", ""
		all = append(all, j)
	}
	return all, err
}

func (s schedules) Fire(ctx context.Context, leader vedette.Lease, firings ...vedette.Firing) error {
	for i := range firings {
		if err := checkJobs(firings[i].Push); err != nil {
			return fmt.Errorf("fire %q: %w", firings[i].Scraper, err)
		}
	}
	err := s.s.update(ctx, func(t *tx) error {
		if err := t.leads(leader); err != nil {
			return err
		}
		for i := range firings {
			if err := t.fire(&firings[i]); err != nil {
				return fmt.Errorf("%q: %w", firings[i].Scraper, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("fire schedules: %w", err)
	}
	return nil
}

// fire does what f says, unless its cursor was moved since it was read.
func (t *tx) fire(f *vedette.Firing) error {
	kept, err := t.cursors("where scraper = ?", string(f.Scraper))
	if err != nil {
		return err
	}
	at := vedette.Cursor{}
	if len(kept) == 1 {
		at = kept[0]
	}
	if at.Version != f.Was.Version || pack.Micros(at.At) != pack.Micros(f.Was.At) {
		return nil
	}
	if err := t.cancel("the next run takes its place", f.Cancel); err != nil {
		return err
	}
	if err := t.terminate(f.Terminate); err != nil {
		return err
	}
	refused, err := t.push(f.Push)
	if err != nil {
		return err
	}
	next := f.Now
	next.Skipped += int64(len(refused))
	return t.keepCursor(f.Scraper, &next)
}

// keepCursor keeps where the schedule of a scraper stands; of no version, it drops it.
func (t *tx) keepCursor(id vedette.ScraperID, c *vedette.Cursor) (err error) {
	if c.Version == 0 {
		_, err = t.exec("delete from cursors where scraper = ?", string(id))
		return err
	}
	_, err = t.exec("insert or replace into cursors ("+cursorColumns+") values (?, ?, ?, ?, ?, ?, ?, ?)",
		string(id), c.Version, pack.Micros(c.At), pack.Micros(c.Last), c.Skipped, c.Dropped, pack.Micros(c.Since), slices.Clone(c.Failed[:]))
	return err
}
