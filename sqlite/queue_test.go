package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/sqlite"
	"github.com/vedettehq/vedette/storetest"
)

func TestQueue(t *testing.T) {
	storetest.TestQueue(t, storetest.Virtual(), func(t *testing.T) storetest.QueueStore {
		return open(t, filepath.Join(t.TempDir(), "vedette.db"), sqlite.Options{})
	})
}

func BenchmarkQueue(b *testing.B) {
	storetest.BenchmarkQueue(b, open(b, filepath.Join(b.TempDir(), "vedette.db"), sqlite.Options{}))
}

// TestManyAreStartedAsEachWas claims and ends at once what was claimed before and what was not.
func TestManyAreStartedAsEachWas(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "vedette.db"), sqlite.Options{})
	beat(t, s, "w")
	all := small(100)
	for i := range all {
		all[i].MaxAttempts = 5
	}
	push(t, s, all...)
	want := vedette.Want{Queue: "q"}
	tried, err := s.Queue().Claim(t.Context(), "w", 30, want)
	if err != nil || len(tried) != 30 {
		t.Fatalf("Claim: %d, %v", len(tried), err)
	}
	again := map[vedette.ID]bool{}
	var ends []vedette.End
	for _, j := range tried {
		again[j.ID] = true
		ends = append(ends, vedette.End{Ref: j.Ref(), State: vedette.JobRetrying, Error: "once more"})
	}
	if stale, err := s.Queue().Finish(t.Context(), ends...); err != nil || len(stale) > 0 {
		t.Fatalf("Finish: %v stale, %v", stale, err)
	}
	got, err := s.Queue().Claim(t.Context(), "w", 100, want)
	if err != nil || len(got) != 100 {
		t.Fatalf("Claim: %d, %v", len(got), err)
	}
	ends = nil
	for _, j := range got {
		attempt := 1
		if again[j.ID] {
			attempt = 2
		}
		kept, err := s.Jobs().Get(t.Context(), j.ID)
		if err != nil || j.Attempt != attempt || kept.Attempt != attempt || kept.Ref() != j.Ref() || kept.State != vedette.JobStarted || kept.Owner != "w" {
			t.Errorf("%s: claimed with attempt %d, kept as %+v, %v; want attempt %d", j.ID, j.Attempt, kept, err, attempt)
		}
		ends = append(ends, vedette.End{Ref: j.Ref(), State: vedette.JobSucceeded})
	}
	if stale, err := s.Queue().Finish(t.Context(), ends...); err != nil || len(stale) > 0 {
		t.Errorf("Finish: %v stale, %v", stale, err)
	}
	if left, err := s.Jobs().Queues(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("left over: %+v, %v", left, err)
	}
}
