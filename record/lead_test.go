package record_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/record"
	"github.com/vedettehq/vedette/verdict"
)

// A keeper counts prunings, and lets them last.
type keeper struct {
	vedette.Keeper
	prunes atomic.Int32
	keep   atomic.Pointer[vedette.Retention]
	last   time.Duration
}

func (k *keeper) Prune(ctx context.Context, now time.Time, keep vedette.Retention) (bool, error) {
	k.prunes.Add(1)
	k.keep.Store(&keep)
	select {
	case <-time.After(k.last):
	case <-ctx.Done():
		return false, ctx.Err()
	}
	return k.Keeper.Prune(ctx, now, keep)
}

func TestOneRecordLeadsAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		var keepers [2]keeper
		var stop [2]func()
		for i := range keepers {
			keepers[i].Keeper = store
			cfg := config(store)
			cfg.Keeper, cfg.Leaser, cfg.Owner = &keepers[i], store.Leases(), string(rune('a'+i))
			stop[i] = begin(t, start(t, cfg))
			synctest.Wait()
		}
		time.Sleep(10*time.Minute + time.Second)
		if a, b := keepers[0].prunes.Load(), keepers[1].prunes.Load(); a != 10 || b != 0 {
			t.Errorf("the one that came first pruned %d times and the other %d, want 10 and none", a, b)
		}
		stop[0]()
		time.Sleep(2 * time.Minute)
		if n := keepers[1].prunes.Load(); n == 0 {
			t.Error("the second did not take over when the first had stopped")
		}
	})
}

// Keeping history may take long: silence shows all the same.
func TestLongWorkDoesNotDelayTheSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		put(t, store, monitor("shop"))
		slow := &keeper{Keeper: store, last: time.Hour}
		cfg := config(store)
		cfg.Keeper, cfg.Leaser, cfg.Owner = slow, store.Leases(), "a"
		r := start(t, cfg)
		run(t, r)
		time.Sleep(5 * time.Minute)
		if slow.prunes.Load() != 1 {
			t.Fatalf("%d prunings, want one that lasts", slow.prunes.Load())
		}
		send(t, r, look("shop", time.Now(), vedette.Up))
		time.Sleep(verdict.Fresh(monitor("shop")) + 3*time.Second)
		if s := status(t, store, "shop"); s.State != vedette.Unknown {
			t.Errorf("shop is %s, want unknown", s.State)
		}
	})
}

func TestRetentionIsTakenWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keeper{Keeper: memory.New()}
		cfg := config(memory.New())
		cfg.Keeper, cfg.Retention = k, vedette.Retention{Results: time.Hour}
		r := start(t, cfg)
		run(t, r)
		for _, want := range []time.Duration{time.Hour, 2 * time.Hour} {
			r.Retain(vedette.Retention{Results: want})
			time.Sleep(2 * time.Minute)
			if got := k.keep.Load().Results; got != want {
				t.Errorf("pruned to %v, want %v", got, want)
			}
		}
	})
}

// A late row, and one of a monitor that is gone, is counted in its hour and day.
func TestLateAndOrphanedRowsAreRolledUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		put(t, store, monitor("shop"))
		r := start(t, config(store))
		run(t, r)
		for range 90 {
			send(t, r, look("shop", time.Now(), vedette.Up))
			time.Sleep(10 * time.Second)
		}
		sums := func(p vedette.Period) (checks, failed int64) {
			rolls, err := store.Rollups(t.Context(), p, time.Time{}, time.Now().Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range rolls {
				checks, failed = checks+one.Checks, failed+one.Failed
			}
			return checks, failed
		}
		late := look("shop", time.Now().Add(-time.Minute-time.Second), vedette.Down)
		last := time.Now()
		send(t, r, look("shop", last, vedette.Up))
		remove(t, store, "shop")
		time.Sleep(time.Hour)
		for _, p := range []vedette.Period{vedette.Hourly, vedette.Daily} {
			if checks, failed := sums(p); checks != 91 || failed != 0 {
				t.Errorf("%d checks, %d failed in %v; want 91 and none", checks, failed, time.Duration(p))
			}
		}
		send(t, r, late)
		time.Sleep(5 * time.Minute)
		for _, p := range []vedette.Period{vedette.Hourly, vedette.Daily} {
			if checks, failed := sums(p); checks != 92 || failed != 1 {
				t.Errorf("%d checks, %d failed in %v with the late one; want 92 and 1", checks, failed, time.Duration(p))
			}
		}
	})
}

func TestNewWantsAnOwnerForItsLease(t *testing.T) {
	cfg := config(memory.New())
	cfg.Leaser = memory.New().Leases()
	if _, err := record.New(cfg); err == nil {
		t.Error("a lease without an owner is taken")
	}
}

// The record that sweeps is not the one that gets the looks: what it takes for silence is none,
// and it finds that out before it says so.
func TestSweepSeesLooksThatAnotherRecordWrote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		put(t, store, monitor("shop"))
		sweeper, writer := start(t, config(store)), start(t, config(store))
		send(t, sweeper, look("shop", time.Now(), vedette.Up))
		run(t, sweeper)
		for range 30 {
			time.Sleep(10 * time.Second)
			send(t, writer, look("shop", time.Now(), vedette.Up))
		}
		all, err := store.History(t.Context(), "shop", vedette.Span{})
		if err != nil || len(all) != 31 {
			t.Errorf("%d results, %v; want 31 looks and no end of a vote", len(all), err)
		}
	})
}
