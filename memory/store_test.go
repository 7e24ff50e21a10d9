package memory_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/storetest"
)

func TestStore(t *testing.T) {
	storetest.TestStore(t, func(*testing.T) storetest.Store { return memory.New() })
}

func TestLeasesUnderSynctest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memory.New().Leases()
		if _, err := l.Acquire(t.Context(), "a", time.Minute, "x"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute - time.Nanosecond)
		if held, _ := l.Acquire(t.Context(), "b", time.Minute, "x"); len(held) != 0 {
			t.Errorf("b holds %+v a nanosecond before a's end", held)
		}
		time.Sleep(time.Nanosecond)
		if held, _ := l.Acquire(t.Context(), "b", time.Minute, "x"); len(held) != 1 {
			t.Error("b does not hold the lease that a's ended")
		}
	})
}

func TestTokenGrowsWhenTheClockGoesBack(t *testing.T) {
	var ahead vedette.Lease
	s := memory.New()
	held, err := s.Leases().Acquire(t.Context(), "a", time.Hour, "x")
	if err != nil {
		t.Fatal(err)
	}
	ahead = held[0]
	if err := s.Leases().Release(t.Context(), ahead); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { // its clock begins in 2000
		held, err := s.Leases().Acquire(t.Context(), "b", time.Hour, "x")
		if err != nil {
			t.Fatal(err)
		}
		if len(held) == 1 && held[0].Token <= ahead.Token {
			t.Errorf("token %d after %d", held[0].Token, ahead.Token)
		}
	})
}

func TestChangesUnderSynctest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := memory.New().Monitors()
		done := make(chan int, 1)
		go func() {
			now, _, _, err := r.Changes(t.Context(), 0)
			if err != nil {
				t.Error(err)
			}
			done <- len(now)
		}()
		synctest.Wait()
		if err := r.Put(t.Context(), vedette.Monitor{ID: "a"}); err != nil {
			t.Fatal(err)
		}
		if got := <-done; got != 1 {
			t.Errorf("%d changes, want 1", got)
		}
	})
}

func BenchmarkWrite(b *testing.B) { storetest.BenchmarkWrite(b, memory.New(), 20_000) }
