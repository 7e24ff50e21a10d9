package spool_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/codec"
	"github.com/vedettehq/vedette/spool"
	"github.com/vedettehq/vedette/storetest"
)

var (
	noon    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	errAway = errors.New("connection refused")
)

// looks returns n results of m, their Revisions counting from first.
func looks(m vedette.MonitorID, first, n int) []vedette.Result {
	all := make([]vedette.Result, n)
	for i := range all {
		at := noon.Add(time.Duration(first+i) * time.Second)
		all[i] = vedette.Result{
			ID: vedette.NewID(at), Monitor: m, Revision: int64(first + i), Region: "eu", StartedAt: at, State: vedette.Up, Code: 200,
		}
	}
	return all
}

// revisions names results by what looks gave them.
func revisions(all []vedette.Result) (revs []int64) {
	for _, r := range all {
		revs = append(revs, r.Revision)
	}
	return revs
}

func count(from, to int64) (all []int64) {
	for ; from < to; from++ {
		all = append(all, from)
	}
	return all
}

func config(t testing.TB, dir string, n *next) spool.Config {
	t.Helper()
	c, err := codec.New(codec.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return spool.Config{
		Dir: dir, Next: n, Meter: n, Encode: c.Encode,
		Decode: func(b []byte, r *vedette.Result) error { return c.Decode(context.Background(), b, r) },
	}
}

func open(t testing.TB, cfg spool.Config) *spool.Spool {
	t.Helper()
	s, err := spool.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// run replays until the function it returns is called, or the test ends.
func run(t testing.TB, s *spool.Spool) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func send(t testing.TB, s vedette.Sink, all []vedette.Result) {
	t.Helper()
	if err := s.Send(t.Context(), vedette.Found{Results: all}); err != nil {
		t.Fatalf("Send: %v", err)
	}
}

func same[T any](t testing.TB, what string, got, want []T, equal func(T, T) bool) {
	t.Helper()
	if !slices.EqualFunc(got, want, equal) {
		t.Errorf("%s: got %d: %v\nwant %d: %v", what, len(got), got, len(want), want)
	}
}

func sameRevisions(t testing.TB, what string, got []vedette.Result, want []int64) {
	t.Helper()
	same(t, what, revisions(got), want, func(a, b int64) bool { return a == b })
}

func files(t testing.TB, dir, pattern string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestSpoolIsASink(t *testing.T) {
	for name, answer := range map[string]func(calls int) error{
		"before a sink that works": func(int) error { return nil },
		"before a sink that fails at first": func(calls int) error {
			if calls == 1 {
				return errAway
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.TestSink(t, func(t *testing.T) (vedette.Sink, func() []vedette.Result) {
				n := newNext()
				n.set(func(f vedette.Found) error {
					for _, r := range f.Results {
						if r.State == "sideways" {
							return vedette.ErrRefused
						}
					}
					return answer(n.asked())
				})
				s := open(t, config(t, t.TempDir(), n))
				run(t, s)
				return s, func() []vedette.Result { return once(n.results()) }
			})
		})
	}
}

// once returns results by ID, each once: a sink behind a spool gets some twice.
func once(all []vedette.Result) []vedette.Result {
	slices.SortFunc(all, func(a, b vedette.Result) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return slices.CompactFunc(all, func(a, b vedette.Result) bool { return a.ID == b.ID })
}

func TestSinkThatWorksIsHandedTheSameAndNoDiskIsTouched(t *testing.T) {
	n, dir := newNext(), t.TempDir()
	s := open(t, config(t, dir, n))
	all := looks("a", 0, 3)
	n.set(func(f vedette.Found) error {
		if &f.Results[0] != &all[0] || f.Resent {
			t.Error("results were copied or marked on the way")
		}
		return nil
	})
	send(t, s, all)
	if left := files(t, dir, "*/*.seg"); len(left) > 0 || n.spooled > 0 {
		t.Errorf("on disk: %v, %d spooled", left, n.spooled)
	}
}

func TestRefusalOfTheNextSinkIsTheCallersAtOnce(t *testing.T) {
	n := newNext()
	s := open(t, config(t, t.TempDir(), n))
	n.set(func(vedette.Found) error { return fmt.Errorf("too long: %w", vedette.ErrRefused) })
	if err := s.Send(t.Context(), vedette.Found{Results: looks("a", 0, 1)}); !errors.Is(err, vedette.ErrRefused) {
		t.Errorf("Send: %v, want ErrRefused", err)
	}
	if n.spooled > 0 {
		t.Errorf("%d results spooled", n.spooled)
	}
}

func TestOutageIsReplayedInOrderAndMarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, dir := newNext(), t.TempDir()
		s := open(t, config(t, dir, n))
		stop := run(t, s)
		defer stop()
		send(t, s, looks("a", 0, 10))
		n.set(away)
		for i := 10; i < 2000; i += 10 {
			send(t, s, looks("a", i, 10))
		}
		time.Sleep(time.Minute)
		if st := s.State(); st.Records != 1990 || !errors.Is(st.Err, errAway) || st.Bytes < 1990*50 || time.Since(st.Since) != time.Minute {
			t.Errorf("state while the sink is away: %+v", st)
		}
		// It takes chunks again: what is sent meanwhile must not overtake what waits.
		n.set(func(vedette.Found) error {
			if next := n.asked(); next%2 == 0 {
				return errAway
			}
			return nil
		})
		for i := 2000; i < 2500; i += 10 {
			send(t, s, looks("a", i, 10))
			time.Sleep(50 * time.Millisecond)
		}
		sameRevisions(t, "what came", n.results(), count(0, 2500))
		synctest.Wait()
		if n.resent != 2490 || n.spooled != 2490 || n.replayed != 2490 || len(n.dropped) > 0 {
			t.Errorf("resent %d, spooled %d, replayed %d, dropped %v, want 2490 of each and none dropped", n.resent, n.spooled, n.replayed, n.dropped)
		}
		if st := s.State(); st != (spool.State{}) {
			t.Errorf("state when all is sent: %+v", st)
		}
		if left := files(t, dir, "0/*.seg"); len(left) > 0 {
			t.Errorf("left on disk: %v", left)
		}
		n.set(nil)
		send(t, s, looks("a", 2500, 1))
		if n.spooled != 2490 {
			t.Error("a spool that was emptied still goes by way of the disk")
		}
	})
}

func TestSinkThatHangsIsWaitedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNext()
		cfg := config(t, t.TempDir(), n)
		cfg.Next = sinkFunc(func(ctx context.Context, _ vedette.Found) error {
			<-ctx.Done()
			return ctx.Err()
		})
		s := open(t, cfg)
		for i, want := range []time.Duration{5 * time.Second, 0, 0} {
			began := time.Now()
			send(t, s, looks("a", i, 1))
			if got := time.Since(began); got != want {
				t.Errorf("Send %d took %v, want %v", i, got, want)
			}
		}
		if st := s.State(); st.Records != 3 {
			t.Errorf("state %+v, want 3 results", st)
		}
	})
}

