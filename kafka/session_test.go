package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/vedettehq/vedette"
)

func numbered(n int) []string {
	s := make([]string, n)
	for i := range s {
		s[i] = fmt.Sprintf("m%02d", i)
	}
	return s
}

func TestStoppedProcessIsSuperseded(t *testing.T) {
	virtually(t, 1, func(t *testing.T, w *world) {
		w.publish(numbered(10)...)
		b := newBrake(w)
		c := w.c
		c.Dialer = b.Dial
		stopped := open(t, source(t, c, w.reading("stopped")))
		held := w.receive(stopped, 10)

		b.pull()
		began := time.Now()
		next := w.open("next")
		again := w.receive(next, 10)
		if took := time.Since(began); took < 5*time.Second || took > 15*time.Second {
			t.Errorf("the successor had to wait %v, want about the session time-out, 10s", took)
		}
		if again[0].Position.Epoch <= held[0].Position.Epoch {
			t.Errorf("epoch %d after %d, want a higher one", again[0].Position.Epoch, held[0].Position.Epoch)
		}
		w.keep(next, again)

		b.release()
		if err := w.write(held); !errors.Is(err, vedette.ErrLeaseLost) {
			t.Errorf("write of the stopped one: %v, want ErrLeaseLost", err)
		}
		// The session may not know yet. What it settles changes nothing.
		_ = stopped.Settle(t.Context(), last(held))
		_ = w.lose(stopped)
		if diff := cmp.Diff(w.kept, numbered(10)); diff != "" {
			t.Errorf("kept, each once (-got +want):\n%s", diff)
		}
	})
}

func TestSlowProcessIsSuperseded(t *testing.T) {
	virtually(t, 1, func(t *testing.T, w *world) {
		w.publish(numbered(10)...)
		slow := w.open("slow")
		held := w.receive(slow, 10)
		began := time.Now()
		next := w.open("next")
		w.keep(next, w.receive(next, 10))
		if took := time.Since(began); took < 25*time.Second || took > 40*time.Second {
			t.Errorf("the successor had to wait %v, want about the rebalance time-out, 30s", took)
		}
		if err := w.write(held); !errors.Is(err, vedette.ErrLeaseLost) {
			t.Errorf("write of the slow one: %v, want ErrLeaseLost", err)
		}
		_ = slow.Close()
		w.publish("more")
		w.keep(next, w.receive(next, 1))
		if diff := cmp.Diff(w.kept, append(numbered(10), "more")); diff != "" {
			t.Errorf("kept, each once (-got +want):\n%s", diff)
		}
	})
}

func TestRebalanceWaitsUntilMessagesAreSettled(t *testing.T) {
	virtually(t, 2, func(t *testing.T, w *world) {
		// Without a key messages stick to a partition for a while, so each partition is written to.
		cl := client(t, w.c, kgo.RecordPartitioner(kgo.ManualPartitioner()))
		for i, b := range numbered(20) {
			r := &kgo.Record{Topic: "results", Partition: int32(i % 2), Value: []byte(b)}
			if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		one := w.open("one")
		held := w.receive(one, 20)
		two := w.open("two")
		began := time.Now()
		if m, err := one.Receive(t.Context(), 10); len(m) > 0 || err != nil {
			t.Fatalf("Receive while a rebalance waits: %v, %v; want nothing", m, err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %v to say that a rebalance waits", took)
		}
		w.keep(one, held)

		// Both go on, each in the partition that it has now: one keeps its epoch there.
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		epochs := map[int32]int64{}
		for len(epochs) < 2 {
			for _, s := range []vedette.Session{one, two} {
				short, cancel := context.WithTimeout(ctx, time.Second)
				m, err := s.Receive(short, 10)
				cancel()
				if err != nil || ctx.Err() != nil {
					t.Fatalf("epochs %v: %v", epochs, errors.Join(err, ctx.Err()))
				}
				if len(m) > 0 {
					w.keep(s, m)
				}
				for _, m := range m {
					if s == two || m.Position.Partition != 0 && epochs[0] == 2 || m.Position.Partition != 1 && epochs[1] == 2 {
						epochs[m.Position.Partition] = m.Position.Epoch
					}
				}
			}
		}
		if epochs[0]+epochs[1] != 3 {
			t.Errorf("epochs %v, want 2 where the partition has moved and 1 where not", epochs)
		}
	})
}

func TestClosedSessionHandsOverAtOnce(t *testing.T) {
	virtually(t, 1, func(t *testing.T, w *world) {
		w.publish(numbered(4)...)
		one := w.open("one")
		w.receive(one, 4) // and never settled
		two := w.open("two")
		began := time.Now()
		if err := one.Close(); err != nil {
			t.Fatal(err)
		}
		w.keep(two, w.receive(two, 4))
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the other got the partitions after %v", took)
		}
	})
}

// TestAddedPartitionIsReadSoon has a session that waits for messages of its own partition take
// over another's.
func TestAddedPartitionIsReadSoon(t *testing.T) {
	virtually(t, 2, func(t *testing.T, w *world) {
		w.c.Heartbeat = 100 * time.Millisecond
		one, two := w.open("one"), w.open("two")
		w.keep(one, []vedette.Message{idle(w, one)})
		mine := idle(w, two)
		w.keep(two, []vedette.Message{mine})
		began := time.Now()
		if err := one.Close(); err != nil {
			t.Fatal(err)
		}
		cl := client(t, w.c, kgo.RecordPartitioner(kgo.ManualPartitioner()))
		r := &kgo.Record{Topic: "results", Partition: 1 - mine.Position.Partition, Value: []byte("m")}
		if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
		w.receive(two, 1)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the message was read after %v", took)
		}
	})
}

