package watch

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/when"
)

func TestLooksSpreadEvenlyFromTheFirstInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		ids := monitors(t, store, 1000, vedette.Monitor{Interval: 10 * time.Second})
		r := rigged(t, store, allUp).start(t)
		began := time.Now()
		time.Sleep(20*time.Second + 200*time.Millisecond)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		buckets := map[int64]int{}
		for _, res := range r.sink.results() {
			buckets[res.StartedAt.UnixMilli()/100]++
		}
		for at, n := range buckets {
			if n > 28 {
				t.Errorf("%d looks in the 100ms at %d, want about 10", n, at)
			}
		}
		for _, id := range ids {
			rs := r.sink.of(id)
			if len(rs) < 2 || rs[0].StartedAt.Sub(began) > 10*time.Second {
				t.Fatalf("%s: %d looks in 20s, want 2 and the first within 10s", id, len(rs))
			}
			phase := when.Phase(id.Hash(), 10*time.Second)
			if want := when.Next(began, 10*time.Second, phase); !rs[0].DueAt.Equal(want) {
				t.Fatalf("%s: first due at %v, want %v", id, rs[0].DueAt, want)
			}
			if got := rs[1].DueAt.Sub(rs[0].DueAt); got != 10*time.Second {
				t.Fatalf("%s: due again after %v", id, got)
			}
		}
		if r.meter.lag > time.Millisecond || len(r.meter.missed) > 0 {
			t.Errorf("lag %v, missed %v, want none", r.meter.lag, r.meter.missed)
		}
	})
}

// Beats that pass while the process starts are made up for within its first interval, evenly, and
// the beat is kept from then on.
func TestBeatsMissedWhileStartingAreMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		const every = 10 * time.Second
		ids := monitors(t, store, 1000, vedette.Monitor{Interval: every})
		began := time.Now()
		r := rigged(t, store, allUp, func(c *Config) { c.Since = began })
		time.Sleep(3 * time.Second) // the process reads its configuration
		r.start(t)
		time.Sleep(20 * time.Second)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		buckets := map[int64]int{}
		madeUp := 0
		for _, id := range ids {
			rs := r.sink.of(id)
			if first := rs[0].StartedAt.Sub(began); first > every {
				t.Fatalf("%s: first look %v after the start", id, first)
			}
			phase := when.Phase(id.Hash(), every)
			if !rs[0].DueAt.Equal(when.Next(began.Add(3*time.Second), every, phase)) {
				madeUp++
				buckets[rs[0].StartedAt.UnixMilli()/500]++
				rs = rs[1:]
			}
			for i, res := range rs {
				if want := when.Next(began.Add(3*time.Second+time.Duration(i)*every), every, phase); !res.DueAt.Equal(want) {
					t.Fatalf("%s: look %d due at %v, want the beat at %v", id, i, res.DueAt, want)
				}
			}
		}
		if madeUp < 250 || madeUp > 350 {
			t.Errorf("%d looks made up for, want about 300", madeUp)
		}
		for at, n := range buckets {
			if n > 65 {
				t.Errorf("%d of them in the half second at %d, want about 43", n, at)
			}
		}
	})
}

func TestResultSaysWhoLookedWhenAtWhat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		monitors(t, store, 1, vedette.Monitor{Interval: time.Second})
		r := rigged(t, store, func(ctx context.Context, _ vedette.Monitor) vedette.Result {
			end, _ := ctx.Deadline()
			return vedette.Result{State: vedette.Up, Code: int(time.Until(end) / time.Second)}
		}).start(t)
		time.Sleep(2 * time.Second)
		leases, err := store.Leases().List(t.Context(), "shard/eu/")
		if err != nil || len(leases) != 64 {
			t.Fatalf("%d leases, %v", len(leases), err)
		}
		_ = r.stop()
		got := r.sink.results()[0]
		id := vedette.MonitorID("m000000")
		if got.ID.IsZero() || !got.ID.Time().Equal(got.StartedAt) || got.StartedAt.Nanosecond()%1000 != 0 {
			t.Errorf("id %v of %v, started %v", got.ID, got.ID.Time(), got.StartedAt)
		}
		if got.Monitor != id || got.Region != "eu" || got.Revision != 1 || got.Code != 10 {
			t.Errorf("got %+v, want %s in eu at revision 1 with 10s to look", got, id)
		}
		if want := leases[id.Shard(64)].Token; got.Token != want {
			t.Errorf("token %d, want %d", got.Token, want)
		}
	})
}

func TestSlowSiteIsNeverLookedAtTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		monitors(t, store, 1, vedette.Monitor{Interval: time.Second})
		r := rigged(t, store, func(context.Context, vedette.Monitor) vedette.Result {
			time.Sleep(2500 * time.Millisecond)
			return up
		}).start(t)
		time.Sleep(31 * time.Second)
		_ = r.stop()
		if r.meter.most() != 1 {
			t.Errorf("%d at once", r.meter.most())
		}
		if n, missed := len(r.sink.results()), r.meter.of("overlap"); n < 10 || n > 11 || missed < 19 || missed > 21 {
			t.Errorf("%d looks and %d overlaps in 31s, want a third and two thirds of 31", n, missed)
		}
	})
}

func TestRecheckWhileAChangeIsBeingConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		ids := monitors(t, store, 1, vedette.Monitor{
			Interval: time.Minute, RetryInterval: 10 * time.Second, Confirm: vedette.Confirm{Down: 3, Up: 2},
		})
		began := time.Now()
		r := rigged(t, store, func(context.Context, vedette.Monitor) vedette.Result {
			time.Sleep(time.Second)
			if at := time.Since(began); at > 90*time.Second && at < 7*time.Minute {
				return down
			}
			return up
		}).start(t)
		time.Sleep(12 * time.Minute)
		_ = r.stop()
		phase := when.Phase(ids[0].Hash(), time.Minute)
		fails, rechecks := 0, 0
		for i, res := range r.sink.results() {
			if i == 0 {
				continue
			}
			last := r.sink.results()[i-1]
			gap := res.StartedAt.Sub(last.StartedAt)
			onBeat := res.DueAt.UnixNano()%int64(time.Minute) == int64(phase)
			if res.State == vedette.Down {
				fails++
			}
			if gap == 11*time.Second { // a second to look, ten to the recheck
				rechecks++
			} else if !onBeat {
				t.Errorf("look %d after %v is neither a recheck nor on the beat", i, gap)
			}
		}
		// Two rechecks to confirm down, and one to confirm up.
		if rechecks != 3 || fails < 5 {
			t.Errorf("%d rechecks with %d failures, want 3 rechecks", rechecks, fails)
		}
	})
}

func TestNoFreeSlotIsCountedAndTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		monitors(t, store, 10_000, vedette.Monitor{Interval: time.Minute, Timeout: 10 * time.Second})
		before := runtime.NumGoroutine()
		r := rigged(t, store, func(ctx context.Context, _ vedette.Monitor) vedette.Result {
			<-ctx.Done()
			return down
		}, func(c *Config) { c.MaxInFlight = 100 }).start(t)
		most := 0
		for range 180 {
			time.Sleep(time.Second)
			most = max(most, runtime.NumGoroutine()-before)
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		looks, missed := 0, 0
		for _, res := range r.sink.results() {
			switch {
			case res.State == vedette.Down:
				looks++
			case res.State == vedette.Unknown && res.Failure.Kind == vedette.KindMissed:
				missed++
			}
		}
		// 100 slots make 10 looks a second where 167 are due.
		if looks < 1700 || looks > 2000 {
			t.Errorf("%d looks, want about 1,800", looks)
		}
		if got := r.meter.of("capacity"); got != missed || missed < 15_000 {
			t.Errorf("%d missed counted, %d told, want the rest of two intervals", got, missed)
		}
		if most > 120 || r.meter.most() > 100 {
			t.Errorf("%d goroutines with %d in flight, want 100 and a few", most, r.meter.most())
		}
	})
}

