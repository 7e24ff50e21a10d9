package kafka_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/vedettehq/vedette"
)

// wantLost checks the mark that tells of lost messages.
func wantLost(t *testing.T, m vedette.Message, from, next int64, why string) {
	t.Helper()
	if m.Mark != vedette.MarkLost || m.Position.From != from || m.Position.Next != next {
		t.Errorf("mark %q of [%d, %d), want %q of [%d, %d)", m.Mark, m.Position.From, m.Position.Next, vedette.MarkLost, from, next)
	}
	if !strings.Contains(string(m.Body), why) {
		t.Errorf("it says %q, want %q", m.Body, why)
	}
}

// readOn reads ten messages and closes the session, then does what loses some.
func readOn(w *world, lose func()) []vedette.Message {
	w.publish(numbered(10)...)
	one := w.open("one")
	w.keep(one, w.receive(one, 4))
	lose()
	_ = one.Close()
	return w.receive(w.open("two"), 2)
}

func TestTellsWhatRetentionDeleted(t *testing.T) {
	virtually(t, 1, func(t *testing.T, w *world) {
		all := readOn(w, func() {
			if err := w.DeleteRecords("results", 0, 7); err != nil {
				t.Fatal(err)
			}
		})
		wantLost(t, all[0], 4, 7, "offsets 4 to 6 were deleted before they were read")
		if m := all[1]; string(m.Body) != "m07" || m.Position.From != 7 || m.Position.Next != 8 {
			t.Errorf("then %q at %+v, want m07", m.Body, m.Position)
		}
		if err := w.write(all); err != nil {
			t.Errorf("the positions are no chain: %v", err)
		}
	})
}

func TestTellsThatTheLogEndsEarly(t *testing.T) {
	virtually(t, 1, func(t *testing.T, w *world) {
		w.publish(numbered(10)...)
		one := w.open("one")
		all := w.receive(one, 10)
		all[9].Position.Next = 100 // as if Kafka had lost 90 messages since
		w.keep(one, all)
		_ = one.Close()
		two := w.open("two")
		lost := w.receive(two, 1)
		wantLost(t, lost[0], 100, 10, "the log ends at offset 10, before offset 100")
		w.publish("next")
		next := w.receive(two, 1)
		if m := next[len(next)-1]; string(m.Body) != "next" || m.Position.Next != 11 {
			t.Errorf("then %q at %+v, want the message at offset 10", m.Body, m.Position)
		}
		w.keep(two, append(lost, next...))
	})
}

func TestTellsThatTheTopicWasMadeAnew(t *testing.T) {
	virtually(t, 1, func(t *testing.T, w *world) {
		var was string
		all := readOn(w, func() {
			was = w.position().Stream
			anew(w, 3)
		})
		wantLost(t, all[0], 4, 0, "the topic was deleted and made anew")
		if now := all[0].Position.Stream; now == was || now == "" || was == "" {
			t.Errorf("stream %q after %q, want another", now, was)
		}
		if m := all[1]; string(m.Body) != "m00" || m.Position.From != 0 || m.Position.Next != 1 {
			t.Errorf("then %q at %+v, want m00", m.Body, m.Position)
		}
		if err := w.write(all); err != nil {
			t.Errorf("the positions are no chain: %v", err)
		}
	})
}

// anew makes the topic anew, with messages in it.
func anew(w *world, n int) {
	w.Helper()
	if err := errors.Join(w.DeleteTopic("results"), w.CreateTopic("results", 1, nil)); err != nil {
		w.Fatal(err)
	}
	w.publish(numbered(n)...)
}

func TestSessionEndsWhenItsPlaceIsGone(t *testing.T) {
	for name, lose := range map[string]func(w *world){
		"by retention":         func(w *world) { _ = w.DeleteRecords("results", 0, 7) },
		"with the whole topic": func(w *world) { anew(w, 3) },
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, 1, func(t *testing.T, w *world) {
				w.publish(numbered(4)...)
				one := w.open("one")
				w.keep(one, w.receive(one, 4))
				// It must not read on before they are gone.
				w.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.NotLeaderForPartition, Count: 3})
				w.publish(numbered(6)...)
				lose(w)
				_ = w.lose(one)
				_ = one.Close()
				if m := w.receive(w.open("two"), 1); m[0].Mark != vedette.MarkLost || m[0].Position.From != 4 {
					t.Errorf("first %+v, want a mark of what is lost from 4", m[0])
				}
			})
		})
	}
}
