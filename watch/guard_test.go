package watch

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
)

// TestLostConnectivityIsNotDown: the network goes for a while, then comes back while one site is
// really down.
func TestLostConnectivityIsNotDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		ids := monitors(t, store, 200, vedette.Monitor{Interval: time.Second, Timeout: 500 * time.Millisecond})
		var offline, twice atomic.Bool
		var asked, together atomic.Int32
		target := func(ctx context.Context) vedette.Result {
			asked.Add(1)
			if together.Add(1) > 1 {
				twice.Store(true)
			}
			defer together.Add(-1)
			if offline.Load() {
				<-ctx.Done()
				return down
			}
			return vedette.Result{State: vedette.Down, Failure: &vedette.Failure{Kind: vedette.KindStatus}}
		}
		book := &logBook{}
		guard := NewGuard([]vedette.Check{target}, slog.New(slog.NewTextHandler(book, nil)))
		r := rigged(t, store, func(ctx context.Context, m vedette.Monitor) vedette.Result {
			if offline.Load() {
				<-ctx.Done()
				return down
			}
			if m.ID == ids[0] {
				return down
			}
			return up
		}, func(c *Config) { c.Guard = guard }).start(t)
		time.Sleep(10 * time.Second)
		offline.Store(true)
		time.Sleep(20 * time.Second)
		offline.Store(false)
		back := time.Now()
		time.Sleep(20 * time.Second)
		_ = r.stop()
		unknown := 0
		for _, res := range r.sink.results() {
			if res.Monitor != ids[0] && res.State == vedette.Down {
				t.Fatalf("%s is down %v after the network came back", res.Monitor, res.StartedAt.Sub(back))
			}
			if res.State == vedette.Unknown {
				unknown++
				if res.Failure.Message != "own connectivity lost: no answer" || res.Failure.Kind != vedette.KindTimeout {
					t.Fatalf("got %+v", res.Failure)
				}
			}
		}
		if down.State != vedette.Down || down.Failure.Message != "no answer" {
			t.Error("the failure of the check itself was changed")
		}
		if unknown < 1000 {
			t.Errorf("%d unknown, want those of 20s", unknown)
		}
		truly := r.sink.of(ids[0])
		if got := truly[len(truly)-1].State; got != vedette.Down {
			t.Errorf("the site that is down is %s in the end", got)
		}
		if n, m := book.count("own connectivity lost"), book.count("own connectivity is back"); n != 1 || m != 1 {
			t.Errorf("logged %d times that it began and %d that it ended, want once each", n, m)
		}
		if asked.Load() > 60 || twice.Load() {
			t.Errorf("asked %d times in 50s, two at once %v, want once a second", asked.Load(), twice.Load())
		}
	})
}

// TestNetworkThatCameBackDuringALook is lost for two of the five seconds after which a look gives
// up: the look is not believed, though we are connected by then.
func TestNetworkThatCameBackDuringALook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		offline := true
		book := &logBook{}
		g := NewGuard([]vedette.Check{func(context.Context) vedette.Result {
			if offline {
				return down
			}
			return up
		}}, slog.New(slog.NewTextHandler(book, nil)))
		began := time.Now()
		time.Sleep(2 * time.Second)
		other := down
		g.judge(t.Context(), &other, time.Now())
		offline = false
		time.Sleep(2 * time.Second)
		good := up
		g.judge(t.Context(), &good, time.Now())
		if good.State != vedette.Up || book.count("own connectivity is back") != 1 {
			t.Errorf("%s, and the look that went well did not bring the news", good.State)
		}
		time.Sleep(time.Second)
		slow := down
		g.judge(t.Context(), &slow, began)
		if other.State != vedette.Unknown || slow.State != vedette.Unknown {
			t.Errorf("%s while lost and %s after, want unknown both times", other.State, slow.State)
		}
		later := down
		if g.judge(t.Context(), &later, time.Now()); later.State != vedette.Down {
			t.Errorf("%s for a look that began when all was well", later.State)
		}
	})
}

func TestOneAnswerOfManyIsEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context) vedette.Result { <-ctx.Done(); return down }
		g := NewGuard([]vedette.Check{hang, func(context.Context) vedette.Result { return up }, hang}, nil)
		began := time.Now()
		r := down
		if g.judge(t.Context(), &r, began); r.State != vedette.Down {
			t.Errorf("got %s, want the failure believed", r.State)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("waited %v for the others", took)
		}
	})
}

func TestGuardLeavesOtherFailuresAlone(t *testing.T) {
	asked := false
	g := NewGuard([]vedette.Check{func(context.Context) vedette.Result { asked = true; return down }}, nil)
	for _, k := range vedette.Kinds() {
		r := vedette.Result{State: vedette.Down, Failure: &vedette.Failure{Kind: k}}
		if network(k) {
			continue
		}
		if g.judge(t.Context(), &r, time.Now()); r.State != vedette.Down || asked {
			t.Errorf("%s: %s, asked %v", k, r.State, asked)
		}
	}
	if NewGuard(nil, nil) != nil {
		t.Error("a guard without targets is not off")
	}
}
