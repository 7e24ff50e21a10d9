package due_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vedettehq/vedette/internal/due"
)

// TestHeapAgreesWithMap plays random operations against a plain map.
func TestHeapAgreesWithMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h due.Heap[int]
		model := map[int]int64{}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			key := rapid.IntRange(0, 30).Draw(t, "key")
			switch rapid.IntRange(0, 3).Draw(t, "op") {
			case 0, 1:
				at := rapid.Int64Range(0, 50).Draw(t, "at")
				h.Set(key, time.Unix(0, at))
				model[key] = at
			case 2:
				h.Remove(key)
				delete(model, key)
			case 3:
				pop(t, &h, model)
			}
			at, ok := h.At(key)
			want, wantOK := model[key]
			if ok != wantOK || ok && at.UnixNano() != want {
				t.Fatalf("At(%d) = %v %v, want %d %v", key, at.UnixNano(), ok, want, wantOK)
			}
		}
		for len(model) > 0 {
			pop(t, &h, model)
		}
		if _, _, ok := h.Pop(); ok || h.Len() != 0 {
			t.Fatal("the heap holds more than it was given")
		}
	})
}

func pop(t *rapid.T, h *due.Heap[int], model map[int]int64) {
	key, at, ok := h.Pop()
	if !ok {
		if len(model) > 0 {
			t.Fatalf("nothing popped of %d", len(model))
		}
		return
	}
	if model[key] != at.UnixNano() {
		t.Fatalf("popped %d at %d, want %d", key, at.UnixNano(), model[key])
	}
	for other, when := range model {
		if when < at.UnixNano() {
			t.Fatalf("popped %d at %d before %d at %d", key, at.UnixNano(), other, when)
		}
	}
	delete(model, key)
}

func TestHeapDoesNotAllocateInTheSteadyState(t *testing.T) {
	var h due.Heap[int]
	for i := range 1000 {
		h.Set(i, time.Unix(int64(i), 0))
	}
	n := 1000
	got := testing.AllocsPerRun(1000, func() {
		key, _, _ := h.Peek()
		n++
		h.Set(key, time.Unix(int64(n), 0))
		h.Remove(key)
		h.Set(key, time.Unix(int64(n), 0))
	})
	if got != 0 {
		t.Errorf("%v allocations an operation, want 0", got)
	}
}

func BenchmarkSet(b *testing.B) {
	var h due.Heap[int]
	for i := range 20_000 {
		h.Set(i, time.Unix(int64(i), 0))
	}
	for n := 20_000; b.Loop(); n++ {
		key, _, _ := h.Peek()
		h.Set(key, time.Unix(int64(n), 0))
	}
}
