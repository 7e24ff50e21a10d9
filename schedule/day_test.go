package schedule_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/schedule"
)

// A tracked scraper is one with its cursor as a store keeps it, and with what became of it.
type tracked struct {
	scraper vedette.Scraper
	plan    *schedule.Plan
	spec    *spec // nil: it is due each Every
	began   time.Time
	cursor  vedette.Cursor
	stale   vedette.Cursor // as another leader read it before
	live    []vedette.Job
	fired   map[time.Time]bool
}

// fire is what a store does: it moves a cursor from where it was read only, and fires no due time
// twice.
func (s *tracked) fire(f vedette.Firing) error {
	if f.Was.Version != s.cursor.Version || !f.Was.At.Equal(s.cursor.At) {
		return nil
	}
	s.cursor = f.Now
	s.live = slices.DeleteFunc(s.live, func(j vedette.Job) bool {
		return slices.Contains(f.Cancel, j.ID) || slices.Contains(f.Terminate, j.ID)
	})
	for _, j := range f.Push {
		if s.fired[j.FireAt] {
			return fmt.Errorf("%s %+v is fired twice for %v", s.scraper.ID, s.scraper.Schedule, j.FireAt)
		}
		s.fired[j.FireAt] = true
		s.live = append(s.live, j)
	}
	return nil
}

// step is what a leader does at a time that it has come to.
func (s *tracked) step(now time.Time, r *rand.Rand) error {
	if len(s.live) > 0 && r.IntN(3) > 0 {
		s.live = s.live[1:] // a run has ended
	}
	if r.IntN(20) == 0 { // a label is edited
		s.scraper.Version++
		p, err := schedule.Compile(s.scraper)
		if err != nil {
			return err
		}
		s.plan = p
	}
	if r.IntN(10) == 0 { // one who led before wakes up
		if err := s.fire(s.plan.Decide(s.stale, now)); err != nil {
			return err
		}
	}
	for s.cursor.Version != s.scraper.Version || !s.cursor.At.IsZero() && !s.cursor.At.After(now) {
		s.stale = s.cursor
		s.stale.Live = s.live
		if err := s.fire(s.plan.Decide(s.stale, now)); err != nil {
			return err
		}
	}
	return nil
}

// due returns the due times after it began and up to a time, reckoned without a plan.
func (s *tracked) due(until time.Time, truths map[string][]time.Time) (due []time.Time) {
	if s.spec == nil {
		for at := s.plan.Next(s.began); !at.After(until); at = at.Add(s.scraper.Schedule.Every) {
			due = append(due, at)
		}
		return due
	}
	for _, at := range truths[key(s.scraper.Schedule)] {
		if at.After(s.began) && !at.After(until) {
			due = append(due, at)
		}
	}
	return due
}

func key(s vedette.Schedule) string { return fmt.Sprint(s.Zone, s.Cron, s.Calendar) }

// TestDayOfClockChangesLosesAndDoublesNothing has 10,000 scrapers in 14 zones live through the
// days around a change of clocks, under leaders that pause for a while, come back with what they
// had read, and are told of edits. Each due time is fired once, or counted.
func TestDayOfClockChangesLosesAndDoublesNothing(t *testing.T) {
	for _, change := range []string{"2026-03-08 07:00:00", "2026-03-29 01:00:00", "2026-10-25 01:00:00", "2026-11-01 06:00:00"} {
		t.Run(change[:10], func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(1, uint64(at(change).Unix()))) //nolint:gosec // to be the same again
			began, ends := at(change).Add(-20*time.Hour), at(change).Add(20*time.Hour)
			all, truths := population(t, 2500, began, ends, r)
			for now := began; ; now = now.Add(pause(r)) {
				if now.After(ends) {
					now = ends
				}
				for _, s := range all {
					if now.Before(s.began) {
						continue
					}
					if err := s.step(now, r); err != nil {
						t.Fatal(err)
					}
				}
				if now.Equal(ends) {
					break
				}
			}
			for _, s := range all {
				want := s.due(ends, truths)
				counted := int(s.cursor.Skipped + s.cursor.Dropped)
				if len(s.fired)+counted != len(want) {
					t.Fatalf("%s %+v: %d fired and %d counted, want %d", s.scraper.ID, s.scraper.Schedule, len(s.fired), counted, len(want))
				}
				for _, at := range want {
					delete(s.fired, at)
				}
				if len(s.fired) > 0 {
					t.Fatalf("%s %+v fired for %v, when nothing was due", s.scraper.ID, s.scraper.Schedule, s.fired)
				}
			}
		})
	}
}

// pause is mostly short.
func pause(r *rand.Rand) time.Duration {
	d := 2 * time.Minute
	switch r.IntN(20) {
	case 0:
		d = 5 * time.Hour
	case 1, 2, 3:
		d = 20 * time.Minute
	}
	return d + time.Duration(r.Int64N(int64(d)))
}

// population makes n scrapers of all kinds and policies, and the truth of their civil times.
func population(t *testing.T, n int, began, ends time.Time, r *rand.Rand) ([]*tracked, map[string][]time.Time) {
	truths := map[string][]time.Time{}
	overlaps := []vedette.Overlap{
		vedette.Skip, vedette.BufferOne, vedette.BufferAll, vedette.CancelOther, vedette.TerminateOther, vedette.AllowAll,
	}
	kinds := specs()
	all := make([]*tracked, n)
	for i := range all {
		s := &tracked{fired: map[time.Time]bool{}, began: began.Add(time.Duration(r.Int64N(int64(time.Hour))))}
		if k := r.IntN(len(kinds) + 4); k < len(kinds) {
			s.spec = &kinds[k]
			s.scraper.Schedule = s.spec.Schedule
			s.scraper.Schedule.Zone = zones()[r.IntN(14)]
			if name := key(s.scraper.Schedule); truths[name] == nil {
				truths[name] = s.spec.truth(began.Truncate(time.Minute), ends.Add(time.Minute), zone(t, s.scraper.Schedule.Zone))
			}
		} else {
			s.scraper.Schedule.Every = time.Duration(1+r.IntN(120)) * time.Minute
		}
		s.scraper.ID, s.scraper.Version, s.scraper.Job.Handler = vedette.ScraperID(fmt.Sprint("s", i)), 1, "h"
		s.scraper.Schedule.Overlap = overlaps[r.IntN(len(overlaps))]
		s.scraper.Schedule.CatchUp = time.Duration(1+r.IntN(300)) * time.Minute
		s.scraper.Schedule.Jitter = time.Duration(r.IntN(2)*r.IntN(300)) * time.Second
		s.plan = compile(t, s.scraper)
		if err := s.fire(s.plan.Decide(s.cursor, s.began)); err != nil {
			t.Fatal(err)
		}
		s.stale = s.cursor
		all[i] = s
	}
	return all, truths
}
