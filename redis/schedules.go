package redis

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

var _ vedette.Schedules = schedules{}

// schedules are the cursors that are kept beside the jobs. A cursor is its version, the time that it
// stands at and how many runs were skipped, which the scripts know, then how many were dropped, the time it
// fired for last, since when the version is, and the ID of the run that failed.
type schedules struct{ s *Store }

const cursorBytes = 6*8 + 16

func appendCursor(b []byte, c vedette.Cursor) []byte {
	b = appendTime(appendInt(b, c.Version), c.At)
	b = appendInt(appendInt(b, c.Skipped), c.Dropped)
	return append(appendTime(appendTime(b, c.Last), c.Since), c.Failed[:]...)
}

func cursorOf(scraper, text string) (vedette.Cursor, error) {
	if len(text) != cursorBytes {
		return vedette.Cursor{}, fmt.Errorf("stored cursor of %q cannot be read", scraper)
	}
	r := reader{rest: text}
	c := vedette.Cursor{Scraper: vedette.ScraperID(scraper), Version: r.int(8), At: r.time()}
	c.Skipped, c.Dropped, c.Last, c.Since = r.int(8), r.int(8), r.time(), r.time()
	copy(c.Failed[:], r.rest)
	return c, nil
}

func (s schedules) List(ctx context.Context, after vedette.ScraperID, n int) (page []vedette.Cursor, err error) {
	pairs, _, err := s.s.page(ctx, "cursors", "cursor", "("+string(after), "+", n)
	for i := 0; i+1 < len(pairs) && err == nil; i += 2 {
		var c vedette.Cursor
		c, err = cursorOf(pairs[i], pairs[i+1])
		page = append(page, c)
	}
	if err != nil {
		return nil, fmt.Errorf("list schedules: %w", err)
	}
	return page, nil
}

func (s schedules) Due(ctx context.Context, n int) (due []vedette.Cursor, next time.Time, err error) {
	got, err := s.s.call(ctx, "due", n)
	if err != nil {
		return nil, next, fmt.Errorf("ask what is due: %w", err)
	}
	a := answerOf(got)
	list := a.list()
	next = pack.TimeOf(a.int())
	now := pack.TimeOf(a.int())
	for list.more() {
		one := list.list()
		c, err := cursorOf(one.text(), one.text())
		c.Live = one.live(now)
		one.fail(err)
		list.fail(one.err)
		due = append(due, c)
	}
	a.fail(list.err)
	if a.err != nil {
		return nil, next, fmt.Errorf("ask what is due: %w", a.err)
	}
	return due, next, nil
}

// live reads jobs without what may be large, by ID.
func (a *answer) live(now time.Time) []vedette.Job {
	jobs := a.jobs(now)
	for i := range jobs {
		j := &jobs[i]
		j.Params, j.Result, j.Error, j.Attempts = nil, "", "", nil
	}
	slices.SortFunc(jobs, func(a, b vedette.Job) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return jobs
}

// fireMost bounds what one call fires, in arguments: firings are whole, whatever they take.
const fireMost = 2000

func (s schedules) Fire(ctx context.Context, leader vedette.Lease, firings ...vedette.Firing) error {
	head := append(leaseArgs(leader), "the next run takes its place")
	all := make([][]any, len(firings))
	for i := range firings {
		args, err := fireArgs(&firings[i])
		if err != nil {
			return fmt.Errorf("fire %q: %w", firings[i].Scraper, err)
		}
		all[i] = args
	}
	for from := 0; from == 0 || from < len(all); {
		args, to := slices.Clone(head), from
		for to < len(all) && (to == from || len(args)+len(all[to]) < fireMost) {
			args = append(args, all[to]...)
			to++
		}
		got, err := s.s.call(ctx, "fire", args...)
		if err != nil {
			return fmt.Errorf("fire schedules: %w", err)
		}
		a := answer{rest: []any{got}}
		if queue(s).woken(&a); a.err != nil {
			return fmt.Errorf("fire schedules: %w", a.err)
		}
		from = max(to, 1)
	}
	return nil
}

// fireArgs packs a firing as lua/fire.lua reads it.
func fireArgs(f *vedette.Firing) ([]any, error) {
	push, err := pushArgs(f.Push)
	if err != nil {
		return nil, err
	}
	was := appendTime(appendInt(nil, f.Was.Version), f.Was.At)
	var now []byte
	if f.Now.Version != 0 {
		now = appendCursor(nil, f.Now)
	}
	args := []any{
		string(f.Scraper), was, now, micros(f.Now.At), len(f.Cancel), len(f.Terminate), len(f.Push),
	}
	args = append(args, idArgs(f.Cancel)...)
	args = append(args, idArgs(f.Terminate)...)
	return append(args, push...), nil
}

// page reads fields of a hash and their values, in the order of a sorted set, and the time.
func (s *Store) page(ctx context.Context, set, hash, from, to string, n int) ([]string, time.Time, error) {
	if n <= 0 {
		return nil, time.Time{}, nil
	}
	got, err := s.call(ctx, "page", set, hash, from, to, n)
	if err != nil {
		return nil, time.Time{}, err
	}
	a := answerOf(got)
	pairs := a.texts()
	return pairs, pack.TimeOf(a.int()), a.err
}
