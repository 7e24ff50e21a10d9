package sqlite_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/sqlite"
)

// small returns jobs of the usual size.
func small(n int) []vedette.Job {
	now := time.Now()
	jobs := make([]vedette.Job, n)
	for i := range jobs {
		jobs[i] = vedette.Job{ID: vedette.NewID(now), Handler: "h", Params: vedette.Raw(`{"shop":1}`), Queue: "q"}
	}
	return jobs
}

func push(t testing.TB, s *sqlite.Store, jobs ...vedette.Job) {
	t.Helper()
	if refused, err := s.Jobs().Push(t.Context(), jobs...); err != nil || len(refused) > 0 {
		t.Fatalf("Push: %v refused, %v", refused, err)
	}
}

// work claims up to n jobs and ends them, and returns how many these were.
func work(t testing.TB, s *sqlite.Store, n int) int {
	t.Helper()
	jobs, err := s.Queue().Claim(t.Context(), "w", n, vedette.Want{Queue: "q"})
	if err != nil {
		t.Fatal(err)
	}
	ends := make([]vedette.End, len(jobs))
	for i, j := range jobs {
		ends[i] = vedette.End{Ref: j.Ref(), State: vedette.JobSucceeded}
	}
	if stale, err := s.Queue().Finish(t.Context(), ends...); err != nil || len(stale) > 0 {
		t.Fatalf("Finish: %v stale, %v", stale, err)
	}
	return len(jobs)
}

// BenchmarkPushAndWork measures the two halves of the life of a job apart, by jobs a call.
func BenchmarkPushAndWork(b *testing.B) {
	for _, n := range []int{1, 20, 500} {
		s := open(b, filepath.Join(b.TempDir(), "vedette.db"), sqlite.Options{})
		if _, err := s.Queue().Beat(b.Context(), "w", time.Hour); err != nil {
			b.Fatal(err)
		}
		pushed := 0
		b.Run(fmt.Sprintf("push %d", n), func(b *testing.B) {
			for b.Loop() {
				push(b, s, small(n)...)
			}
			pushed += b.N * n
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "jobs/s")
		})
		b.Run(fmt.Sprintf("work %d", n), func(b *testing.B) {
			done := 0
			for b.Loop() {
				if pushed < n {
					b.StopTimer()
					push(b, s, small(n*20)...)
					pushed += n * 20
					b.StartTimer()
				}
				got := work(b, s, n)
				done, pushed = done+got, pushed-got
			}
			b.ReportMetric(float64(done)/b.Elapsed().Seconds(), "jobs/s")
		})
	}
}

// BenchmarkWake measures how long after a Push begins a worker that waits has its job, on disk.
func BenchmarkWake(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "vedette.db"), sqlite.Options{})
	beat(b, s, "w")
	var took []time.Duration
	for b.Loop() {
		woke := make(chan time.Time)
		go func() {
			claim(b, s, "w")
			woke <- time.Now()
		}()
		time.Sleep(2 * time.Millisecond) // until it waits
		at := time.Now()
		push(b, s, small(1)...)
		took = append(took, (<-woke).Sub(at))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "us-p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "us-p99")
}

// BenchmarkManyAtOnce measures jobs that 32 push, claim and finish one by one.
func BenchmarkManyAtOnce(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "vedette.db"), sqlite.Options{})
	beat(b, s, "w")
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			push(b, s, small(1)...)
			work(b, s, 1)
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
}
