package kafka_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/kafka"
)

// stored returns the bodies in the topic, in order.
func (w *world) stored(n int) []string {
	w.Helper()
	cl := client(w, w.c, kgo.ConsumeTopics("results"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	var all []string
	for len(all) < n && ctx.Err() == nil {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) { all = append(all, string(r.Value)) })
	}
	return all
}

func TestPublishHealsFromWhatPasses(t *testing.T) {
	for name, err := range map[string]*kerr.Error{
		"moved":         kerr.NotLeaderForPartition,
		"few replicas":  kerr.NotEnoughReplicas,
		"written, few":  kerr.NotEnoughReplicasAfterAppend,
		"timed out":     kerr.RequestTimedOut,
		"id forgotten":  kerr.UnknownProducerID,
		"out of order":  kerr.OutOfOrderSequenceNumber,
		"epoch is old":  kerr.InvalidProducerEpoch,
		"topic unknown": kerr.UnknownTopicOrPartition,
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, 1, func(t *testing.T, w *world) {
				p := publisher(t, w.c)
				if err := p.Publish(t.Context(), messages("before")...); err != nil {
					t.Fatal(err)
				}
				w.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: err, Count: 2})
				for n := range 5 {
					if err := p.Publish(t.Context(), messages("during")...); err == nil {
						break
					} else if errors.Is(err, vedette.ErrRefused) || n == 4 {
						t.Fatal(err)
					}
				}
				if err := p.Publish(t.Context(), messages("after")...); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(w.stored(3), []string{"before", "during", "after"}); diff != "" {
					t.Errorf("stored (-got +want):\n%s", diff)
				}
			})
		})
	}
}

func TestPublishTellsRefusalsFromWhatCanBePutRight(t *testing.T) {
	for name, test := range map[string]struct {
		err     *kerr.Error
		refused bool
	}{
		"too large":     {kerr.MessageTooLarge, true},
		"invalid":       {kerr.InvalidRecord, true},
		"timestamp":     {kerr.InvalidTimestamp, true},
		"no right":      {kerr.TopicAuthorizationFailed, false},
		"unknown error": {kerr.UnknownServerError, false},
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, 1, func(t *testing.T, w *world) {
				p := publisher(t, w.c)
				w.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: test.err})
				err := p.Publish(t.Context(), messages("no")...)
				if err == nil || errors.Is(err, vedette.ErrRefused) != test.refused {
					t.Errorf("Publish: %v; refused should be %v", err, test.refused)
				}
				if err := p.Publish(t.Context(), messages("yes")...); err != nil {
					t.Errorf("Publish of the next: %v", err)
				}
			})
		})
	}
}

func TestPublishSendsOneByOneWhatIsTooLargeTogether(t *testing.T) {
	virtually(t, 1, func(t *testing.T, w *world) {
		if err := w.CreateTopic("small", 1, map[string]string{"max.message.bytes": "1000"}); err != nil {
			t.Fatal(err)
		}
		var many []vedette.Message
		for range 50 {
			many = append(many, vedette.Message{Topic: "small", Body: []byte(strings.Repeat("x", 200))})
		}
		p := publisher(t, w.c)
		if err := p.Publish(t.Context(), many...); err != nil {
			t.Fatalf("Publish of small messages: %v", err)
		}
		many[7].Body = []byte(strings.Repeat("x", 2000))
		if err := p.Publish(t.Context(), many...); !errors.Is(err, vedette.ErrRefused) {
			t.Errorf("Publish with a large one: %v, want ErrRefused", err)
		}
		if got := w.PartitionInfo("small", 0).HighWatermark; got != 99 {
			t.Errorf("%d messages are stored, want all but the large one", got)
		}
	})
}

