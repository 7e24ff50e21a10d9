package record_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/record"
)

// An outage is one of a source: none, one that lets nobody in, or one that ends each session.
type outage struct {
	vedette.Source
	refuses, ends atomic.Bool
}

func (o *outage) Open(ctx context.Context) (vedette.Session, error) {
	if o.refuses.Load() {
		return nil, errors.New("connection refused")
	}
	s, err := o.Source.Open(ctx)
	return cutOff{s, o}, err
}

type cutOff struct {
	vedette.Session
	*outage
}

func (c cutOff) Receive(ctx context.Context, n int) ([]vedette.Message, error) {
	if c.ends.Load() || c.refuses.Load() {
		return nil, fmt.Errorf("%w: claim refused", vedette.ErrLeaseLost)
	}
	return c.Session.Receive(ctx, n)
}

// However many lanes fail however often, the log says once that it began and once that it ended.
// One lane has nothing to read.
func TestOutageOfTheStreamIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe(t, monitor("a"))
		p.broker = memory.NewStream(3)
		source := &outage{Source: p.source("me")}
		var log bytes.Buffer
		cfg := config(p.store)
		cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		r, err := record.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		s, err := r.Stream(record.StreamConfig{Source: source, Decode: decode})
		if err != nil {
			t.Fatal(err)
		}
		stop := begin(t, s)
		for what, down := range map[string]*atomic.Bool{"nobody is let in": &source.refuses, "sessions end": &source.ends} {
			log.Reset()
			down.Store(true)
			p.send(t, look("a", time.Now(), vedette.Up))
			time.Sleep(5 * time.Minute)
			if since, err := s.Trouble(); err == nil || time.Since(since) < 4*time.Minute {
				t.Errorf("%s: trouble since %v: %v", what, since, err)
			}
			down.Store(false)
			time.Sleep(30 * time.Second)
			if _, err := s.Trouble(); err != nil {
				t.Errorf("%s: still trouble when it is over: %v", what, err)
			}
			for say, most := range map[string]int{"stream fails": 1, "stream works again": 1, "session ended": 4} {
				if got := strings.Count(log.String(), say); got > most || got == 0 && most == 1 {
					t.Errorf("%s: %q is said %d times, want %d\n%s", what, say, got, most, log.String())
				}
			}
		}
		stop()
	})
}

func TestTopicFullOfPoisonDoesNotFillTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe(t)
		for i := range 1000 {
			p.sendBytes(t, vedette.MonitorID(fmt.Sprint(i)), []byte("poison"))
		}
		var log bytes.Buffer
		stop := p.recorder(t, "a", func(c *record.Config, s *record.StreamConfig) {
			c.Log, s.Lanes = slog.New(slog.NewTextHandler(&log, nil)), 1
		})
		time.Sleep(30 * time.Second)
		if letters, err := p.store.Letters().Unsent(t.Context(), 2000); err != nil || len(letters) != 1000 {
			t.Errorf("%d dead letters, %v", len(letters), err)
		}
		p.sendBytes(t, "a", []byte("poison"))
		time.Sleep(2 * time.Minute)
		p.sendBytes(t, "a", []byte("poison"))
		time.Sleep(2 * time.Second)
		stop()
		one, more := strings.Count(log.String(), `"dead letter"`), strings.Count(log.String(), "more dead letters")
		if one != 11 || more != 1 {
			t.Errorf("%d letters logged and %d times that there are more, want 10 and 1, and one later\n%s", one, more, log.String())
		}
	})
}

// A frail keeper cannot tell its size while it is down.
type frail struct {
	vedette.Keeper
	down atomic.Bool
}

func (f *frail) Size(ctx context.Context) (vedette.Size, error) {
	if f.down.Load() {
		return vedette.Size{}, errors.New("connection refused")
	}
	return f.Keeper.Size(ctx)
}

func TestChoreSaysThatItFailsAndThatItIsDoneAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		keeper := &frail{Keeper: store}
		var log bytes.Buffer
		cfg := config(store)
		cfg.Keeper, cfg.Sized, cfg.Log = keeper, func(vedette.Size) {}, slog.New(slog.NewTextHandler(&log, nil))
		r, err := record.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		keeper.down.Store(true)
		stop := begin(t, r)
		time.Sleep(2 * time.Minute)
		keeper.down.Store(false)
		time.Sleep(2 * time.Minute)
		stop()
		for _, say := range []string{"chore not done", "chore done again"} {
			if got := strings.Count(log.String(), say); got != 1 {
				t.Errorf("%q is said %d times, want once\n%s", say, got, log.String())
			}
		}
	})
}
