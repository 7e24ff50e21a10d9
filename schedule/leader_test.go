package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/schedule"
)

// lead runs a leader, and returns what stops it.
func lead(t *testing.T, store *memory.Store, owner string, edit ...func(*schedule.Config)) (*schedule.Leader, func()) {
	t.Helper()
	c := schedule.Config{
		Owner: owner, Leases: store.Leases(), Scrapers: store.Scrapers(), Schedules: store.Schedules(),
		Jobs: store.Jobs(), Queue: store.Queue(),
	}
	for _, f := range edit {
		f(&c)
	}
	l, err := schedule.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return l, stop
}

// put keeps scrapers, and returns them as they are kept.
func put(t *testing.T, store *memory.Store, all ...vedette.Scraper) []vedette.Scraper {
	t.Helper()
	if err := store.Scrapers().Put(t.Context(), all...); err != nil {
		t.Fatal(err)
	}
	for i := range all {
		all[i], _ = store.Scrapers().Get(t.Context(), all[i].ID)
	}
	return all
}

// fresh returns a scraper that is not kept yet, and of which all runs are wanted.
func fresh(id string, s vedette.Schedule) vedette.Scraper {
	s.Overlap = vedette.AllowAll
	all := scraper(id, s)
	all.Version = 0
	return all
}

// runs returns the due times of a scraper's jobs, in order.
func runs(t *testing.T, store *memory.Store, id vedette.ScraperID) (due []time.Time) {
	t.Helper()
	jobs, err := store.Jobs().List(t.Context(), vedette.Job{Scraper: id}, vedette.ID{}, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs {
		due = append(due, j.FireAt)
	}
	slices.SortFunc(due, time.Time.Compare)
	return due
}

func cursors(t *testing.T, store *memory.Store) []vedette.Cursor {
	t.Helper()
	all, err := store.Schedules().List(t.Context(), "", 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestLeaderFiresEachDueTimeOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		all := put(t, store, fresh("cron", hourly()), fresh("every", vedette.Schedule{Every: 7 * time.Minute}), fresh("hand", vedette.Schedule{}))
		began := time.Now()
		_, stop := lead(t, store, "a")
		time.Sleep(24*time.Hour + time.Second)
		stop()
		for _, s := range all {
			want := compile(t, s).Upcoming(began, 1000)
			want = slices.DeleteFunc(want, func(due time.Time) bool { return due.After(time.Now()) })
			if got := runs(t, store, s.ID); !slices.EqualFunc(got, want, time.Time.Equal) {
				t.Errorf("%s: %d runs, want %d", s.ID, len(got), len(want))
			}
		}
		jobs, _ := store.Jobs().List(t.Context(), vedette.Job{}, vedette.ID{}, 10_000)
		for _, j := range jobs {
			if late := j.CreatedAt.Sub(j.FireAt); late < 0 || late > 20*time.Millisecond {
				t.Errorf("the run of %s for %v is made %v late", j.Scraper, j.FireAt, late)
			}
		}
	})
}

// slow is a store that takes its time to answer.
type slow struct{ vedette.Schedules }

func (s slow) Due(ctx context.Context, n int) ([]vedette.Cursor, time.Time, error) {
	time.Sleep(3 * time.Millisecond)
	return s.Schedules.Due(ctx, n)
}

func TestSlowAnswersDoNotAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		put(t, store, fresh("s", vedette.Schedule{Every: time.Second}))
		lead(t, store, "a", func(c *schedule.Config) { c.Schedules = slow{c.Schedules} })
		time.Sleep(time.Minute + time.Second/2)
		jobs, _ := store.Jobs().List(t.Context(), vedette.Job{}, vedette.ID{}, 100)
		if late := jobs[0].CreatedAt.Sub(jobs[0].FireAt); len(jobs) < 60 || late > 20*time.Millisecond {
			t.Errorf("%d runs, the last %v late", len(jobs), late)
		}
	})
}

// sized notes the largest transaction.
type sized struct {
	vedette.Schedules
	firings, runs *int
}

func (s sized) Fire(ctx context.Context, leader vedette.Lease, all ...vedette.Firing) error {
	n := 0
	for _, f := range all {
		n += len(f.Push)
	}
	*s.firings, *s.runs = max(*s.firings, len(all)), max(*s.runs, n)
	return s.Schedules.Fire(ctx, leader, all...)
}

func TestManyAtOnceShareTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		all := make([]vedette.Scraper, 1700)
		for i := range all {
			all[i] = fresh(fmt.Sprint("s", i), hourly())
		}
		put(t, store, all...)
		firings, runs := 0, 0
		_, stop := lead(t, store, "a", func(c *schedule.Config) { c.Schedules = sized{c.Schedules, &firings, &runs} })
		time.Sleep(time.Hour + time.Second)
		stop()
		jobs, _ := store.Jobs().List(t.Context(), vedette.Job{}, vedette.ID{}, 10_000)
		if len(jobs) != len(all) || firings != 500 || runs != 500 {
			t.Fatalf("%d runs, by up to %d and %d at once, want %d by up to 500", len(jobs), firings, runs, len(all))
		}
		if late := jobs[0].CreatedAt.Sub(jobs[0].FireAt); late > 50*time.Millisecond {
			t.Errorf("the last is made %v late", late)
		}
	})
}