func TestSessionThatIsOverClaimsNothing(t *testing.T) {
	virtually(t, 1, func(t *testing.T, w *world) {
		one := w.open("one")
		w.keep(one, []vedette.Message{idle(w, one)})
		w.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.UnknownMemberID})
		_ = w.lose(one)
		time.Sleep(time.Minute) // in which the client joins the group again
		if p := w.position(); p.Epoch != 1 {
			t.Errorf("epoch %d: it has claimed again", p.Epoch)
		}
	})
}

func TestTimeComesFurtherAtRest(t *testing.T) {
	virtually(t, 1, func(t *testing.T, w *world) {
		one := w.open("one")
		var through time.Time
		for range 10 {
			m, err := one.Receive(t.Context(), 10)
			if err != nil || len(m) != 1 || m[0].Mark != vedette.MarkIdle {
				t.Fatalf("%+v, %v; want a mark that the partition is idle", m, err)
			}
			p := m[0].Position
			if age := time.Since(p.Through); age > time.Second || !p.Through.After(through) {
				t.Errorf("through %v ago, after %v; want the present", age, p.Through.Sub(through))
			}
			through = p.Through
			w.keep(one, m)
		}
		if p := w.position(); p.Next != 0 || !p.Through.Equal(through) {
			t.Errorf("kept %+v, want next 0 through %v", p, through)
		}
	})
}

func TestTimeIsThatOfTheGivenClock(t *testing.T) {
	virtually(t, 1, func(t *testing.T, w *world) {
		r := w.reading("one")
		r.Now = func() time.Time { return time.Now().Add(-time.Hour) }
		m, err := open(t, source(t, w.c, r)).Receive(t.Context(), 10)
		if err != nil || len(m) != 1 {
			t.Fatalf("%+v, %v; want a mark that the partition is idle", m, err)
		}
		if age := time.Since(m[0].Position.Through); age < time.Hour || age > time.Hour+time.Second {
			t.Errorf("through %v ago, want an hour", age)
		}
	})
}

// TestTimeDoesNotPassWhatIsUnread reads so slowly that the end runs away.
func TestTimeDoesNotPassWhatIsUnread(t *testing.T) {
	virtually(t, 1, func(t *testing.T, w *world) {
		one := w.open("one")
		sent := map[int64]time.Time{} // by offset
		for i := range 20 {
			for range 10 {
				sent[int64(len(sent))] = time.Now()
				w.publish("m")
			}
			time.Sleep(time.Second)
			all := w.receive(one, 5)
			for _, m := range all {
				if after, ok := sent[m.Position.Next]; ok && m.Position.Through.After(after) {
					t.Errorf("round %d: through %v at offset %d, although the next was sent at %v", i, m.Position.Through, m.Position.Next, after)
				}
			}
			w.keep(one, all)
		}
		if p := w.position(); p.Through.IsZero() {
			t.Error("time stands still as long as there is something to read")
		}
	})
}

