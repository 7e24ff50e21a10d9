package watch

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
)

func TestChangeOfOneDisturbsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		ids := monitors(t, store, 10_000, vedette.Monitor{Interval: 10 * time.Second})
		var seen atomic.Bool
		r := rigged(t, store, func(_ context.Context, m vedette.Monitor) vedette.Result {
			if m.ID == ids[7] && m.URL == "tcp://changed:1" {
				seen.Store(true)
			}
			return up
		}).start(t)
		time.Sleep(20 * time.Second)
		before := dues(r.Watch)
		edit(t, store, ids[7], func(m *vedette.Monitor) { m.URL = "tcp://changed:1" })
		edit(t, store, ids[8], func(m *vedette.Monitor) { m.Interval = 2 * time.Second })
		synctest.Wait()
		after := dues(r.Watch)
		for _, id := range ids {
			if same := before[id].Equal(after[id]); !same && id != ids[8] {
				t.Fatalf("%s was due at %v, is at %v", id, before[id], after[id])
			}
		}
		if wait := time.Until(after[ids[8]]); wait > 2*time.Second {
			t.Errorf("due in %v with an interval of 2s", wait)
		}
		time.Sleep(10 * time.Second)
		_ = r.stop()
		if !seen.Load() {
			t.Error("the change was not looked at within its interval")
		}
		if rs := r.sink.of(ids[7]); rs[len(rs)-1].Revision != 2 {
			t.Errorf("revision %d, want 2", rs[len(rs)-1].Revision)
		}
		if n := len(r.sink.of(ids[8])); n < 6 || n > 8 {
			t.Errorf("%d looks in 20s at 10s and 10s at 2s", n)
		}
	})
}

func TestChangeKeepsAPendingRecheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		ids := monitors(t, store, 1, vedette.Monitor{
			Interval: time.Hour, RetryInterval: time.Minute, Confirm: vedette.Confirm{Down: 9},
		})
		r := rigged(t, store, func(context.Context, vedette.Monitor) vedette.Result { return down }).start(t)
		for len(r.sink.results()) == 0 {
			time.Sleep(time.Second)
		}
		before := dues(r.Watch)[ids[0]]
		edit(t, store, ids[0], func(m *vedette.Monitor) { m.Name = "another" })
		synctest.Wait()
		if after := dues(r.Watch)[ids[0]]; !after.Equal(before) || time.Until(after) > time.Minute {
			t.Errorf("the recheck was due at %v, is at %v", before, after)
		}
	})
}

func dues(w *Watch) map[vedette.MonitorID]time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[vedette.MonitorID]time.Time{}
	for id, s := range w.sites {
		all[id], _ = w.shards[s.shard].due.At(s)
	}
	return all
}

func TestPausedDeletedAndNewMonitors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		ids := monitors(t, store, 3, vedette.Monitor{Interval: time.Second})
		r := rigged(t, store, allUp).start(t)
		time.Sleep(10 * time.Second)
		edit(t, store, ids[0], func(m *vedette.Monitor) { m.Paused = true })
		gone, err := store.Monitors().Get(t.Context(), ids[1])
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Monitors().Delete(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		fresh := vedette.Monitor{ID: "new", Interval: time.Second}
		if err := store.Monitors().Put(t.Context(), fresh); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		edit(t, store, ids[0], func(m *vedette.Monitor) { m.Paused = false })
		time.Sleep(10500 * time.Millisecond)
		_ = r.stop()
		for id, want := range map[vedette.MonitorID]int{ids[0]: 20, ids[1]: 10, ids[2]: 30, "new": 20} {
			if got := len(r.sink.of(id)); got < want-1 || got > want+1 {
				t.Errorf("%s: %d looks, want %d", id, got, want)
			}
		}
		if len(r.sites) != 3 {
			t.Errorf("%d sites known, want 3", len(r.sites))
		}
	})
}

