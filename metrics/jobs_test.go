package metrics_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/metrics"
)

// worked tells m of jobs on a store, of which one was lost by its worker.
func worked(t testing.TB, m *metrics.Metrics) {
	t.Helper()
	store, j := memory.New(), m.Jobs()
	q := j.Queue(store.Queue())
	leader, err := store.Leases().Acquire(t.Context(), "me", time.Hour, "schedule")
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	job := func() vedette.Job { return vedette.Job{ID: vedette.NewID(time.Now()), Handler: "h", MaxAttempts: 2} }
	_, err = j.Pushes(store.Jobs()).Push(t.Context(), job(), job())
	must(err)
	_, err = q.Beat(t.Context(), "w", time.Hour)
	must(err)
	got, err := q.Claim(t.Context(), "w", 1, vedette.Want{Queue: vedette.DefaultQueue})
	must(err)
	_, err = q.Beat(t.Context(), "w", 0, got[0].Ref())
	must(err)
	_, err = q.Rescue(t.Context(), leader[0])
	must(err)
	_, err = q.Retire(t.Context(), leader[0], time.Time{})
	must(err)
	_, err = q.Finish(t.Context(), vedette.End{Ref: got[0].Ref(), State: vedette.JobSucceeded})
	must(err)
	must(j.Schedules(store.Schedules()).Fire(t.Context(), leader[0], vedette.Firing{
		Scraper: "s", Now: vedette.Cursor{Version: 1, Skipped: 2, Dropped: 3}, Push: []vedette.Job{job()},
	}))
	j.Started(got[0], time.Second)
	j.Ended(got[0], vedette.JobSucceeded, time.Second)
	j.Lost(got[0])
	j.Stale(got[0].Ref())
	_, err = q.Claim(t.Context(), "stranger", 1)
	if err == nil {
		t.Fatal("a stranger may claim")
	}
	states, err := store.Jobs().Queues(t.Context())
	must(err)
	j.Queues(states)
	j.Replicas(map[string]int{"leader": 1})
}

func TestCountsOfJobs(t *testing.T) {
	m := metrics.New(metrics.Config{})
	worked(t, m)
	text := scrape(t, m)
	for prefix, want := range map[string][]string{
		"vedette_jobs_":             {`vedette_jobs_executed_total{handler="h",state="succeeded"} 1`, "vedette_jobs_fenced_total 1", "vedette_jobs_lost_total 1", `vedette_jobs_rescued_total{state="cancelled"} 0`, `vedette_jobs_rescued_total{state="dead"} 0`, `vedette_jobs_rescued_total{state="pending"} 1`},
		"vedette_schedule_runs":     {`vedette_schedule_runs_total{outcome="dropped"} 3`, `vedette_schedule_runs_total{outcome="fired"} 1`, `vedette_schedule_runs_total{outcome="skipped"} 2`},
		`vedette_queue_jobs{priori`: {`vedette_queue_jobs{priority="",queue="default",state="held"} 0`, `vedette_queue_jobs{priority="",queue="default",state="scheduled"} 0`, `vedette_queue_jobs{priority="",queue="default",state="started"} 0`, `vedette_queue_jobs{priority="0",queue="default",state="ready"} 3`},
		"vedette_replicas":          {`vedette_replicas{kind="leader"} 1`},
		"vedette_queue_paused":      {`vedette_queue_paused{queue="default"} 0`},
	} {
		if got := lines(text, prefix); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", prefix, got, want)
		}
	}
}

func TestCallsOfTheQueueThatFailAreCounted(t *testing.T) {
	m := metrics.New(metrics.Config{})
	q := m.Jobs().Queue(memory.New().Queue())
	if _, err := q.Claim(t.Context(), "stranger", 1); err == nil {
		t.Fatal("a stranger may claim")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Claim(gone, "stranger", 1); err == nil {
		t.Fatal("a claim in a context that has ended succeeds")
	}
	want := []string{`vedette_queue_call_errors_total{class="lease_lost",method="claim"} 1`}
	if got := lines(scrape(t, m), "vedette_queue_call_errors"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