func TestReadsPastTransactions(t *testing.T) {
	virtually(t, 1, func(t *testing.T, w *world) {
		cl := client(t, w.c, kgo.TransactionalID("other"), kgo.DefaultProduceTopic("results"))
		for i, commit := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort, kgo.TryCommit, kgo.TryAbort} {
			if err := cl.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			if err := cl.ProduceSync(t.Context(), kgo.StringRecord(fmt.Sprint("m", i))).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if err := cl.EndTransaction(t.Context(), commit); err != nil {
				t.Fatal(err)
			}
		}
		one := w.open("one")
		w.keep(one, w.receive(one, 2))
		for w.position().Next < 8 {
			m, err := one.Receive(t.Context(), 10)
			if err != nil || len(m) == 0 {
				t.Fatalf("%v, %v; want marks until the end of the log", m, err)
			}
			w.keep(one, m)
		}
		if diff := cmp.Diff(w.kept, []string{"m0", "m2"}); diff != "" {
			t.Errorf("kept (-got +want):\n%s", diff)
		}
		if p := w.position(); time.Since(p.Through) > 2*time.Second {
			t.Errorf("kept %+v, want time to have come to the present", p)
		}
	})
}

func TestBeginsAtTheEndIfAsked(t *testing.T) {
	virtually(t, 1, func(t *testing.T, w *world) {
		w.publish(numbered(5)...)
		r := w.reading("one")
		r.Newest = true
		one := open(t, source(t, w.c, r))
		w.keep(one, []vedette.Message{idle(w, one)})
		if p := w.position(); p.Next != 5 {
			t.Errorf("kept %+v, want that it begins at 5", p)
		}
		w.publish("new")
		if m := w.receive(one, 1); string(m[len(m)-1].Body) != "new" {
			t.Errorf("got %q, want the message that was sent afterwards", m[len(m)-1].Body)
		}
	})
}

// idle waits for the first mark.
func idle(w *world, s vedette.Session) vedette.Message {
	w.Helper()
	m, err := s.Receive(w.Context(), 1)
	if err != nil || len(m) != 1 || m[0].Mark != vedette.MarkIdle {
		w.Fatalf("%v, %v; want a mark", m, err)
	}
	return m[0]
}

func TestKafkaKeepsPositionsItself(t *testing.T) {
	virtually(t, 1, func(t *testing.T, w *world) {
		w.publish(numbered(10)...)
		r := w.reading("")
		r.Claim = nil
		s := source(t, w.c, r)
		one := open(t, s)
		all := w.receive(one, 6)
		if err := one.Settle(t.Context(), last(all[:4])); err != nil {
			t.Fatal(err)
		}
		// The sixth is done, but not the fifth before it.
		if err := one.Settle(t.Context(), vedette.Verdict{Tag: all[5].Tag, Do: vedette.Ack}); err != nil {
			t.Fatal(err)
		}
		_ = one.Close()
		two := open(t, s)
		all = w.receive(two, 6)
		if m := all[0]; string(m.Body) != "m04" || m.Position.From != 4 {
			t.Errorf("the next session begins with %q at %+v, want m04", m.Body, m.Position)
		}
		w.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.UnknownMemberID, Count: -1})
		if err := two.Settle(t.Context(), last(all)); !errors.Is(err, vedette.ErrLeaseLost) {
			t.Errorf("Settle that Kafka refuses: %v, want ErrLeaseLost", err)
		}
	})
}

func TestTellsToolsHowFarItCame(t *testing.T) {
	virtually(t, 1, func(t *testing.T, w *world) {
		w.publish(numbered(10)...)
		one := w.open("one")
		w.keep(one, w.receive(one, 7))
		if err := one.Close(); err != nil {
			t.Fatal(err)
		}
		if got := w.GroupInfo("recorders").Commits["results"][0].Offset; got != 7 {
			t.Errorf("Kafka says offset %d, want 7", got)
		}
	})
}

// A store that does not answer, as after its machine has lost its power, must not keep partitions from
// being read when it is back.
func TestClaimThatHangsEndsTheSession(t *testing.T) {
	virtually(t, 1, func(t *testing.T, w *world) {
		r := w.reading("one")
		r.Claim = func(ctx context.Context, _ ...vedette.Position) ([]vedette.Position, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		began := time.Now()
		_ = w.lose(open(t, source(t, w.c, r)))
		if took := time.Since(began); took > time.Minute {
			t.Errorf("the session ended after %v", took)
		}
	})
}

func TestClaimThatFailsEndsTheSession(t *testing.T) {
	virtually(t, 1, func(t *testing.T, w *world) {
		r := w.reading("one")
		broken := errors.New("the store is away")
		r.Claim = func(context.Context, ...vedette.Position) ([]vedette.Position, error) { return nil, broken }
		if err := w.lose(open(t, source(t, w.c, r))); !errors.Is(err, broken) {
			t.Errorf("%v, want the reason", err)
		}
	})
}
