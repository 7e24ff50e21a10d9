package watch

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
)

func TestPanicIsAResultAndLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		ids := monitors(t, store, 10, vedette.Monitor{Interval: time.Second})
		r := rigged(t, store, func(_ context.Context, m vedette.Monitor) vedette.Result {
			if m.ID == ids[0] {
				panic("boom")
			}
			return up
		}).start(t)
		time.Sleep(10 * time.Second)
		_ = r.stop()
		rs := r.sink.of(ids[0])
		if len(rs) < 9 {
			t.Fatalf("%d results of the check that panics, want one a second", len(rs))
		}
		f := rs[0].Failure
		if rs[0].State != vedette.Unknown || f.Kind != vedette.KindInternal || f.Message != "check ended by panic: boom" {
			t.Errorf("got %s %+v", rs[0].State, f)
		}
		if n := r.log.count("check panicked"); n != 1 {
			t.Errorf("logged %d times, want once", n)
		}
	})
}

func TestDescriptorsThatRunOutShrinkTheLimitForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		monitors(t, store, 200, vedette.Monitor{Interval: time.Second})
		began := time.Now()
		r := rigged(t, store, func(context.Context, vedette.Monitor) vedette.Result {
			time.Sleep(50 * time.Millisecond)
			if at := time.Since(began); at > 10*time.Second && at < 16*time.Second {
				return ours(vedette.KindInternal, "dial tcp: socket: too many open files")
			}
			return up
		}, func(c *Config) { c.MaxInFlight = 100 }).start(t)
		size := func() int {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.limit.now
		}
		time.Sleep(9 * time.Second)
		if size() != 100 {
			t.Errorf("limit %d before, want 100", size())
		}
		time.Sleep(7 * time.Second)
		if size() > 25 || size() < leastInFlight {
			t.Errorf("limit %d after 6s of trouble, want it to have fallen to what was in flight", size())
		}
		time.Sleep(5 * time.Second)
		if size() < 26 || size() > 37 {
			t.Errorf("limit %d 5s later, want it to have grown by 1, 2, 3, 4 and 5", size())
		}
		time.Sleep(time.Minute)
		if size() != 100 {
			t.Errorf("limit %d in the end, want 100", size())
		}
		_ = r.stop()
		if n, m := r.log.count("descriptors run out"), r.log.count("as many looks at once as before"); n != 1 || m != 1 {
			t.Errorf("logged %d times that it began and %d that it ended, want once each", n, m)
		}
	})
}

func TestLimitFitsTheDescriptors(t *testing.T) {
	for _, c := range []struct {
		files uint64
		known bool
		want  int
	}{
		{0, true, 16},
		{256, true, 16},
		{1024, true, 384},
		{1 << 20, true, 8192},
		{^uint64(0), true, 8192},
		{0, false, 8192},
	} {
		if got := fit(c.files, c.known); got != c.want {
			t.Errorf("%d files: %d looks, want %d", c.files, got, c.want)
		}
	}
	if n, known := descriptors(); known && n == 0 {
		t.Error("no files may be opened")
	}
}

func TestNewWantsWhatIsRequired(t *testing.T) {
	store := memory.New()
	whole := Config{Monitors: store.Monitors(), Leaser: store.Leases(), Checker: checks(allUp), Sink: &sink{}}
	if _, err := New(whole); err != nil {
		t.Errorf("%v with all that is required", err)
	}
	for name, f := range map[string]func(*Config){
		"no monitors":     func(c *Config) { c.Monitors = nil },
		"no leaser":       func(c *Config) { c.Leaser = nil },
		"no checker":      func(c *Config) { c.Checker = nil },
		"no sink":         func(c *Config) { c.Sink = nil },
		"negative shards": func(c *Config) { c.Shards = -1 },
	} {
		c := whole
		if f(&c); name != "" {
			if _, err := New(c); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
	}
}
