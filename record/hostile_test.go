package record_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/record"
)

// A strict broker takes no message above a size, headers included.
type strict struct {
	vedette.Publisher
	most int
}

func (s strict) Publish(ctx context.Context, m ...vedette.Message) error {
	for _, one := range m {
		size := len(one.Key) + len(one.Body)
		for k, v := range one.Header {
			size += len(k) + len(v)
		}
		if size > s.most {
			return fmt.Errorf("message of %d bytes: %w", size, vedette.ErrRefused)
		}
	}
	return s.Publisher.Publish(ctx, m...)
}

// Whatever a letter holds, it does not keep those behind it from being sent on.
func TestLettersOfAnySizeAreSentOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe(t, monitor("a"))
		stop := p.recorder(t, "a", func(c *record.Config, _ *record.StreamConfig) {
			c.Letters, c.Dead, c.DeadTopic = p.store.Letters(), strict{p.broker, 1 << 20}, "dead"
		})
		p.sendBytes(t, "a", []byte(`{"id":"`+strings.Repeat("x", 1<<20-100)+`"}`)) // the error quotes it
		err := p.broker.Publish(t.Context(), vedette.Message{
			Topic: topic, Key: []byte("a"), Header: map[string]string{"trace": strings.Repeat("x", 1<<20-100)},
		})
		if err != nil {
			t.Fatal(err)
		}
		p.sendBytes(t, "a", []byte("nonsense"))
		time.Sleep(10 * time.Second)
		if left, err := p.store.Letters().Unsent(t.Context(), 10); err != nil || len(left) != 0 {
			t.Errorf("%d letters are not sent on, %v", len(left), err)
		}
		var sent int64
		for i := range int32(3) {
			sent += p.broker.End("dead", i)
		}
		if sent != 3 {
			t.Errorf("%d dead letters were sent on, want 3", sent)
		}
		stop()
	})
}

// asked counts how often a monitor is looked up.
type asked struct {
	vedette.Monitors
	n atomic.Int64
}

func (a *asked) Get(ctx context.Context, id vedette.MonitorID) (vedette.Monitor, error) {
	a.n.Add(1)
	return a.Monitors.Get(ctx, id)
}

// A registry that was begun anew does not know the revisions that older results name.
func TestRevisionThatTheRegistryDoesNotHaveIsAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids, monitors := names(5)
		p := newPipe(t, monitors...)
		registry := &asked{Monitors: p.store.Monitors()}
		all := rounds(ids, time.Now(), 100)
		for i := range all {
			all[i].Revision = 7
		}
		time.Sleep(200 * time.Second)
		stop := p.recorder(t, "a", func(c *record.Config, _ *record.StreamConfig) { c.Monitors = registry })
		p.send(t, all...)
		time.Sleep(5 * time.Second)
		p.check(t)
		if n := registry.n.Load(); n > 5 {
			t.Errorf("the registry was asked %d times for 5 monitors", n)
		}
		stop()
	})
}

// A ponderous store needs a second for each result.
type ponderous struct{ vedette.Writer }

func (w ponderous) Write(ctx context.Context, b vedette.Batch) error {
	select {
	case <-time.After(time.Duration(len(b.Results)) * time.Second):
		return w.Writer.Write(ctx, b)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestBatchThatTakesTooLongIsWrittenInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids, monitors := names(20)
		p := newPipe(t, monitors...)
		p.send(t, rounds(ids, time.Now(), 20)...)
		stop := p.recorder(t, "a", func(c *record.Config, s *record.StreamConfig) { c.Writer, s.Count = ponderous{p.store}, 1000 })
		time.Sleep(15 * time.Minute)
		p.check(t)
		stop()
	})
}

// stuck is a store that does not answer.
type stuck struct{ vedette.Writer }

func (stuck) Write(ctx context.Context, _ vedette.Batch) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestLanesStopTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids, monitors := names(20)
		p := newPipe(t, monitors...)
		stop := p.recorder(t, "a", func(c *record.Config, _ *record.StreamConfig) { c.Writer = stuck{p.store} })
		p.send(t, rounds(ids, time.Now(), 20)...)
		time.Sleep(time.Second)
		began := time.Now()
		stop()
		if took := time.Since(began); took > 11*time.Second {
			t.Errorf("a stop took %s, want what one batch may take", took)
		}
	})
}
