package memory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/storetest"
)

func TestStream(t *testing.T) {
	storetest.TestStream(t, func(*testing.T) storetest.Stream {
		s := memory.NewStream(4)
		return storetest.Stream{
			Topic: "results", Publisher: s,
			Source: func(claim storetest.StreamClaim) vedette.Source { return s.Source("vedette", "results", claim) },
		}
	})
}

// claims returns a Claim of the store's positions.
func claims(s *memory.Store, owner string) memory.Claim {
	return func(ctx context.Context, p ...vedette.Position) ([]vedette.Position, error) {
		return s.Positions().Claim(ctx, owner, p...)
	}
}

func publish(t *testing.T, s *memory.Stream, n int) {
	t.Helper()
	for i := range n {
		m := vedette.Message{Topic: "results", Key: fmt.Append(nil, i), Body: fmt.Append(nil, i)}
		if err := s.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
}

func open(t *testing.T, s vedette.Source) vedette.Session {
	t.Helper()
	session, err := s.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return session
}

func receive(t *testing.T, s vedette.Session) []vedette.Message {
	t.Helper()
	m, err := s.Receive(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// keep moves the store's positions behind messages of one partition and settles them.
func keep(t *testing.T, store *memory.Store, s vedette.Session, all []vedette.Message) {
	t.Helper()
	last := all[len(all)-1]
	to := last.Position
	to.From = all[0].Position.From
	if err := store.Write(t.Context(), vedette.Batch{Positions: []vedette.Position{to}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(t.Context(), vedette.Verdict{Tag: last.Tag, UpTo: true, Do: vedette.Ack}); err != nil {
		t.Fatal(err)
	}
}

// partitions returns those of messages, in order.
func partitions(all []vedette.Message) []int32 {
	var got []int32
	for _, m := range all {
		got = append(got, m.Position.Partition)
	}
	slices.Sort(got)
	return slices.Compact(got)
}

func TestStreamSaysWhatIsLost(t *testing.T) {
	for name, c := range map[string]struct {
		lose       func(s *memory.Stream)
		from, next int64 // of the mark
		rest       int   // messages behind it
	}{
		"too old":   {func(s *memory.Stream) { s.Trim("results", 0, 14) }, 10, 14, 6},
		"truncated": {func(s *memory.Stream) { s.Truncate("results", 0, 7) }, 10, 7, 0},
		"truncated before its start": {func(s *memory.Stream) {
			s.Trim("results", 0, 5)
			s.Truncate("results", 0, 3)
		}, 10, 3, 0},
		"made anew": {func(s *memory.Stream) {
			s.Recreate("results")
			_ = s.Publish(context.Background(), vedette.Message{Topic: "results"})
		}, 10, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			store, s := memory.New(), memory.NewStream(1)
			source := s.Source("vedette", "results", claims(store, "a"))
			publish(t, s, 10)
			first := open(t, source)
			keep(t, store, first, receive(t, first))
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			publish(t, s, 10)
			c.lose(s)
			second := open(t, source)
			all := receive(t, second)
			lost := all[0]
			if lost.Mark != vedette.MarkLost || lost.Position.From != c.from || lost.Position.Next != c.next || len(lost.Body) == 0 {
				t.Errorf("first came %+v, want what is lost from %d to %d", lost, c.from, c.next)
			}
			if got := slices.DeleteFunc(all, func(m vedette.Message) bool { return m.Mark != "" }); len(got) != c.rest {
				t.Errorf("%d messages behind it, want %d", len(got), c.rest)
			}
		})
	}
}

func TestStreamEndsASessionWhosePlaceIsGone(t *testing.T) {
	for name, lose := range map[string]func(s *memory.Stream){
		"trimmed":   func(s *memory.Stream) { s.Trim("results", 0, 15) },
		"truncated": func(s *memory.Stream) { s.Truncate("results", 0, 5) },
		"made anew": func(s *memory.Stream) { s.Recreate("results") },
	} {
		t.Run(name, func(t *testing.T) {
			s := memory.NewStream(1)
			publish(t, s, 20)
			session := open(t, s.Source("vedette", "results", claims(memory.New(), "a")))
			if m, err := session.Receive(t.Context(), 10); err != nil || len(m) != 10 {
				t.Fatal(len(m), err)
			}
			lose(s)
			if m, err := session.Receive(t.Context(), 10); !errors.Is(err, vedette.ErrLeaseLost) {
				t.Errorf("%d messages, %v, want ErrLeaseLost", len(m), err)
			}
		})
	}
}

func TestStreamMovesPartitionsOnceTheyAreSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, s := memory.New(), memory.NewStream(4)
		publish(t, s, 40)
		one := open(t, s.Source("vedette", "results", claims(store, "one")))
		all := receive(t, one)
		if got := partitions(all); len(got) != 4 {
			t.Fatalf("one session reads partitions %v, want all", got)
		}
		two := open(t, s.Source("vedette", "results", claims(store, "two")))
		for range 2 {
			if m, err := one.Receive(t.Context(), 100); m != nil || err != nil {
				t.Errorf("before it has settled: %v, %v, want nothing", m, err)
			}
		}
		short, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if m, err := two.Receive(short, 100); len(m) > 0 || err != nil {
			t.Errorf("the second session got %v, %v before the first one settled", m, err)
		}
		if err := one.Settle(t.Context(), vedette.Verdict{Tag: all[len(all)-1].Tag, UpTo: true, Do: vedette.Ack}); err != nil {
			t.Fatal(err)
		}
		moved, left := partitions(receive(t, two)), partitions(receive(t, one))
		if len(moved) != 2 || len(left) != 2 || len(slices.Compact(slices.Sorted(slices.Values(append(moved, left...))))) != 4 {
			t.Errorf("partitions %v and %v, want two each", left, moved)
		}
		if err := one.Close(); err != nil {
			t.Fatal(err)
		}
		rest := receive(t, two)
		if got := partitions(rest); !slices.Equal(got, left) {
			t.Errorf("after the first session's end the second reads %v, want also %v", got, left)
		}
		if kept, _ := store.Positions().List(t.Context(), "vedette"); len(kept) != 4 || kept[0].Epoch != 2 || kept[0].Owner != "two" {
			t.Errorf("kept %+v, want four that were claimed twice", kept)
		}
	})
}

func TestStreamFencesWhoWasExpelled(t *testing.T) {
	store, s := memory.New(), memory.NewStream(1)
	source := s.Source("vedette", "results", claims(store, "a"))
	publish(t, s, 10)
	old := open(t, source)
	batch := receive(t, old)
	s.Expel()
	now := open(t, source)
	again := receive(t, now)
	if len(again) != 10 {
		t.Errorf("%d messages come again, want 10", len(again))
	}
	if err := old.Settle(t.Context(), vedette.Verdict{Tag: batch[9].Tag, UpTo: true, Do: vedette.Ack}); !errors.Is(err, vedette.ErrLeaseLost) {
		t.Errorf("Settle: %v, want ErrLeaseLost", err)
	}
	stale := batch[9].Position
	stale.From = -1
	if err := store.Write(t.Context(), vedette.Batch{Positions: []vedette.Position{stale}}); !errors.Is(err, vedette.ErrLeaseLost) {
		t.Errorf("Write: %v, want ErrLeaseLost", err)
	}
	if _, err := old.Receive(t.Context(), 1); !errors.Is(err, vedette.ErrLeaseLost) {
		t.Errorf("Receive: %v, want ErrLeaseLost", err)
	}
	keep(t, store, now, again)
}

func TestStreamSaysHowFarTimeHasCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, s := memory.New(), memory.NewStream(1)
		publish(t, s, 3)
		session := open(t, s.Source("vedette", "results", claims(store, "a")))
		some, err := session.Receive(t.Context(), 2)
		if err != nil || len(some) != 2 || !some[1].Position.Through.IsZero() {
			t.Fatalf("%+v, %v, want two messages that are not the last", some, err)
		}
		all := slices.Concat(some, receive(t, session))
		last := all[len(all)-1]
		if len(all) != 3 || !last.Position.Through.Before(time.Now()) || last.Position.Through.Before(time.Now().Add(-time.Millisecond)) {
			t.Errorf("%+v, want the third message, through just now", all)
		}
		keep(t, store, session, all)
		began := time.Now()
		for i := range 3 {
			m := receive(t, session)
			if len(m) != 1 || m[0].Mark != vedette.MarkIdle || m[0].Position.From != 3 || m[0].Position.Next != 3 {
				t.Fatalf("%+v, want one idle mark at 3", m)
			}
			if now := time.Since(began); now != time.Duration(i+1)*time.Second || !m[0].Position.Through.After(last.Position.Through) {
				t.Errorf("mark %d came after %v, through %v", i, now, m[0].Position.Through)
			}
			last = m[0]
			keep(t, store, session, m)
		}
		if kept, _ := store.Positions().List(t.Context(), "vedette"); !kept[0].Through.Equal(last.Position.Through) {
			t.Errorf("kept %+v, want it through %v", kept, last.Position.Through)
		}
	})
}

