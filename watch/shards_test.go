package watch

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/storetest"
	"github.com/vedettehq/vedette/when"
)

// onBeat fails unless all results are on their monitors' beats, and returns how many looks there
// were of each due time of each monitor.
func onBeat(t *testing.T, interval time.Duration, rs ...vedette.Result) map[vedette.MonitorID]map[time.Time]int {
	t.Helper()
	seen := map[vedette.MonitorID]map[time.Time]int{}
	for _, r := range rs {
		if got, want := r.DueAt.UnixNano()%int64(interval), int64(when.Phase(r.Monitor.Hash(), interval)); got != want {
			t.Fatalf("%s due at phase %d, want %d", r.Monitor, got, want)
		}
		if seen[r.Monitor] == nil {
			seen[r.Monitor] = map[time.Time]int{}
		}
		seen[r.Monitor][r.DueAt]++
	}
	return seen
}

func TestHandOverKeepsBeatsAndLooksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		ids := monitors(t, store, 500, vedette.Monitor{Interval: 2 * time.Second})
		a := rigged(t, store, allUp).start(t)
		time.Sleep(20 * time.Second)
		b := rigged(t, store, allUp).start(t)
		time.Sleep(20 * time.Second)
		if a.meter.shards() != 32 || b.meter.shards() != 32 {
			t.Fatalf("%d and %d shards, want 32 each", a.meter.shards(), b.meter.shards())
		}
		_ = a.stop()
		time.Sleep(20 * time.Second)
		_ = b.stop()
		if len(a.meter.missed)+len(b.meter.missed) > 0 {
			t.Errorf("missed %v and %v", a.meter.missed, b.meter.missed)
		}
		seen := onBeat(t, 2*time.Second, slices.Concat(a.sink.results(), b.sink.results())...)
		for _, id := range ids {
			times := slices.SortedFunc(maps.Keys(seen[id]), time.Time.Compare)
			for i, at := range times {
				if seen[id][at] > 1 {
					t.Fatalf("%s was looked at %d times for %v", id, seen[id][at], at)
				}
				// A shard given up is taken by the other at its next round.
				if i > 0 && at.Sub(times[i-1]) > 6*time.Second {
					t.Fatalf("%s was not looked at from %v to %v", id, times[i-1], at)
				}
			}
		}
	})
}

func TestDeadWatchersShardsMoveWithinTwoLeasePeriods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		ids := monitors(t, store, 300, vedette.Monitor{Interval: time.Second})
		var dead storetest.Failing
		a := rigged(t, store, allUp, func(c *Config) { c.Leaser = dead.Leaser(c.Leaser) }).start(t)
		b := rigged(t, store, allUp).start(t)
		time.Sleep(20 * time.Second)
		dead.Fail(errors.New("dead"))
		died := time.Now()
		time.Sleep(22 * time.Second)
		seen := onBeat(t, time.Second, b.sink.results()...)
		for _, id := range ids {
			last := slices.MaxFunc(slices.Collect(maps.Keys(seen[id])), time.Time.Compare)
			if last.Sub(died) < 20*time.Second {
				t.Fatalf("%s is not looked at two lease periods after its watcher died", id)
			}
		}
		// Back from the dead, it is refused and stops, and what it found meanwhile is told by
		// its token.
		dead.Fail(nil)
		time.Sleep(4 * time.Second)
		n := len(a.sink.results())
		time.Sleep(4 * time.Second)
		if got := len(a.sink.results()); got != n {
			t.Errorf("%d more looks by one whose leases were refused", got-n)
		}
		tokens := map[vedette.MonitorID]int64{}
		for _, r := range b.sink.results() {
			tokens[r.Monitor] = max(tokens[r.Monitor], r.Token)
		}
		for _, r := range a.sink.results() {
			if r.Token >= tokens[r.Monitor] {
				t.Fatalf("%s: the dead watcher's token %d is not below its successor's %d", r.Monitor, r.Token, tokens[r.Monitor])
			}
		}
	})
}

func TestLeaseLostInTheMiddleOfALook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		ids := monitors(t, store, 1, vedette.Monitor{Interval: 2 * time.Second})
		slow := false
		var mu sync.Mutex
		r := rigged(t, store, func(context.Context, vedette.Monitor) vedette.Result {
			mu.Lock()
			d := time.Duration(0)
			if slow {
				d = 5 * time.Second
			}
			mu.Unlock()
			time.Sleep(d)
			return down
		}).start(t)
		time.Sleep(5 * time.Second)
		mu.Lock()
		slow = true
		mu.Unlock()
		for r.inFlightNow() == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		name := r.names[ids[0].Shard(64)]
		mine, ok := r.keeper.Lease(name)
		if !ok {
			t.Fatal("not held")
		}
		if err := store.Leases().Release(t.Context(), mine); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Leases().Acquire(t.Context(), "thief", time.Hour, name); err != nil {
			t.Fatal(err)
		}
		before := len(r.sink.results())
		time.Sleep(10 * time.Second)
		got := r.sink.results()[before:]
		if len(got) != 1 || got[0].Token != mine.Token || got[0].State != vedette.Down {
			t.Fatalf("got %+v, want the one look that was in flight, with token %d", got, mine.Token)
		}
		if r.meter.shards() != 63 {
			t.Errorf("%d shards held, want 63", r.meter.shards())
		}
	})
}

func (w *Watch) inFlightNow() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.inFlight
}

func TestUnreachableStoreDoesNotStopTheLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		monitors(t, store, 100, vedette.Monitor{Interval: time.Second})
		var store2 storetest.Failing
		r := rigged(t, store, allUp, func(c *Config) { c.Leaser = store2.Leaser(c.Leaser) }).start(t)
		time.Sleep(5 * time.Second)
		store2.Fail(errors.New("no route"))
		time.Sleep(time.Minute)
		store2.Fail(nil)
		time.Sleep(time.Minute)
		_ = r.stop()
		for id, times := range onBeat(t, time.Second, r.sink.results()...) {
			if len(times) < 124 {
				t.Fatalf("%s was looked at %d times in 125s", id, len(times))
			}
		}
		if len(r.meter.missed) > 0 {
			t.Errorf("missed %v", r.meter.missed)
		}
	})
}

func TestWallClockJumpTakesNewTokensAndKeepsBeats(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memory.New()
				monitors(t, store, 100, vedette.Monitor{Interval: time.Second})
				r := rigged(t, store, allUp)
				var mu sync.Mutex
				var off time.Duration
				r.wall = func() time.Time {
					mu.Lock()
					defer mu.Unlock()
					return time.Now().Add(off)
				}
				r.start(t)
				time.Sleep(4500 * time.Millisecond)
				mu.Lock()
				off = jump
				mu.Unlock()
				jumped := time.Now()
				time.Sleep(10 * time.Second)
				_ = r.stop()
				var oldest, newest int64
				for _, res := range r.sink.results() {
					switch {
					case res.StartedAt.Before(jumped):
						oldest = max(oldest, res.Token)
					case res.Token <= oldest:
						t.Fatalf("a look %v after the jump has token %d of before", res.StartedAt.Sub(jumped), res.Token)
					default:
						newest = max(newest, res.Token)
					}
				}
				if newest == 0 {
					t.Fatal("no looks after the jump")
				}
				for id, times := range onBeat(t, time.Second, r.sink.results()...) {
					if len(times) < 13 {
						t.Fatalf("%s was looked at %d times in 14s", id, len(times))
					}
				}
			})
		})
	}
}

// TestStoreClockThatIsSetKeepsTheLooksGoing: due times are by the store's clock, so one that is
// set back must not leave them an hour ahead.
func TestStoreClockThatIsSetKeepsTheLooksGoing(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memory.New()
				monitors(t, store, 10, vedette.Monitor{Interval: time.Second})
				set := &setClock{Leaser: store.Leases()}
				r := rigged(t, store, allUp, func(c *Config) { c.Leaser = set }).start(t)
				time.Sleep(10 * time.Second)
				set.ahead.Store(int64(jump))
				time.Sleep(20 * time.Second)
				_ = r.stop()
				for id, times := range onBeat(t, time.Second, r.sink.results()...) {
					if len(times) < 28 {
						t.Errorf("%s was looked at %d times in 30s", id, len(times))
					}
				}
				rs := r.sink.results()
				if got := time.Until(rs[len(rs)-1].StartedAt) - jump; got.Abs() > 2*time.Second {
					t.Errorf("started %v off the store's clock", got)
				}
			})
		})
	}
}

// setClock is a store of leases whose clock can be set.
type setClock struct {
	vedette.Leaser
	ahead atomic.Int64
}

func (s *setClock) Acquire(ctx context.Context, owner string, ttl time.Duration, names ...string) ([]vedette.Lease, error) {
	got, err := s.Leaser.Acquire(ctx, owner, ttl, names...)
	for i := range got {
		got[i].At = got[i].At.Add(time.Duration(s.ahead.Load()))
	}
	return got, err
}

// TestLapsedLeaseIsNotWorkedOn is a store that hangs: no renewal, and no error in time either.
func TestLapsedLeaseIsNotWorkedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		monitors(t, store, 10, vedette.Monitor{Interval: 100 * time.Millisecond})
		hung := &hanging{Leaser: store.Leases(), hang: make(chan struct{})}
		r := rigged(t, store, allUp, func(c *Config) { c.Leaser = hung }).start(t)
		time.Sleep(time.Second)
		hung.stuck.Store(true)
		time.Sleep(20 * time.Second)
		last := r.sink.results()[len(r.sink.results())-1]
		if age := time.Since(last.StartedAt); age < 9*time.Second {
			t.Errorf("a look %v ago, 20s after the last renewal", age)
		}
		if r.meter.of("lease") == 0 {
			t.Error("looks that were not made are not counted")
		}
		close(hung.hang)
	})
}

func TestRecheckGoesOnAfterTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		ids := monitors(t, store, 1, vedette.Monitor{
			Interval: time.Hour, RetryInterval: time.Minute, Confirm: vedette.Confirm{Down: 3, Up: 1},
		})
		// Two of three failures are known, so that one more is enough.
		err := store.Write(t.Context(), vedette.Batch{Statuses: []vedette.Status{{
			Monitor: ids[0],
			Votes: []vedette.Vote{{Region: "eu", Tally: vedette.Tally{
				State: vedette.Up, Since: time.Now(), Streak: 2, StreakSince: time.Now(),
			}}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			reader vedette.Reader
			want   int
		}{{store, 1}, {nil, 3}} {
			r := rigged(t, store, func(context.Context, vedette.Monitor) vedette.Result { return down },
				func(cfg *Config) { cfg.Reader = c.reader }).start(t)
			time.Sleep(time.Until(when.Next(time.Now(), time.Hour, when.Phase(ids[0].Hash(), time.Hour))) + 10*time.Minute)
			_ = r.stop()
			if got := len(r.sink.results()); got != c.want {
				t.Errorf("%d looks until the change is confirmed, want %d", got, c.want)
			}
		}
	})
}
