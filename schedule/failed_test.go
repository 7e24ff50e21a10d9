package schedule_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
)

// end claims the next run, and ends it.
func end(t *testing.T, store *memory.Store, state vedette.JobState) vedette.Job {
	t.Helper()
	q := store.Queue()
	if _, err := q.Beat(t.Context(), "w", time.Hour); err != nil {
		t.Fatal(err)
	}
	got, err := q.Claim(t.Context(), "w", 1, vedette.Want{Queue: vedette.DefaultQueue})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Finish(t.Context(), vedette.End{Ref: got[0].Ref(), State: state}); err != nil {
		t.Fatal(err)
	}
	return got[0]
}

func TestFailureHoldsTheScheduleUntilARunSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		s := put(t, store, fresh("s", vedette.Schedule{Cron: "* * * * *", PauseOnFailure: true}))[0]
		lead(t, store, "a")
		made := func(want int) {
			t.Helper()
			if got := len(runs(t, store, "s")); got != want {
				t.Fatalf("%d runs by %v, want %d", got, time.Now(), want)
			}
		}
		time.Sleep(time.Minute + time.Second)
		end(t, store, vedette.JobSucceeded)
		time.Sleep(time.Minute)
		made(2)
		bad := end(t, store, vedette.JobFailed)
		time.Sleep(10 * time.Minute)
		made(2)
		if c := cursors(t, store)[0]; c.Failed != bad.ID || c.Skipped != 0 || c.Dropped != 0 || c.At.Before(time.Now()) {
			t.Errorf("%+v, want it to name %s, to count nothing and to go on", c, bad.ID)
		}

		byHand := vedette.Job{ID: vedette.NewID(time.Now()), Scraper: "s", Handler: "h"}
		if _, err := store.Jobs().Push(t.Context(), byHand); err != nil {
			t.Fatal(err)
		}
		made(3)
		end(t, store, vedette.JobSucceeded)
		time.Sleep(time.Minute)
		made(4)
		if c := cursors(t, store)[0]; !c.Failed.IsZero() {
			t.Errorf("%+v after a run that succeeded", c)
		}

		end(t, store, vedette.JobDead)
		time.Sleep(time.Minute)
		made(4)
		put(t, store, s)
		time.Sleep(time.Minute + time.Second)
		made(5)
	})
}

func TestFailureIsNothingToOtherSchedules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		put(t, store, fresh("s", vedette.Schedule{Cron: "* * * * *"}))
		lead(t, store, "a")
		for range 3 {
			time.Sleep(time.Minute)
			end(t, store, vedette.JobFailed)
		}
		if got := len(runs(t, store, "s")); got < 3 {
			t.Errorf("%d runs, want one a minute", got)
		}
	})
}
