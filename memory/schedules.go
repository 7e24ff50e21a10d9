package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
)

var _ vedette.Schedules = schedules{}

// A dueCursor is kept with its place among those that are due.
type dueCursor struct {
	vedette.Cursor
	place int
}

// schedules are the cursors that a queue keeps beside its jobs.
type schedules struct{ q *queue }

func (s schedules) List(_ context.Context, after vedette.ScraperID, n int) ([]vedette.Cursor, error) {
	s.q.mu.Lock()
	defer s.q.mu.Unlock()
	var page []vedette.Cursor
	i, found := slices.BinarySearch(s.q.names, after)
	if found {
		i++
	}
	for _, id := range s.q.names[i:min(i+n, len(s.q.names))] {
		page = append(page, s.q.cursors[id].Cursor)
	}
	return page, nil
}

func (s schedules) Due(_ context.Context, n int) (due []vedette.Cursor, next time.Time, err error) {
	now := s.q.lock()
	defer s.q.unlock(now)
	for s.q.due.len() > 0 {
		c := s.q.due.top()
		if c.At.After(now) {
			next = c.At
			break
		}
		if len(due) == n {
			break
		}
		s.q.due.drop(c)
		defer s.q.due.put(c)
		due = append(due, c.Cursor)
	}
	for i := range due {
		due[i].Live = s.q.liveOf(due[i].Scraper)
	}
	return due, next, nil
}

// liveOf returns the live jobs of a scraper by ID, without what may be large.
func (q *queue) liveOf(id vedette.ScraperID) []vedette.Job {
	r := q.runs[id]
	if r == nil {
		return nil
	}
	var all []vedette.Job
	for j := range maps.Values(r.live) {
		out := q.show(j)
		out.Params, out.Result, out.Error = nil, "", ""
		all = append(all, out)
	}
	slices.SortFunc(all, func(a, b vedette.Job) int { return compareIDs(a.ID, b.ID) })
	return all
}

func (s schedules) Fire(ctx context.Context, leader vedette.Lease, firings ...vedette.Firing) error {
	for _, f := range firings {
		if err := check(f.Push); err != nil {
			return fmt.Errorf("fire %q: %w", f.Scraper, err)
		}
	}
	now := s.q.lock()
	defer s.q.unlock(now)
	if err := s.q.leads(ctx, leader, now); err != nil {
		return fmt.Errorf("fire schedules: %w", err)
	}
	for _, f := range firings {
		s.q.fire(f, now)
	}
	return nil
}

// fire does what f says, unless its cursor was moved since it was read.
func (q *queue) fire(f vedette.Firing, now time.Time) {
	c := q.cursors[f.Scraper]
	if c == nil {
		c = &dueCursor{}
	}
	if c.Version != f.Was.Version || !c.At.Equal(stamp(f.Was.At)) {
		return
	}
	q.cancel("the next run takes its place", f.Cancel, now)
	q.terminate(f.Terminate, now)
	refused := q.push(f.Push, now)
	q.due.drop(c)
	i, known := slices.BinarySearch(q.names, f.Scraper)
	switch {
	case f.Now.Version == 0 && known:
		delete(q.cursors, f.Scraper)
		q.names = slices.Delete(q.names, i, i+1)
		return
	case f.Now.Version == 0:
		return
	case !known:
		q.names = slices.Insert(q.names, i, f.Scraper)
	}
	c.Cursor = f.Now
	c.Scraper, c.Live = f.Scraper, nil
	c.At, c.Last, c.Since = stamp(c.At), stamp(c.Last), stamp(c.Since)
	c.Skipped += int64(len(refused))
	q.cursors[f.Scraper] = c
	if !c.At.IsZero() {
		q.due.put(c)
	}
}
