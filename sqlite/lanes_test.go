package sqlite

import (
	"math"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// TestHeldJobsCostAClaimNothing compares claims behind one job that is held with those behind
// many: to look through these takes a hundred times as long.
func TestHeldJobsCostAClaimNothing(t *testing.T) {
	s := openNew(t)
	ctx := t.Context()
	if _, err := s.Queue().Beat(ctx, "w", time.Hour); err != nil {
		t.Fatal(err)
	}
	push := func(n int, change func(*vedette.Job)) {
		t.Helper()
		jobs := make([]vedette.Job, n)
		for i := range jobs {
			jobs[i] = newJob("q")
			change(&jobs[i])
		}
		if _, err := s.Jobs().Push(ctx, jobs...); err != nil {
			t.Fatal(err)
		}
	}
	claim := func() time.Duration {
		t.Helper()
		began := time.Now()
		jobs, err := s.Queue().Claim(ctx, "w", 1, vedette.Want{Queue: "q"})
		if err != nil || len(jobs) != 1 {
			t.Fatal(jobs, err)
		}
		return time.Since(began)
	}
	shortest := func() time.Duration {
		least := time.Duration(math.MaxInt64)
		for range 10 {
			push(1, func(*vedette.Job) {})
			least = min(least, claim())
		}
		return least
	}
	urgent := func(j *vedette.Job) { j.Priority, j.LimitKey, j.Limit = -1, "k", 1 }
	push(2, urgent)
	claim()
	few := shortest()
	push(20_000, urgent)
	if many := shortest(); many > 5*few {
		t.Errorf("a claim takes %v behind 20,000 jobs that are held, and %v behind one", many, few)
	}
}
