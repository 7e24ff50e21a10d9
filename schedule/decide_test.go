package schedule_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/schedule"
)

const day = "2026-01-15 "

func hourly() vedette.Schedule { return vedette.Schedule{Cron: "0 * * * *"} }

func cursor(text string) vedette.Cursor {
	return vedette.Cursor{Scraper: "s", Version: 1, At: at(day + text), Skipped: 3, Dropped: 5}
}

func job(n byte, state vedette.JobState) vedette.Job {
	return vedette.Job{ID: vedette.ID{15: n}, Scraper: "s", State: state}
}

// fired returns the due times of what is pushed.
func fired(f vedette.Firing) (due []string) {
	for _, j := range f.Push {
		due = append(due, j.FireAt.Format("15:04"))
	}
	return due
}

func TestDueCursorBecomesARun(t *testing.T) {
	s := scraper("s", hourly())
	s.Job = vedette.Job{
		Handler: "h", Params: vedette.Raw(`{}`), Queue: "q", Priority: 1, Timeout: time.Hour, MaxAttempts: 2,
		RetryAfter: time.Minute, Keep: 50, LimitKey: "l", Limit: 2, RateKey: "r", RateEvery: time.Second, RateBurst: 3,
		// What is the queue's own is not copied from one run to another.
		State: vedette.JobDead, Epoch: 7, Attempt: 8, Owner: "o", Cancel: "c", Result: "r", Error: "e", CreatedAt: at(day + "01:00:00"),
	}
	s.Schedule.Jitter = time.Hour
	p := compile(t, s)
	now := at(day + "10:00:01")
	got := p.Decide(cursor("10:00:00"), now)
	due := at(day + "10:00:00")
	want := vedette.Firing{
		Scraper: "s",
		Was:     cursor("10:00:00"),
		Now:     vedette.Cursor{Scraper: "s", Version: 1, At: at(day + "11:00:00"), Last: due, Skipped: 3, Dropped: 5},
		Push: []vedette.Job{{
			ID: got.Push[0].ID, Scraper: "s", FireAt: due, Fired: true, RunAt: p.RunAt(due), Unique: "scraper/s",
			Handler: "h", Params: vedette.Raw(`{}`), Queue: "q", Priority: 1, Timeout: time.Hour, MaxAttempts: 2,
			RetryAfter: time.Minute, Keep: 50, LimitKey: "l", Limit: 2, RateKey: "r", RateEvery: time.Second, RateBurst: 3,
		}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if p.RunAt(due).Equal(due) || !got.Push[0].ID.Time().Equal(now) {
		t.Errorf("runs at %v, made at %v", p.RunAt(due), got.Push[0].ID.Time())
	}
}

// TestRunsCopyAllThatIsSaidByTheScraper fails when a Job gets a field that nobody thought of here.
func TestRunsCopyAllThatIsSaidByTheScraper(t *testing.T) {
	if got, want := reflect.TypeFor[vedette.Job]().NumField(), 32; got != want {
		t.Errorf("a Job has %d fields, was %d: does a run take the new one from its scraper?", got, want)
	}
}

func TestCursorsAreReckonedAnew(t *testing.T) {
	plain := scraper("s", hourly())
	paused, later, half, never := plain, plain, plain, plain
	paused.Paused = true
	later.Version = 2
	half.Version, half.Schedule.Cron = 2, "30 * * * *"
	never.Version, never.Schedule = 2, vedette.Schedule{}
	zero := vedette.Cursor{Scraper: "s", Version: 1}
	for name, c := range map[string]struct {
		s    vedette.Scraper
		was  vedette.Cursor
		at   string // "" is never
		push int
	}{
		"new: from now on":                     {plain, vedette.Cursor{Scraper: "s"}, "11:00:00", 0},
		"not due yet: left alone":              {plain, cursor("12:00:00"), "12:00:00", 0},
		"changed, due as before: not lost":     {later, cursor("10:00:00"), "11:00:00", 1},
		"changed, not due before":              {half, cursor("10:00:00"), "10:30:00", 0},
		"changed, and sooner due":              {half, cursor("11:00:00"), "10:30:00", 0},
		"changed to by hand":                   {never, cursor("10:00:00"), "", 0},
		"paused: never":                        {paused, cursor("10:00:00"), "", 0},
		"was paused, or could not be reckoned": {plain, zero, "11:00:00", 0},
	} {
		f := compile(t, c.s).Decide(c.was, at(day+"10:00:01"))
		want := time.Time{}
		if c.at != "" {
			want = at(day + c.at)
		}
		if !f.Now.At.Equal(want) || len(f.Push) != c.push || f.Now.Version != c.s.Version || f.Now.Scraper != "s" {
			t.Errorf("%s: %+v with %d runs, want it at %v with %d", name, f.Now, len(f.Push), want, c.push)
		}
		if f.Now.Skipped != c.was.Skipped || f.Now.Dropped != c.was.Dropped || !cmp.Equal(f.Was, c.was) {
			t.Errorf("%s: %+v from %+v", name, f, c.was)
		}
	}
}

func TestGoneAndBrokenScrapers(t *testing.T) {
	c := cursor("10:00:00")
	c.Live = []vedette.Job{job(1, vedette.JobStarted)}
	if f := schedule.Drop(c); f.Now.Version != 0 || f.Scraper != "s" || len(f.Cancel)+len(f.Terminate)+len(f.Push) > 0 || f.Was.Live != nil {
		t.Errorf("a cursor to drop becomes %+v", f)
	}
	if f := schedule.Rest(c, 4); f.Now.Version != 4 || !f.Now.At.IsZero() || f.Now.Skipped != 3 || f.Was.Version != 1 || len(f.Push) > 0 {
		t.Errorf("a cursor to rest becomes %+v", f)
	}
}

// TestCatchUpAndOverlap has an hourly scraper whose leader comes back at 15:30, with what was due
// since 10:00.
func TestCatchUpAndOverlap(t *testing.T) {
	started, waiting := job(1, vedette.JobStarted), job(2, vedette.JobPending)
	told, retrying := job(3, vedette.JobStarted), job(4, vedette.JobRetrying)
	told.Cancel = "asked"
	none := []vedette.Job{}
	ids := func(n ...byte) (list []vedette.ID) {
		for _, b := range n {
			list = append(list, vedette.ID{15: b})
		}
		return list
	}
	all := []string{"13:00", "14:00", "15:00"}
	for _, c := range []struct {
		overlap           vedette.Overlap
		catchUp           time.Duration
		live              []vedette.Job
		push              []string
		skipped, dropped  int64
		cancel, terminate []vedette.ID
	}{
		{vedette.Skip, 0, none, nil, 0, 6, nil, nil},
		{vedette.BufferOne, 0, none, nil, 0, 6, nil, nil},
		{vedette.BufferAll, 0, none, nil, 0, 6, nil, nil},
		{vedette.CancelOther, 0, []vedette.Job{started}, nil, 0, 6, nil, nil},
		{vedette.TerminateOther, 0, []vedette.Job{started}, nil, 0, 6, nil, nil},
		{vedette.AllowAll, 0, none, nil, 0, 6, nil, nil},

		{vedette.Skip, 30 * time.Minute, none, all[2:], 0, 5, nil, nil},
		{vedette.Skip, 30*time.Minute - 1, none, nil, 0, 6, nil, nil},
		{"", 3 * time.Hour, none, all[:1], 2, 3, nil, nil},
		{vedette.Skip, 3 * time.Hour, []vedette.Job{started}, nil, 3, 3, nil, nil},
		{vedette.Skip, 3 * time.Hour, []vedette.Job{waiting}, nil, 3, 3, nil, nil},
		{vedette.Skip, 3 * time.Hour, []vedette.Job{retrying}, nil, 3, 3, nil, nil},
		{vedette.Skip, 3 * time.Hour, []vedette.Job{told}, nil, 3, 3, nil, nil},
		{vedette.BufferOne, 3 * time.Hour, none, all[:1], 2, 3, nil, nil},
		{vedette.BufferOne, 3 * time.Hour, []vedette.Job{started}, all[:1], 2, 3, nil, nil},
		{vedette.BufferOne, 3 * time.Hour, []vedette.Job{started, waiting}, nil, 3, 3, nil, nil},
		{vedette.BufferOne, 3 * time.Hour, []vedette.Job{job(5, vedette.JobScheduled)}, nil, 3, 3, nil, nil},
		{vedette.BufferAll, 3 * time.Hour, none, all, 0, 3, nil, nil},
		{vedette.BufferAll, 3 * time.Hour, []vedette.Job{started, waiting}, all, 0, 3, nil, nil},
		{vedette.CancelOther, 3 * time.Hour, none, all[2:], 2, 3, nil, nil},
		{vedette.CancelOther, 3 * time.Hour, []vedette.Job{started, waiting, told, retrying}, all[2:], 2, 3, ids(1, 2, 4), nil},
		{vedette.TerminateOther, 3 * time.Hour, none, all[2:], 2, 3, nil, nil},
		{vedette.TerminateOther, 3 * time.Hour, []vedette.Job{started, waiting, told}, all[2:], 2, 3, ids(1, 2), ids(1, 2, 3)},
		{vedette.AllowAll, 3 * time.Hour, []vedette.Job{started, waiting}, all, 0, 3, nil, nil},
		{vedette.AllowAll, 24 * time.Hour, none, []string{"10:00", "11:00", "12:00", "13:00", "14:00", "15:00"}, 0, 0, nil, nil},
	} {
		name := fmt.Sprintf("%s within %v beside %d", c.overlap, c.catchUp, len(c.live))
		s := hourly()
		s.Overlap, s.CatchUp = c.overlap, c.catchUp
		was := vedette.Cursor{Scraper: "s", Version: 1, At: at(day + "10:00:00"), Live: c.live}
		f := plan(t, s).Decide(was, at(day+"15:30:00"))
		if got := fired(f); !cmp.Equal(got, c.push) || f.Now.Skipped != c.skipped || f.Now.Dropped != c.dropped {
			t.Errorf("%s: fires %v, skips %d, drops %d, want %v, %d, %d",
				name, got, f.Now.Skipped, f.Now.Dropped, c.push, c.skipped, c.dropped)
		}
		if d := cmp.Diff([][]vedette.ID{c.cancel, c.terminate}, [][]vedette.ID{f.Cancel, f.Terminate}); d != "" {
			t.Errorf("%s: ends %s", name, d)
		}
		if want := at(day + "16:00:00"); !f.Now.At.Equal(want) {
			t.Errorf("%s: the cursor goes to %v, want %v", name, f.Now.At, want)
		}
		last := time.Time{}
		if n := len(c.push); n > 0 {
			last = at(day + c.push[n-1] + ":00")
		}
		if !f.Now.Last.Equal(last) {
			t.Errorf("%s: last is %v, want %v", name, f.Now.Last, last)
		}
	}
}

func TestKeysLetTheStoreHoldToThePolicy(t *testing.T) {
	for overlap, want := range map[vedette.Overlap]vedette.Job{
		"":                     {Unique: "scraper/s", LimitKey: "own", Limit: 7},
		vedette.Skip:           {Unique: "scraper/s", LimitKey: "own", Limit: 7},
		vedette.BufferOne:      {UniqueWaiting: "next/s", LimitKey: "scraper/s", Limit: 1},
		vedette.BufferAll:      {LimitKey: "scraper/s", Limit: 1},
		vedette.CancelOther:    {LimitKey: "scraper/s", Limit: 1},
		vedette.TerminateOther: {},
		vedette.AllowAll:       {LimitKey: "own", Limit: 7},
	} {
		s := scraper("s", hourly())
		s.Schedule.Overlap = overlap
		s.Job.LimitKey, s.Job.Limit = want.LimitKey, want.Limit
		if want.Limit == 1 {
			s.Job.LimitKey, s.Job.Limit = "", 0
		}
		f := compile(t, s).Decide(cursor("10:00:00"), at(day+"10:00:00"))
		got := f.Push[0]
		if got.Unique != want.Unique || got.UniqueWaiting != want.UniqueWaiting || got.LimitKey != want.LimitKey || got.Limit != want.Limit {
			t.Errorf("%q: keys %q, %q, %q up to %d, want %+v", overlap, got.Unique, got.UniqueWaiting, got.LimitKey, got.Limit, want)
		}
	}
}

// TestLatenessCountsFromWhenARunMayBegin has runs that jitter moves into the window, and ends the
// window to the nanosecond.
func TestLatenessCountsFromWhenARunMayBegin(t *testing.T) {
	for _, s := range []vedette.Schedule{
		{Cron: "0 * * * *", Jitter: time.Hour},
		{Every: time.Hour, Jitter: time.Hour},
		{Every: time.Hour},
		{Calendar: []vedette.Calendar{{Hour: ints(24)}}},
	} {
		p := plan(t, s)
		due := p.Next(at(day + "10:00:00"))
		was := vedette.Cursor{Scraper: "s", Version: 1, At: due.Add(-2 * time.Hour)}
		last := p.RunAt(due).Add(time.Minute)
		if f := p.Decide(was, last); len(f.Push) != 1 || !f.Push[0].FireAt.Equal(due) || f.Now.Dropped != 2 {
			t.Errorf("%+v, a minute late: %d runs, %d dropped", s, len(f.Push), f.Now.Dropped)
		}
		if f := p.Decide(was, last.Add(1)); len(f.Push) != 0 || f.Now.Dropped != 3 {
			t.Errorf("%+v, more than a minute late: %d runs, %d dropped", s, len(f.Push), f.Now.Dropped)
		}
	}
}

// TestWorkIsBounded has cursors that stood still for a year, of scrapers that are due each second.
func TestWorkIsBounded(t *testing.T) {
	now := at("2026-06-01 00:00:00")
	for name, s := range map[string]vedette.Schedule{
		"every, all too late":  {Every: time.Second},
		"every, with jitter":   {Every: time.Second, Jitter: time.Second / 2},
		"every, until to":      {Every: time.Second, To: at("2026-05-31 00:00:00")},
		"cron, all too late":   {Cron: "* * * * * *"},
		"every, all caught up": {Every: time.Second, CatchUp: 365 * 24 * time.Hour, Overlap: vedette.AllowAll},
		"cron, all skipped":    {Cron: "* * * * * *", CatchUp: 365 * 24 * time.Hour},
		"calendar, cancelled":  {Calendar: []vedette.Calendar{{Hour: ints(24), Minute: ints(60), Second: ints(60)}}, CatchUp: 365 * 24 * time.Hour, Overlap: vedette.CancelOther},
	} {
		p := plan(t, s)
		c := vedette.Cursor{Scraper: "s", Version: 1, At: p.Next(now.Add(-49 * time.Hour))}
		began, all, runs := c.At, int64(0), 0
		for n := 0; ; n++ {
			f := p.Decide(c, now)
			runs += len(f.Push)
			all += int64(len(f.Push)) + f.Now.Skipped - c.Skipped + f.Now.Dropped - c.Dropped
			if len(f.Push) > 1000 {
				t.Fatalf("%s: %d runs at once", name, len(f.Push))
			}
			if !f.Now.At.IsZero() && !f.Now.At.After(c.At) || n > 500 {
				t.Fatalf("%s: stands at %v after %d decisions", name, f.Now.At, n)
			}
			if c = f.Now; c.At.IsZero() || c.At.After(now) {
				break
			}
		}
		want := int64(now.Sub(began)/time.Second) + 1
		if !s.To.IsZero() {
			want -= 24 * 3600
		}
		if all != want && all != want-1 { // a beat need not be whole
			t.Errorf("%s: %d due times are told of, want %d", name, all, want)
		}
		if s.Overlap == vedette.AllowAll && int64(runs) != all {
			t.Errorf("%s: %d runs of %d", name, runs, all)
		}
	}
}

func ints(n int) (list []int) {
	for i := range n {
		list = append(list, i)
	}
	return list
}

// TestBacklogIsBounded leaves out what would pile up without end.
func TestBacklogIsBounded(t *testing.T) {
	for _, overlap := range []vedette.Overlap{vedette.BufferAll, vedette.AllowAll} {
		s := hourly()
		s.Overlap = overlap
		c := cursor("10:00:00")
		c.Live = make([]vedette.Job, 9_999)
		if f := plan(t, s).Decide(c, c.At); len(f.Push) != 1 {
			t.Errorf("%s: %d runs beside 9,999, want 1", overlap, len(f.Push))
		}
		c.Live = append(c.Live, vedette.Job{})
		if f := plan(t, s).Decide(c, c.At); len(f.Push) != 0 || f.Now.Skipped != c.Skipped+1 {
			t.Errorf("%s: %d runs beside 10,000, want one skipped", overlap, len(f.Push))
		}
	}
}

func TestRunsOfOneTurnSortByTheirDueTimes(t *testing.T) {
	p := plan(t, vedette.Schedule{Every: time.Second, CatchUp: time.Hour, Overlap: vedette.AllowAll})
	now := at(day + "10:00:00")
	f := p.Decide(vedette.Cursor{Scraper: "s", Version: 1, At: p.Next(now.Add(-time.Minute))}, now)
	if len(f.Push) < 59 {
		t.Fatalf("%d runs, want a minute of them", len(f.Push))
	}
	for i, j := range f.Push[1:] {
		if j.ID.String() <= f.Push[i].ID.String() || !j.RunAt.After(f.Push[i].RunAt) {
			t.Fatalf("%v at %v is not after %v", j.ID, j.RunAt, f.Push[i].ID)
		}
	}
}
