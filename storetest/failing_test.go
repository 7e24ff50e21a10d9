package storetest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/storetest"
)

func TestFailingFailsOnCommand(t *testing.T) {
	var f storetest.Failing
	s := memory.New()
	w, l := f.Writer(s), f.Leaser(s.Leases())
	broken := errors.New("broken")
	status := func() (n int) {
		all, err := s.Latest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	batch := vedette.Batch{Statuses: []vedette.Status{{Monitor: "a"}}}

	f.Fail(broken)
	if err := w.Write(t.Context(), batch); !errors.Is(err, broken) || status() != 0 {
		t.Errorf("failing: %v, %d statuses are kept, want none", err, status())
	}
	if held, err := l.Acquire(t.Context(), "a", time.Hour, "x"); !errors.Is(err, broken) || held != nil {
		t.Errorf("failing: held %v, %v", held, err)
	}
	f.Lose(broken)
	if err := w.Write(t.Context(), batch); !errors.Is(err, broken) || status() != 1 {
		t.Errorf("losing the answer: %v, %d statuses are kept, want 1", err, status())
	}
	f.Lose(nil)
	if err := w.Write(t.Context(), batch); !errors.Is(err, vedette.ErrConflict) {
		t.Errorf("mended: %v, want the store's own error", err)
	}
	if held, err := l.Acquire(t.Context(), "a", time.Hour, "x"); err != nil || len(held) != 1 {
		t.Errorf("mended: held %v, %v", held, err)
	}
	if got := f.Calls(); got != 5 {
		t.Errorf("%d calls, want 5", got)
	}
}