// TestDeletedInFlight deletes a monitor while it is looked at, and puts it back.
func TestDeletedInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		ids := monitors(t, store, 1, vedette.Monitor{Interval: time.Second})
		r := rigged(t, store, func(context.Context, vedette.Monitor) vedette.Result {
			time.Sleep(10 * time.Second)
			return up
		}).start(t)
		time.Sleep(2 * time.Second)
		m, _ := store.Monitors().Get(t.Context(), ids[0])
		if err := store.Monitors().Delete(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		m.Version = 0
		if err := store.Monitors().Put(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		m, _ = store.Monitors().Get(t.Context(), ids[0])
		if err := store.Monitors().Delete(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		_ = r.stop()
		if r.meter.most() != 1 || len(r.sites) != 0 {
			t.Errorf("%d at once and %d sites left, want 1 and none", r.meter.most(), len(r.sites))
		}
		if n := len(r.sink.results()); n != 3 {
			t.Errorf("%d results, want that of the look in flight too: 3", n)
		}
	})
}

// broken is a registry that fails now and then.
type broken struct {
	vedette.Monitors
	calls atomic.Int32
}

func (b *broken) List(ctx context.Context, after vedette.MonitorID, n int) ([]vedette.Monitor, int64, error) {
	if b.calls.Add(1)%3 != 0 {
		return nil, 0, errors.New("no list")
	}
	return b.Monitors.List(ctx, after, n)
}

func (b *broken) Changes(ctx context.Context, rev int64) ([]vedette.Monitor, []vedette.MonitorID, int64, error) {
	if b.calls.Add(1)%3 != 0 {
		return nil, nil, 0, errors.New("no changes")
	}
	return b.Monitors.Changes(ctx, rev)
}

func TestRegistryThatFailsIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		ids := monitors(t, store, 2500, vedette.Monitor{Interval: time.Minute})
		r := rigged(t, store, allUp, func(c *Config) { c.Monitors = &broken{Monitors: c.Monitors} }).start(t)
		for i := range 5 {
			time.Sleep(time.Minute)
			edit(t, store, ids[0], func(m *vedette.Monitor) { m.Name = time.Duration(i).String() })
		}
		time.Sleep(90 * time.Second)
		_ = r.stop()
		if len(r.sites) != 2500 {
			t.Errorf("%d sites known, want 2500", len(r.sites))
		}
		if rs := r.sink.of(ids[0]); rs[len(rs)-1].Revision != 6 {
			t.Errorf("revision %d, want 6", rs[len(rs)-1].Revision)
		}
	})
}

func TestMonitorThatDoesNotCompile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		ids := monitors(t, store, 1, vedette.Monitor{Interval: time.Second})
		r := rigged(t, store, nil, func(c *Config) { c.Checker = picky{} }).start(t)
		time.Sleep(5500 * time.Millisecond)
		edit(t, store, ids[0], func(m *vedette.Monitor) { m.URL = "good" })
		time.Sleep(5 * time.Second)
		_ = r.stop()
		rs := r.sink.results()
		f := rs[0].Failure
		if rs[0].State != vedette.Unknown || f == nil || f.Kind != vedette.KindInternal ||
			f.Message != "monitor cannot be checked: url: not good" {
			t.Errorf("got %+v %+v", rs[0], f)
		}
		if len(rs) < 10 || rs[len(rs)-1].State != vedette.Up {
			t.Errorf("%d results, the last %s, want 10 and up", len(rs), rs[len(rs)-1].State)
		}
		if n := r.log.count("monitor cannot be checked"); n != 1 {
			t.Errorf("logged %d times, want once", n)
		}
	})
}

type picky struct{}

func (picky) Compile(m vedette.Monitor) (vedette.Check, error) {
	if m.URL != "good" {
		return nil, vedette.Mistakes{{Path: "url", Text: "not good"}}
	}
	return func(context.Context) vedette.Result { return up }, nil
}