// TestSlotThatDoesNotRunIsNoLackOfSlots is a process that goes on after a stop: a look has its
// slot, and its site is due again before the look gets a CPU.
func TestSlotThatDoesNotRunIsNoLackOfSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigged(t, memory.New(), allUp)
		if err := r.open(); err != nil {
			t.Fatal(err)
		}
		sh, s, now := &shard{name: r.names[0]}, &site{}, time.Now()
		s.set(&vedette.Monitor{ID: "a", Interval: time.Second})
		r.mu.Lock() // the look cannot begin
		r.plan(sh, s, s.next(now))
		r.turn(sh, now.Add(time.Second))
		r.turn(sh, now.Add(2*time.Second))
		r.mu.Unlock()
		if n, m := r.meter.of("late"), r.meter.of("capacity"); n != 1 || m != 0 {
			t.Errorf("%d missed as late and %d for want of a slot, want 1 and 0", n, m)
		}
		if n := r.log.count("due faster"); n != 0 {
			t.Errorf("told %d times that there are too few slots", n)
		}
		if err := r.pool.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestWaitingKeepsTheOrder fills the slots for a moment: whoever was due first goes first.
func TestWaitingKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		monitors(t, store, 100, vedette.Monitor{Interval: 10 * time.Second})
		r := rigged(t, store, func(context.Context, vedette.Monitor) vedette.Result {
			time.Sleep(150 * time.Millisecond)
			return up
		}, func(c *Config) { c.MaxInFlight = 1 }).start(t)
		time.Sleep(8 * time.Second)
		_ = r.stop()
		rs := r.sink.results()
		for i := 1; i < len(rs); i++ {
			if rs[i].DueAt.Before(rs[i-1].DueAt) {
				t.Fatalf("due at %v looked at after %v", rs[i].DueAt, rs[i-1].DueAt)
			}
		}
		if len(rs) < 50 || r.meter.lag < time.Second {
			t.Errorf("%d looks, lag %v: the slots were not short", len(rs), r.meter.lag)
		}
	})
}

// TestSkippedBeatsAreCounted is a process that did not run for ten beats.
func TestSkippedBeatsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		r := rigged(t, store, allUp)
		if err := r.open(); err != nil {
			t.Fatal(err)
		}
		sh := &shard{name: r.names[0]}
		s := &site{}
		s.set(&vedette.Monitor{ID: "a", Interval: time.Second})
		r.shards[0] = sh
		r.plan(sh, s, s.next(time.Now().Add(-10*time.Second)))
		r.dispatch()
		if got := r.meter.of("late"); got != 9 {
			t.Errorf("%d beats counted as late, want 9 of 10", got)
		}
		if err := r.pool.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// A stopping meter is where the process is stopped, in the middle of the loop's work.
type stopping struct{ *meter }

func (s stopping) Missed(why string, n int) {
	s.meter.Missed(why, n)
	time.Sleep(12 * time.Second)
}

// TestStopAmidDispatchIsTold is a process that is stopped while the loop works, not while it
// sleeps.
func TestStopAmidDispatchIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rigged(t, memory.New(), allUp, func(c *Config) { c.Meter = stopping{&meter{}} })
		if err := r.open(); err != nil {
			t.Fatal(err)
		}
		sh := &shard{name: r.names[0]}
		s := &site{}
		s.set(&vedette.Monitor{ID: "a", Interval: time.Minute})
		r.plan(sh, s, s.next(time.Now().Add(-2*time.Minute)))
		time.Sleep(r.dispatch())
		if n := r.log.count("did not run in time"); n != 0 {
			t.Fatalf("told %d times before", n)
		}
		r.dispatch()
		if n := r.log.count("did not run in time"); n != 1 {
			t.Errorf("told %d times, want once", n)
		}
		if err := r.pool.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
