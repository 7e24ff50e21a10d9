package redis

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/storetest"
)

const batch = 500

func BenchmarkQueue(b *testing.B) { storetest.BenchmarkQueue(b, openNew(b)) }

// serverTime returns the time that the server's processor worked so far.
func serverTime(b *testing.B, s *Store) time.Duration {
	b.Helper()
	text, err := s.db.Info(b.Context(), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	var sum float64
	for line := range strings.SplitSeq(text, "\r\n") {
		key, value, _ := strings.Cut(line, ":")
		if key == "used_cpu_sys" || key == "used_cpu_user" {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				b.Fatal(err)
			}
			sum += n
		}
	}
	return time.Duration(sum * float64(time.Second))
}

// measure reports how many jobs of n did what, and what each cost the server.
func measure(b *testing.B, s *Store, n int, do func()) {
	b.Helper()
	before := serverTime(b, s)
	b.ResetTimer()
	do()
	b.StopTimer()
	cost := serverTime(b, s) - before
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "jobs/s")
	b.ReportMetric(float64(cost.Microseconds())/float64(n), "server-us/job")
}

func batchOf(change func(*vedette.Job)) []vedette.Job {
	now := time.Now()
	jobs := make([]vedette.Job, batch)
	for i := range jobs {
		jobs[i] = vedette.Job{ID: vedette.NewID(now), Handler: "h", Params: vedette.Raw(`{"shop":1}`), Queue: "q"}
		change(&jobs[i])
	}
	return jobs
}

// push adds n jobs, two callers at a time.
func push(b *testing.B, s *Store, n int, change func(*vedette.Job)) {
	b.Helper()
	var done sync.WaitGroup
	for range 2 {
		done.Go(func() {
			for range n / batch / 2 {
				if _, err := s.Jobs().Push(b.Context(), batchOf(change)...); err != nil {
					b.Error(err)
				}
			}
		})
	}
	done.Wait()
}

// kinds are jobs as they are pushed, from plain to bound by all there is.
func kinds() map[string]func(*vedette.Job) {
	return map[string]func(*vedette.Job){
		"plain":   func(*vedette.Job) {},
		"scraper": func(j *vedette.Job) { j.Scraper, j.Keep = "shop/"+vedette.ScraperID(j.ID.String()[30:32]), 50 },
		"unique":  func(j *vedette.Job) { j.Unique = j.ID.String() },
		"limited": func(j *vedette.Job) { j.LimitKey, j.Limit = "k", 1000 },
	}
}

func BenchmarkInsert(b *testing.B) {
	for name, change := range kinds() {
		b.Run(name, func(b *testing.B) {
			s := openNew(b)
			n := 2 * batch * b.N
			measure(b, s, n, func() { push(b, s, n, change) })
		})
	}
}

// BenchmarkWork claims and finishes jobs that are there, by two workers.
func BenchmarkWork(b *testing.B) {
	for name, change := range kinds() {
		b.Run(name, func(b *testing.B) {
			s := openNew(b)
			n := 2 * batch * b.N
			push(b, s, n, change)
			measure(b, s, n, func() { work(b, s, n) })
		})
	}
}

func work(b *testing.B, s *Store, n int) {
	b.Helper()
	var done sync.WaitGroup
	for _, owner := range []string{"a", "b"} {
		if _, err := s.Queue().Beat(b.Context(), owner, time.Hour); err != nil {
			b.Fatal(err)
		}
		done.Go(func() {
			for left := n / 2; left > 0; {
				jobs, err := s.Queue().Claim(b.Context(), owner, min(batch, left), vedette.Want{Queue: "q"})
				if err != nil {
					b.Error(err)
					return
				}
				ends := make([]vedette.End, len(jobs))
				for i, j := range jobs {
					ends[i] = vedette.End{Ref: j.Ref(), State: vedette.JobSucceeded}
				}
				if stale, err := s.Queue().Finish(b.Context(), ends...); err != nil || len(stale) > 0 {
					b.Error(stale, err)
					return
				}
				left -= len(jobs)
			}
		})
	}
	done.Wait()
}
