package scrape_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/record"
	"github.com/vedettehq/vedette/scrape"
)

// A site is a Checker of one site that does as it says.
type site struct{ state vedette.State }

func (s *site) Compile(vedette.Monitor) (vedette.Check, error) {
	return func(ctx context.Context) vedette.Result {
		r := vedette.Result{State: s.state, Phases: vedette.Phases{TTFB: 20 * time.Millisecond}}
		switch s.state {
		case vedette.Up:
			r.Code = 200
		case vedette.Down:
			r.Code = 503
			r.Failure = &vedette.Failure{Kind: vedette.KindStatus, Message: "status is 503, want 200-299"}
		case vedette.Unknown: // it never answers
			<-ctx.Done()
			r.State, r.Failure = vedette.Down, &vedette.Failure{Kind: vedette.KindTimeout, Phase: "ttfb", Message: "no answer"}
		}
		return r
	}, nil
}

// A house is a monitor with a record that takes what is seen of it.
type house struct {
	*testing.T
	*memory.Store
	site *site
	sink vedette.Sink
}

func newHouse(t *testing.T) *house {
	s := memory.New()
	err := s.Monitors().Put(t.Context(), vedette.Monitor{
		ID: "shop", Meta: vedette.Meta{Name: "shop"}, URL: "http://127.0.0.1/",
		Interval: 10 * time.Second, Timeout: 5 * time.Second, Confirm: vedette.Confirm{Down: 2, Up: 2},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := record.New(record.Config{Monitors: s.Monitors(), Writer: s, Reader: s, Keeper: s})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return &house{t, s, &site{vedette.Up}, r}
}

// watched is a look of a watcher.
func (h *house) watched(token int64, at time.Time, s vedette.State) {
	h.Helper()
	at = at.UTC().Truncate(time.Microsecond)
	r := vedette.Result{ID: vedette.NewID(at), Monitor: "shop", Region: "fra", Token: token, DueAt: at, StartedAt: at, State: s}
	if s != vedette.Up {
		r.Failure = &vedette.Failure{Kind: vedette.KindReset, Message: "cut"}
	}
	if err := h.sink.Send(h.Context(), vedette.Found{Results: []vedette.Result{r}}); err != nil {
		h.Fatal(err)
	}
}

// look runs the handler for a job that was claimed this moment.
func (h *house) look(ctx context.Context) (string, error) {
	handler := scrape.Check(h.Monitors(), h.site, h.sink, scrape.CheckOptions{Reader: h, Region: "fra"})
	return handler.Run(ctx, &vedette.Task{Job: vedette.Job{
		Params: vedette.Raw(`{"monitor":"shop"}`), StartedAt: time.Now(),
	}})
}

func (h *house) status() vedette.Status {
	h.Helper()
	all, err := h.Latest(h.Context(), "shop")
	if err != nil || len(all) != 1 {
		h.Fatal(all, err)
	}
	return all[0]
}

func TestCheckCountsAsALookOfTheWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.watched(77, time.Now(), vedette.Up)
		time.Sleep(time.Second)
		h.watched(77, time.Now(), vedette.Down)
		time.Sleep(time.Second)
		h.site.state = vedette.Down
		result, err := h.look(t.Context())
		if result != "down, 503 in 20ms: status: status is 503, want 200-299" || err != nil {
			t.Errorf("%q, %v", result, err)
		}
		s := h.status()
		if s.State != vedette.Down || s.Incident == nil || s.Seq != 3 {
			t.Errorf("status %+v, want the down confirmed", s)
		}
		time.Sleep(time.Second)
		h.watched(77, time.Now(), vedette.Up)
		if s := h.status(); s.Seq != 4 {
			t.Errorf("seq %d: the watcher's next look does not count", s.Seq)
		}
		rows, err := h.History(t.Context(), "shop", vedette.Span{})
		if err != nil || len(rows) != 4 || rows[2].Revision != 1 || rows[2].Region != "fra" || rows[2].Seq != 3 {
			t.Errorf("history %+v, %v", rows, err)
		}
	})
}

func TestFirstCheckOfAllCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		if result, err := h.look(t.Context()); result != "up, 200 in 20ms" || err != nil {
			t.Errorf("%q, %v", result, err)
		}
		if s := h.status(); s.State != vedette.Up {
			t.Errorf("status %+v", s)
		}
		time.Sleep(time.Second)
		h.watched(1, time.Now(), vedette.Up)
		if s := h.status(); s.Seq != 2 {
			t.Errorf("seq %d: the watcher does not count", s.Seq)
		}
	})
}

// A worker that was held up between its look and its word does not unsay what a watcher saw since.
func TestLateCheckIsHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.watched(77, time.Now(), vedette.Up)
		h.site.state = vedette.Unknown
		time.Sleep(time.Second)
		go func() {
			time.Sleep(2 * time.Second)
			h.watched(78, time.Now(), vedette.Up)
		}()
		result, err := h.look(t.Context())
		if !strings.HasPrefix(result, "down in 20ms: timeout in ttfb: ") || err != nil {
			t.Errorf("%q, %v", result, err)
		}
		if s := h.status(); s.Seq != 2 || s.Votes[0].Streak != 0 || s.Votes[0].Last.Token != 78 {
			t.Errorf("status %+v", s)
		}
	})
}

func TestCheckThatIsCutOffSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.site.state = vedette.Unknown
		s := &stubborn{Sink: h.sink}
		h.sink = s
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("not today")
		time.AfterFunc(time.Second, func() { cancel(why) })
		if result, err := h.look(ctx); !errors.Is(err, why) {
			t.Errorf("%q, %v", result, err)
		}
		if s.calls > 0 {
			t.Error("something was sent")
		}
	})
}

func TestCheckIsSentUntilItIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		s := &stubborn{Sink: h.sink, left: 3}
		h.sink = s
		if _, err := h.look(t.Context()); err != nil || !s.resent {
			t.Errorf("%v, resent %v", err, s.resent)
		}
		if rows, _ := h.History(t.Context(), "shop", vedette.Span{}); len(rows) != 1 {
			t.Errorf("%d rows", len(rows))
		}
	})
}

// stubborn keeps results and says that it did not, a few times.
type stubborn struct {
	vedette.Sink
	left   int
	calls  int
	resent bool
}

func (s *stubborn) Send(ctx context.Context, f vedette.Found) error {
	s.resent = f.Resent
	s.calls++
	if err := s.Sink.Send(ctx, f); err != nil || s.left == 0 {
		return err
	}
	s.left--
	return errors.New("no answer")
}

func TestCheckOfNoMonitorIsNotTriedAgain(t *testing.T) {
	s := memory.New()
	_, err := scrape.Check(s.Monitors(), &site{}, nil, scrape.CheckOptions{}).Run(t.Context(),
		&vedette.Task{Job: vedette.Job{Params: vedette.Raw(`{"monitor":"gone"}`)}})
	if !errors.Is(err, vedette.ErrPermanent) || !errors.Is(err, vedette.ErrNotFound) {
		t.Errorf("error %v", err)
	}
}
