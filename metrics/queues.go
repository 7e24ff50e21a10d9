package metrics

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vedettehq/vedette"
)

// queues shows what was last read of the queues. A queue that is empty by then has no series.
type queues struct {
	jobs, paused, oldest, alive *prometheus.Desc

	mu       sync.Mutex
	all      []vedette.QueueState
	replicas map[string]int
}

func newQueues() *queues {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &queues{
		jobs:   desc("vedette_queue_jobs", "Live jobs of a queue. Those that are ready are told apart by priority.", "queue", "state", "priority"),
		paused: desc("vedette_queue_paused", "1 while no jobs of the queue are claimed.", "queue"),
		oldest: desc("vedette_queue_oldest_seconds", "For how long the oldest job that is ready has been so.", "queue"),
		alive:  desc("vedette_replicas", "What lives: processes that schedule, lead and work, and jobs that run.", "kind"),
	}
}

// Describe tells the registry what there will be.
func (q *queues) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{q.jobs, q.paused, q.oldest, q.alive} {
		ch <- d
	}
}

// Collect makes metrics of what was read.
func (q *queues) Collect(ch chan<- prometheus.Metric) {
	q.mu.Lock()
	all, replicas := q.all, q.replicas
	q.mu.Unlock()
	for _, s := range all {
		name := label(s.Name)
		for priority, n := range s.Ready {
			send(ch, q.jobs, float64(n), []string{name, "ready", strconv.Itoa(priority)})
		}
		for state, n := range map[string]int{"held": s.Held, "scheduled": s.Scheduled, "started": s.Started} {
			send(ch, q.jobs, float64(n), []string{name, state, ""})
		}
		age := 0.0
		if !s.Oldest.IsZero() {
			age = max(time.Since(s.Oldest).Seconds(), 0)
		}
		send(ch, q.oldest, age, []string{name})
		send(ch, q.paused, number(s.Paused), []string{name})
	}
	for kind, n := range replicas {
		send(ch, q.alive, float64(n), []string{label(kind)})
	}
}