type sinkFunc func(context.Context, vedette.Found) error

func (f sinkFunc) Send(ctx context.Context, found vedette.Found) error { return f(ctx, found) }

func TestWhatThereIsNoTimeToSendGoesToDisk(t *testing.T) {
	n := newNext()
	s := open(t, config(t, t.TempDir(), n))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Send(ctx, vedette.Found{Results: looks("a", 0, 2)}); err != nil {
		t.Fatal(err)
	}
	if n.asked() != 0 || s.State().Records != 2 {
		t.Errorf("the next sink was asked %d times, state %+v", n.asked(), s.State())
	}
	run(t, s)
	sameRevisions(t, "what came", n.results(), count(0, 2))
}

func TestResultsOutliveTheirProcess(t *testing.T) {
	n, dir := newNext(), t.TempDir()
	n.set(away)
	for i := range 3 {
		s := open(t, config(t, dir, n))
		send(t, s, looks("a", 10*i, 10))
		if st := s.State(); st.Records != int64(10*i+10) {
			t.Fatalf("process %d: state %+v", i, st)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	n.set(nil)
	s := open(t, config(t, dir, n))
	send(t, s, looks("a", 30, 10))
	run(t, s)
	sameRevisions(t, "what came", n.results(), count(0, 40))
}

func TestReplayGoesOnWhereItWasStopped(t *testing.T) {
	n, dir := newNext(), t.TempDir()
	n.set(away)
	s := open(t, config(t, dir, n))
	send(t, s, looks("a", 0, 2000))
	before := n.asked()
	failed := make(chan bool, 10)
	n.set(func(vedette.Found) error {
		if n.asked() > before+2 {
			failed <- true
			return errAway
		}
		return nil
	})
	stop := run(t, s)
	<-failed
	stop()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sameRevisions(t, "before the stop", n.got, count(0, 1000))
	n.set(nil)
	s = open(t, config(t, dir, n))
	run(t, s)
	sameRevisions(t, "in all", n.results(), count(0, 2000))
}

func TestRefusedResultIsFoundAndDroppedAlone(t *testing.T) {
	n := newNext()
	n.set(away)
	s := open(t, config(t, t.TempDir(), n))
	send(t, s, looks("a", 0, 1200))
	n.set(func(f vedette.Found) error {
		for _, r := range f.Results {
			if r.Revision == 137 || r.Revision == 138 || r.Revision == 1199 {
				return vedette.ErrRefused
			}
		}
		return nil
	})
	run(t, s)
	got := n.results()
	sameRevisions(t, "what came", got, slices.Concat(count(0, 137), count(139, 1199)))
	if n.dropped["refused"] != 3 || n.replayed != 1197 {
		t.Errorf("dropped %v, replayed %d, want 3 refused and 1197", n.dropped, n.replayed)
	}
	if n.calls > 70 {
		t.Errorf("%d calls to find 3 of 1200", n.calls)
	}
}

func TestResultThatCannotBeEncodedIsRefused(t *testing.T) {
	n := newNext()
	n.set(away)
	s := open(t, config(t, t.TempDir(), n))
	send(t, s, looks("a", 0, 1))
	bad := looks("a", 1, 3)
	bad[1].Monitor = "\x00"
	if err := s.Send(t.Context(), vedette.Found{Results: bad}); !errors.Is(err, vedette.ErrRefused) {
		t.Errorf("Send: %v, want ErrRefused", err)
	}
	if st := s.State(); st.Records != 1 || n.refused != 0 {
		t.Errorf("state %+v, %d counted as still the caller's, want nothing kept of a refused batch", st, n.refused)
	}
}

func TestSpoolThatLacksSomethingIsNotMade(t *testing.T) {
	n := newNext()
	for name, spoil := range map[string]func(*spool.Config){
		"no folder":      func(c *spool.Config) { c.Dir = "" },
		"no sink":        func(c *spool.Config) { c.Next = nil },
		"no codec":       func(c *spool.Config) { c.Decode = nil },
		"unknown choice": func(c *spool.Config) { c.WhenFull = "explode" },
		"folder is a file": func(c *spool.Config) {
			c.Dir = filepath.Join(c.Dir, "file")
			if err := os.WriteFile(c.Dir, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		cfg := config(t, t.TempDir(), n)
		spoil(&cfg)
		if s, err := spool.New(cfg); err == nil {
			_ = s.Close()
			t.Errorf("%s: no error", name)
		}
	}
}
