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
	work(b, s, s.Queue())
}

// BenchmarkWorkerAlone works off jobs that do nothing and cost nothing to claim and to end.
func BenchmarkWorkerAlone(b *testing.B) {
	s := memory.New()
	q := &endless{Queue: s.Queue()}
	for range 1000 {
		q.jobs = append(q.jobs, vedette.Job{Handler: "h", Queue: vedette.DefaultQueue})
	}
	work(b, s, q)
}

func work(b *testing.B, s *memory.Store, q vedette.Queue) {
	var left atomic.Int64
	left.Store(int64(b.N))
	ctx, cancel := context.WithCancel(b.Context())
	w, err := worker.New(worker.Config{
		Queue: q, Feed: s.Feed(), KV: s.KV(), Owner: "w", Concurrency: 1000,
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

// An endless queue always has jobs.
type endless struct {
	vedette.Queue
	jobs []vedette.Job
}

func (q *endless) Claim(_ context.Context, _ string, n int, _ ...vedette.Want) ([]vedette.Job, error) {
	jobs := append([]vedette.Job(nil), q.jobs[:n]...)
	now := time.Now()
	for i := range jobs {
		jobs[i].ID, jobs[i].StartedAt = vedette.NewID(now), now
	}
	return jobs, nil
}

func (*endless) Finish(context.Context, ...vedette.End) ([]vedette.Ref, error) { return nil, nil }
