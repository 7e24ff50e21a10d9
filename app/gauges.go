package app

import (
	"context"
	"strings"
	"time"

	"github.com/vedettehq/vedette/metrics"
	"github.com/vedettehq/vedette/schedule"
)

// gaugeEvery is how often the leader reads the queues and who lives: with millions of jobs that
// is some work for a store.
const gaugeEvery = 15 * time.Second

// measure lets m count what is asked of q.
func (q *queue) measure(m *metrics.Jobs) {
	q.jobs, q.work, q.schedules = m.Pushes(q.jobs), m.Queue(q.work), m.Schedules(q.schedules)
}

// gauges shows the queues and who lives in the metrics while l leads, so that the figures are read
// and shown once.
func (a *App) gauges(l *schedule.Leader) func(context.Context) error {
	return func(ctx context.Context) error {
		for shown := false; ; {
			wait := time.Second // to begin to lead
			switch {
			case l.Leads():
				shown, wait = true, gaugeEvery
				if err := a.gauge(ctx); err != nil && ctx.Err() == nil {
					a.cfg.Log.Debug("cannot read the queues for the metrics", "err", err)
				}
			case shown:
				shown = false
				a.metrics.Jobs().Queues(nil)
				a.metrics.Jobs().Replicas(nil)
			}
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// gauge reads once.
func (a *App) gauge(ctx context.Context) error {
	states, err := a.store.queue.jobs.Queues(ctx)
	if err != nil {
		return err
	}
	members, err := a.store.queue.leases.List(ctx, memberPrefix)
	if err != nil {
		return err
	}
	alive := map[string]int{"leader": 1, "schedule": 0, "work": 0, "running": 0}
	for _, l := range members {
		role, _, _ := strings.Cut(strings.TrimPrefix(l.Name, memberPrefix), "/")
		if _, known := alive[role]; known {
			alive[role]++
		}
	}
	for _, s := range states {
		alive["running"] += s.Started
	}
	a.metrics.Jobs().Queues(states)
	a.metrics.Jobs().Replicas(alive)
	return nil
}