func TestStreamEndsASessionThatCannotClaim(t *testing.T) {
	broken := errors.New("broken")
	s := memory.NewStream(2)
	session := open(t, s.Source("vedette", "results", func(context.Context, ...vedette.Position) ([]vedette.Position, error) {
		return nil, broken
	}))
	if _, err := session.Receive(t.Context(), 1); !errors.Is(err, vedette.ErrLeaseLost) || !errors.Is(err, broken) {
		t.Errorf("%v, want ErrLeaseLost and why", err)
	}
	next := open(t, s.Source("vedette", "results", claims(memory.New(), "a")))
	if got := partitions(receive(t, next)); len(got) != 2 {
		t.Errorf("the next session reads partitions %v, want both", got)
	}
}

func TestStreamRefusesAMessageForNobody(t *testing.T) {
	s := memory.NewStream(1)
	err := s.Publish(t.Context(), vedette.Message{Topic: "results"}, vedette.Message{})
	if !errors.Is(err, vedette.ErrRefused) || s.End("results", 0) != 0 {
		t.Errorf("%v, %d messages kept, want ErrRefused and none", err, s.End("results", 0))
	}
}

func TestStreamMovesAsFewPartitionsAsItCan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, s := memory.New(), memory.NewStream(6)
		source := s.Source("vedette", "results", claims(store, "a"))
		var sessions []vedette.Session
		claimed := func() (n int64) {
			for range 2 { // who hears of a change, and who comes after it
				for _, session := range sessions {
					all := receive(t, session)
					if err := session.Settle(t.Context(), vedette.Verdict{Tag: all[len(all)-1].Tag, UpTo: true, Do: vedette.Ack}); err != nil {
						t.Fatal(err)
					}
				}
			}
			kept, err := store.Positions().List(t.Context(), "vedette")
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range kept {
				n += p.Epoch
			}
			return n
		}
		for i, want := range []int64{6, 6 + 3, 6 + 3 + 2} {
			sessions = append(sessions, open(t, source))
			if got := claimed(); got != want {
				t.Errorf("%d claims with %d sessions, want %d", got, i+1, want)
			}
		}
		if err := sessions[0].Close(); err != nil {
			t.Fatal(err)
		}
		sessions = sessions[1:]
		if got, want := claimed(), int64(6+3+2+2); got != want {
			t.Errorf("%d claims after the first session's end, want %d", got, want)
		}
	})
}
