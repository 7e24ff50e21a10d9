package memory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
)

var _ vedette.Schedules = schedules{}

// schedules are the cursors that a queue keeps beside its jobs.
type schedules struct{ q *queue }

func (s schedules) List(_ context.Context, after vedette.ScraperID, n int) ([]vedette.Cursor, error) {
	s.q.mu.Lock()
	defer s.q.mu.Unlock()
	var page []vedette.Cursor
	for _, id := range slices.Sorted(maps.Keys(s.q.cursors)) {
		if id > after && len(page) < n {
			page = append(page, s.q.cursors[id])
		}
	}
	return page, nil
}

func (s schedules) Due(_ context.Context, n int) (due []vedette.Cursor, next time.Time, err error) {
	now := s.q.lock()
	defer s.q.unlock(now)
	for c := range maps.Values(s.q.cursors) {
		switch {
		case c.At.IsZero():
		case !c.At.After(now):
			due = append(due, c)
		case next.IsZero() || c.At.Before(next):
			next = c.At
		}
	}
	slices.SortFunc(due, func(a, b vedette.Cursor) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Scraper, b.Scraper))
	})
	due = due[:min(n, len(due))]
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
	at := q.cursors[f.Scraper]
	if at.Version != f.Was.Version || !at.At.Equal(stamp(f.Was.At)) {
		return
	}
	q.cancel("the next run takes its place", f.Cancel, now)
	q.terminate(f.Terminate, now)
	refused := q.push(f.Push, now)
	next := f.Now
	if next.Version == 0 {
		delete(q.cursors, f.Scraper)
		return
	}
	next.Scraper, next.Live = f.Scraper, nil
	next.At, next.Last, next.Since = stamp(next.At), stamp(next.Last), stamp(next.Since)
	next.Skipped += int64(len(refused))
	q.cursors[f.Scraper] = next
}
