package worker_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/worker"
)

// BenchmarkWorker works off jobs that do nothing; the store's own part is included.
func BenchmarkWorker(b *testing.B) {
	s := memory.New()
	jobs := make([]vedette.Job, b.N)
	now := time.Now()
	for i := range jobs {
		jobs[i] = vedette.Job{ID: vedette.NewID(now.Add(time.Duration(i) * time.Microsecond)), Handler: "h"}
	}
	if _, err := s.Jobs().Push(b.Context(), jobs...); err != nil {
		b.Fatal(err)
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	ctx, cancel := context.WithCancel(b.Context())
	w, err := worker.New(worker.Config{
		Queue: s.Queue(), Feed: s.Feed(), KV: s.KV(), Owner: "w", Concurrency: 500,
		Handlers: map[string]vedette.Handler{"h": vedette.HandlerFunc(func(context.Context, *vedette.Task) (string, error) {
			if left.Add(-1) == 0 {
				cancel()
			}
			return "", nil
		})},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var running sync.WaitGroup
	running.Go(func() { _ = w.Run(ctx) })
	running.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
}
