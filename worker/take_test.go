package worker

import "testing"

// While some always wait, the room of those that were taken is used again.
func TestHandsKeepNothingOfWhatTheyTook(t *testing.T) {
	w := &Worker{hands: newHands()}
	w.hands.coming = true // so that none comes but this test
	w.hand([]*run{{}})
	for range 10_000 {
		next := &run{}
		w.hand([]*run{next})
		if r := w.take(false); r == nil || r == next {
			t.Fatal("they are not taken in their order")
		}
	}
	if n := cap(w.hands.ready); n > 100 {
		t.Errorf("room for %d runs, and one waits", n)
	}
}
