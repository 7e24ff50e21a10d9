package schedule_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/schedule"
)

func TestTriggerObeysTheOverlapPolicy(t *testing.T) {
	now, id := at(day+"10:20:30").Add(123456789), vedette.NewID(at(day+"10:20:30"))
	started, waiting := job(1, vedette.JobStarted), job(2, vedette.JobPending)
	for _, c := range []struct {
		overlap vedette.Overlap
		live    []vedette.Job
		refused bool
		cancel  int
		keys    vedette.Job
	}{
		{vedette.Skip, nil, false, 0, vedette.Job{Unique: "scraper/s"}},
		{vedette.Skip, []vedette.Job{started}, true, 0, vedette.Job{}},
		{vedette.BufferOne, []vedette.Job{started}, false, 0, vedette.Job{UniqueWaiting: "next/s", LimitKey: "scraper/s", Limit: 1}},
		{vedette.BufferOne, []vedette.Job{started, waiting}, true, 0, vedette.Job{}},
		{vedette.BufferAll, []vedette.Job{started, waiting}, false, 0, vedette.Job{LimitKey: "scraper/s", Limit: 1}},
		{vedette.CancelOther, []vedette.Job{started, waiting}, false, 2, vedette.Job{LimitKey: "scraper/s", Limit: 1}},
		{vedette.TerminateOther, []vedette.Job{started, waiting}, false, 2, vedette.Job{LimitKey: "scraper/s", Limit: 1}},
		{vedette.AllowAll, []vedette.Job{started, waiting}, false, 0, vedette.Job{}},
	} {
		s := scraper("s", vedette.Schedule{Overlap: c.overlap})
		s.Paused = true // people may
		r, err := compile(t, s).Trigger(id, now, c.live...)
		if c.refused {
			if !errors.Is(err, vedette.ErrExists) || len(r.Push) > 0 {
				t.Errorf("%s beside %d: %+v, %v, want ErrExists", c.overlap, len(c.live), r, err)
			}
			continue
		}
		want := c.keys
		want.ID, want.Scraper, want.Handler, want.FireAt = id, "s", "h", at(day+"10:20:30").Add(123*time.Millisecond)
		if d := cmp.Diff([]vedette.Job{want}, r.Push); err != nil || d != "" || len(r.Cancel) != c.cancel {
			t.Errorf("%s beside %d: cancels %v, %v, %s", c.overlap, len(c.live), r.Cancel, err, d)
		}
	}
}

func TestBackfillAsksForEachDueTimeOnce(t *testing.T) {
	p := plan(t, hourly())
	now, id := at("2026-03-01 00:00:00"), vedette.NewID(at("2026-03-01 00:00:00"))
	b := schedule.Backfill{ID: id, From: at("2026-01-01 00:00:00"), To: at("2026-02-20 12:00:00"), Overlap: vedette.BufferAll}
	seen := map[vedette.ID]bool{}
	due, calls, last := at("2026-01-01 00:00:00"), 0, vedette.ID{}
	for next := b; !next.From.IsZero(); calls++ {
		r, err := p.Backfill(next, now)
		again, _ := p.Backfill(next, now.Add(time.Hour))
		if err != nil || !cmp.Equal(r, again) {
			t.Fatalf("%v, or not the same when asked again", err)
		}
		for _, j := range r.Push {
			if !j.FireAt.Equal(due) || j.Fired || !j.RunAt.IsZero() || j.LimitKey != "scraper/s" || seen[j.ID] || j.ID.String() <= last.String() {
				t.Fatalf("got %+v, want the run for %v, at once", j, due)
			}
			if !j.ID.Time().Equal(id.Time()) || j.ID.String()[14] != '7' || j.ID[8]>>6 != 2 {
				t.Fatalf("%v is no UUIDv7 of %v", j.ID, id.Time())
			}
			seen[j.ID], last, due = true, j.ID, due.Add(time.Hour)
		}
		next.From = r.Next
	}
	if !due.Equal(b.To) || calls != 2 {
		t.Errorf("filled up to %v in %d calls, want %v in 2", due, calls, b.To)
	}
	other, err := compile(t, scraper("t", hourly())).Backfill(b, now)
	if err != nil || seen[other.Push[0].ID] {
		t.Errorf("another scraper's run has the same ID (%v)", err)
	}
}

func TestBackfillObeysTheOverlapPolicy(t *testing.T) {
	now, id := at("2026-03-01 00:00:00"), vedette.NewID(at("2026-03-01 00:00:00"))
	started, waiting := job(1, vedette.JobStarted), job(2, vedette.JobPending)
	for _, c := range []struct {
		overlap       vedette.Overlap
		live          []vedette.Job
		push, skipped int
		cancel        int
	}{
		{vedette.Skip, nil, 1, 9, 0},
		{vedette.Skip, []vedette.Job{started}, 0, 0, 0},
		{vedette.BufferOne, []vedette.Job{started}, 1, 9, 0},
		{vedette.BufferOne, []vedette.Job{waiting}, 0, 0, 0},
		{vedette.BufferAll, []vedette.Job{started}, 10, 0, 0},
		{vedette.CancelOther, []vedette.Job{started, waiting}, 1, 9, 2},
		{vedette.TerminateOther, []vedette.Job{started, waiting}, 1, 9, 2},
		{vedette.AllowAll, []vedette.Job{started, waiting}, 10, 0, 0},
	} {
		s := hourly()
		s.Overlap = c.overlap
		b := schedule.Backfill{ID: id, From: at(day + "00:00:00"), To: at(day + "10:00:00")}
		r, err := plan(t, s).Backfill(b, now, c.live...)
		if errors.Is(err, vedette.ErrExists) != (c.push == 0) || err != nil && c.push > 0 {
			t.Errorf("%s beside %d: %v", c.overlap, len(c.live), err)
		}
		if len(r.Push) != c.push || int(r.Skipped) != c.skipped || len(r.Cancel) != c.cancel || !r.Next.IsZero() {
			t.Errorf("%s beside %d: %d runs, %d skipped, %d cancelled, next %v, want %+v",
				c.overlap, len(c.live), len(r.Push), r.Skipped, len(r.Cancel), r.Next, c)
		}
	}
}

func TestBackfillRefusesWhatMakesNoSense(t *testing.T) {
	now := at(day + "12:30:00")
	limited := scraper("s", hourly())
	limited.Job.LimitKey, limited.Job.Limit = "l", 1
	p := compile(t, limited)
	for name, b := range map[string]schedule.Backfill{
		"backwards":       {From: at(day + "10:00:00"), To: at(day + "09:00:00")},
		"between":         {From: at(day + "10:00:01"), To: at(day + "11:00:00")},
		"not come yet":    {From: at(day + "12:30:00"), To: at(day + "19:00:00")},
		"no policy":       {From: at(day + "09:00:00"), To: at(day + "10:00:01"), Overlap: "x"},
		"its own limit":   {From: at(day + "09:00:00"), To: at(day + "10:00:01"), Overlap: vedette.BufferAll},
		"nothing is said": {},
	} {
		if r, err := p.Backfill(b, now); !errors.Is(err, vedette.ErrRefused) || len(r.Push) > 0 {
			t.Errorf("%s: %+v, %v, want ErrRefused", name, r, err)
		}
	}
	r, err := p.Backfill(schedule.Backfill{From: at(day + "11:00:00"), To: at(day + "19:00:00"), Overlap: vedette.AllowAll}, now)
	if err != nil || len(r.Push) != 2 || r.Push[0].LimitKey != "l" {
		t.Errorf("%d runs, %v, want the two that have come", len(r.Push), err)
	}
}