// TestLeadersFollowEachOther has one lead after the other: some resign, and some lose touch with
// the leases and go on, in vain.
func TestLeadersFollowEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		s := put(t, store, fresh("s", vedette.Schedule{Every: time.Second}))[0]
		began := time.Now()
		for i := range 6 {
			leader, stop := lead(t, store, fmt.Sprint(i), func(c *schedule.Config) {
				if i%2 == 1 {
					c.Leases = &cut{Leaser: c.Leases, after: time.Now().Add(20 * time.Second)}
				}
			})
			time.Sleep(15 * time.Second)
			if !leader.Leads() {
				t.Errorf("leader %d does not lead", i)
			}
			time.Sleep(15 * time.Second)
			if i%2 == 0 {
				stop()
			}
		}
		_, stop := lead(t, store, "last")
		time.Sleep(30 * time.Second)
		stop()
		want := compile(t, s).Next(began)
		for _, due := range runs(t, store, "s") {
			if !due.Equal(want) {
				t.Fatalf("fired for %v, want %v", due, want)
			}
			want = want.Add(time.Second)
		}
		if late := time.Since(want); late > time.Second {
			t.Errorf("the last run is %v old", late)
		}
	})
}

// cut is a store that is out of reach after a while, for leases.
type cut struct {
	vedette.Leaser
	after time.Time
}

func (c *cut) Acquire(ctx context.Context, owner string, ttl time.Duration, names ...string) ([]vedette.Lease, error) {
	if time.Now().After(c.after) {
		return nil, errors.New("no route")
	}
	return c.Leaser.Acquire(ctx, owner, ttl, names...)
}

func TestLeaderFollowsChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		lead(t, store, "a")
		time.Sleep(time.Minute)
		s := put(t, store, fresh("s", vedette.Schedule{Every: time.Minute}))[0]
		time.Sleep(10 * time.Minute)
		if got := len(runs(t, store, "s")); got != 10 {
			t.Errorf("%d runs of a scraper that was added, want 10", got)
		}
		s.Schedule.Every = time.Second
		s = put(t, store, s)[0]
		time.Sleep(10*time.Second + 500*time.Millisecond)
		if got := len(runs(t, store, "s")); got != 20 && got != 21 {
			t.Errorf("%d runs after a change, want one a second since", got)
		}
		s.Paused = true
		s = put(t, store, s)[0]
		synctest.Wait()
		before := len(runs(t, store, "s"))
		time.Sleep(time.Hour)
		if got := len(runs(t, store, "s")); got != before {
			t.Errorf("%d runs while paused", got-before)
		}
		s.Paused = false
		s = put(t, store, s)[0]
		time.Sleep(10*time.Second + 500*time.Millisecond)
		if got := len(runs(t, store, "s")) - before; got != 10 && got != 11 {
			t.Errorf("%d runs after the pause, want one a second since", got)
		}
		s.Schedule.Cron = "x"
		s = put(t, store, s)[0]
		time.Sleep(2 * time.Second)
		if all := cursors(t, store); len(all) != 1 || !all[0].At.IsZero() || all[0].Version != s.Version {
			t.Errorf("the cursor of a scraper that makes no sense is %+v", all)
		}
		if err := store.Scrapers().Delete(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if all := cursors(t, store); len(all) != 0 {
			t.Errorf("left behind: %+v", all)
		}
	})
}

// picky refuses the runs of one scraper.
type picky struct {
	vedette.Schedules
	id vedette.ScraperID
}

func (p picky) Fire(ctx context.Context, leader vedette.Lease, all ...vedette.Firing) error {
	for _, f := range all {
		if f.Scraper == p.id && len(f.Push) > 0 {
			return vedette.ErrRefused
		}
	}
	return p.Schedules.Fire(ctx, leader, all...)
}

func TestRefusedRunsHoldUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		put(t, store, fresh("bad", hourly()), fresh("good", hourly()))
		lead(t, store, "a", func(c *schedule.Config) { c.Schedules = picky{c.Schedules, "bad"} })
		time.Sleep(5*time.Hour + time.Minute)
		if bad, good := len(runs(t, store, "bad")), len(runs(t, store, "good")); bad != 0 || good != 5 {
			t.Errorf("%d and %d runs, want 0 and 5", bad, good)
		}
		if c := cursors(t, store)[0]; c.Scraper != "bad" || c.Dropped != 5 {
			t.Errorf("the cursor is %+v, want 5 dropped", c)
		}
	})
}

func TestLeaderRescuesAndRetires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		q := store.Queue()
		lead(t, store, "a", func(c *schedule.Config) { c.History = time.Hour })
		time.Sleep(time.Second)
		beat := func(owner string, ttl time.Duration) {
			if _, err := q.Beat(t.Context(), owner, ttl); err != nil {
				t.Fatal(err)
			}
		}
		beat("dies", 9*time.Second)
		beat("lives", time.Hour)
		j := vedette.Job{ID: vedette.NewID(time.Now()), Handler: "h", MaxAttempts: 2}
		if _, err := store.Jobs().Push(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		if _, err := q.Claim(t.Context(), "dies", 1, vedette.Want{Queue: vedette.DefaultQueue}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		got, err := q.Claim(ctx, "lives", 1, vedette.Want{Queue: vedette.DefaultQueue})
		if err != nil || len(got) != 1 || got[0].Attempt != 2 {
			t.Fatalf("after its worker was lost: %+v, %v", got, err)
		}
		if _, err := q.Finish(t.Context(), vedette.End{Ref: got[0].Ref(), State: vedette.JobSucceeded}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour + 2*time.Minute)
		if _, err := store.Jobs().Get(t.Context(), j.ID); !errors.Is(err, vedette.ErrNotFound) {
			t.Errorf("history past its time: %v", err)
		}
	})
}
