package storetest

import (
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// BenchmarkQueue measures the whole life of jobs that do nothing: 500 are pushed, claimed and
// finished in each round, one call for each of these.
func BenchmarkQueue(b *testing.B, s QueueStore) {
	const batch = 500
	if _, err := s.Queue().Beat(b.Context(), "w", time.Hour); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		now := time.Now()
		jobs := make([]vedette.Job, batch)
		for i := range jobs {
			jobs[i] = vedette.Job{ID: vedette.NewID(now), Handler: "h", Params: vedette.Raw(`{"shop":1}`), Queue: "q"}
		}
		if _, err := s.Jobs().Push(b.Context(), jobs...); err != nil {
			b.Fatal(err)
		}
		for left := batch; left > 0; {
			claimed, err := s.Queue().Claim(b.Context(), "w", batch, vedette.Want{Queue: "q"})
			if err != nil {
				b.Fatal(err)
			}
			ends := make([]vedette.End, len(claimed))
			for i, j := range claimed {
				ends[i] = end(j, vedette.JobSucceeded)
			}
			if stale, err := s.Queue().Finish(b.Context(), ends...); err != nil || len(stale) > 0 {
				b.Fatal(stale, err)
			}
			left -= len(claimed)
		}
	}
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "jobs/s")
}