func TestPublishGoesOnWhenTheTopicIsMadeAnew(t *testing.T) {
	virtually(t, 1, func(t *testing.T, w *world) {
		p := publisher(t, w.c)
		if err := p.Publish(t.Context(), messages("old")...); err != nil {
			t.Fatal(err)
		}
		if err := w.DeleteTopic("results"); err != nil {
			t.Fatal(err)
		}
		if err := p.Publish(t.Context(), messages("lost")...); err == nil || errors.Is(err, vedette.ErrRefused) {
			t.Errorf("Publish to a topic that is gone: %v, want an error that passes", err)
		}
		if err := w.CreateTopic("results", 1, nil); err != nil {
			t.Fatal(err)
		}
		for n := range 5 {
			if err := p.Publish(t.Context(), messages("new")...); err == nil {
				break
			} else if n == 4 {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(w.stored(1), []string{"new"}); diff != "" {
			t.Errorf("stored (-got +want):\n%s", diff)
		}
	})
}

func TestPublishIsBoundedInAnOutage(t *testing.T) {
	virtually(t, 1, func(t *testing.T, w *world) {
		var away atomic.Bool
		var mu sync.Mutex
		var conns []net.Conn
		w.c.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
			if away.Load() {
				return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
			}
			conn, err := w.net.DialContext(ctx, network, address)
			mu.Lock()
			defer mu.Unlock()
			conns = append(conns, conn)
			return conn, err
		}
		p := publisher(t, w.c)
		if err := p.Publish(t.Context(), messages("before")...); err != nil {
			t.Fatal(err)
		}
		away.Store(true)
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		for range 20 {
			began := time.Now()
			err := p.Publish(t.Context(), messages("during")...)
			if took := time.Since(began); took > 11*time.Second {
				t.Errorf("Publish took %v, want at most 10s", took)
			}
			if !errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, vedette.ErrRefused) {
				t.Errorf("Publish: %v; want the reason", err)
			}
		}
		away.Store(false)
		for n := range 5 {
			if err := p.Publish(t.Context(), messages("after")...); err == nil {
				break
			} else if n == 4 {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(w.stored(2), []string{"before", "after"}); diff != "" {
			t.Errorf("stored; what was given up must not be sent later (-got +want):\n%s", diff)
		}
	})
}

// held runs test with a topic that has one message and a network that holds all that is sent on
// the connections that there are by then.
func held(t *testing.T, test func(t *testing.T, p *kafka.Publisher, d *delay)) {
	virtually(t, 1, func(t *testing.T, w *world) {
		d := &delay{dial: w.net.DialContext}
		c := w.c
		c.Timeout, c.Dialer = 2*time.Second, d.Dial
		p := publisher(t, c)
		if err := p.Publish(t.Context(), messages("first")...); err != nil {
			t.Fatal(err)
		}
		d.hold(true)
		test(t, p, d)
		d.release()
		if err := p.Publish(t.Context(), messages("third")...); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w.stored(3), []string{"first", "second", "third"}); diff != "" {
			t.Errorf("stored (-got +want):\n%s", diff)
		}
	})
}

func TestPublishTriesAgainWhenItsConnectionHangs(t *testing.T) {
	held(t, func(t *testing.T, p *kafka.Publisher, d *delay) {
		time.AfterFunc(time.Second, func() { d.hold(false) })
		if err := p.Publish(t.Context(), messages("second")...); err != nil {
			t.Errorf("Publish over a connection that hangs: %v, want a second attempt", err)
		}
	})
}

func TestHeldRequestDoesNotArriveAfterItsRepeat(t *testing.T) {
	held(t, func(t *testing.T, p *kafka.Publisher, d *delay) {
		began := time.Now()
		if err := p.Publish(t.Context(), messages("second")...); err == nil || time.Since(began) > 3*time.Second {
			t.Fatalf("Publish of what is held: %v after %v, want an error after 2s", err, time.Since(began))
		}
		d.hold(false)
		for n := range 5 {
			if err := p.Publish(t.Context(), messages("second")...); err == nil {
				break
			} else if n == 4 {
				t.Fatalf("Publish again: %v", err)
			}
		}
	})
}

func TestPublishAfterCloseFails(t *testing.T) {
	virtually(t, 1, func(t *testing.T, w *world) {
		p := publisher(t, w.c)
		_ = p.Close()
		if err := p.Publish(t.Context(), messages("late")...); err == nil {
			t.Error("Publish after Close said that the message is sent")
		}
	})
}

type countingMeter struct {
	mu                        sync.Mutex
	records, bytes, bad, read int
	assigned                  int
	lag                       []int64
	ended                     []string
}

func (m *countingMeter) Produced(_ string, records, bytes int, _ time.Duration, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records, m.bytes = m.records+records, m.bytes+bytes
	if !ok {
		m.bad++
	}
}

func (m *countingMeter) Consumed(_ string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.read += n
}

func (m *countingMeter) Lag(_ string, _ int32, offsets int64, _ time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lag = append(m.lag, offsets)
}

func (m *countingMeter) Assigned(change int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.assigned += change
}

func (m *countingMeter) Ended(cause string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = append(m.ended, cause)
}

var _ kafka.Meter = (*countingMeter)(nil)

func TestMeterIsTold(t *testing.T) {
	virtually(t, 1, func(t *testing.T, w *world) {
		m := &countingMeter{}
		w.c.Meter = m
		w.publish(numbered(10)...)
		w.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.InvalidRecord})
		_ = publisher(t, w.c).Publish(t.Context(), messages("bad")...)
		one := w.open("one")
		w.keep(one, w.receive(one, 4))
		time.Sleep(2 * time.Second)
		if m.assigned != 1 {
			t.Errorf("%d partitions are assigned, want 1", m.assigned)
		}
		_ = one.Close()
		if m.records != 11 || m.bytes != 10*4+4 || m.bad != 1 || m.read != 4 {
			t.Errorf("%d records of %d bytes in %d bad calls, %d read; want 11, 44, 1 and 4", m.records, m.bytes, m.bad, m.read)
		}
		if n := len(m.lag); n < 2 || m.lag[0] != 6 || m.lag[n-1] != -1 {
			t.Errorf("lag %v, want 6 and at last -1", m.lag)
		}
		if m.assigned != 0 || len(m.ended) != 1 || m.ended[0] != "closed" {
			t.Errorf("%d partitions, ended %v; want none, and closed", m.assigned, m.ended)
		}
	})
}
