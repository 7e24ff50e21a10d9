package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/vedettehq/vedette"
)

// measured notes a call that began at a time. A caller who went away is no failure.
func (j *Jobs) measured(method string, began time.Time, err error) {
	j.calls.WithLabelValues(method).Observe(time.Since(began).Seconds())
	j.failed(method, err)
}

func (j *Jobs) failed(method string, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		j.errors.WithLabelValues(method, class(err)).Inc()
	}
}

// Queue returns a Queue that measures q. How long a Claim takes is not measured: it waits for
// work.
func (j *Jobs) Queue(q vedette.Queue) vedette.Queue { return queue{q, j} }

type queue struct {
	next vedette.Queue
	j    *Jobs
}

func (q queue) Beat(ctx context.Context, owner string, ttl time.Duration, held ...vedette.Ref) ([]vedette.Order, error) {
	began := time.Now()
	orders, err := q.next.Beat(ctx, owner, ttl, held...)
	q.j.measured("beat", began, err)
	return orders, err
}

func (q queue) Claim(ctx context.Context, owner string, n int, from ...vedette.Want) ([]vedette.Job, error) {
	jobs, err := q.next.Claim(ctx, owner, n, from...)
	q.j.failed("claim", err)
	return jobs, err
}

func (q queue) Finish(ctx context.Context, ends ...vedette.End) ([]vedette.Ref, error) {
	began := time.Now()
	stale, err := q.next.Finish(ctx, ends...)
	q.j.measured("finish", began, err)
	return stale, err
}

func (q queue) Rescue(ctx context.Context, leader vedette.Lease) ([]vedette.Job, error) {
	began := time.Now()
	jobs, err := q.next.Rescue(ctx, leader)
	q.j.measured("rescue", began, err)
	for i := range jobs {
		q.j.rescued.WithLabelValues(string(jobs[i].State)).Inc()
	}
	return jobs, err
}

func (q queue) Retire(ctx context.Context, leader vedette.Lease, before time.Time) (bool, error) {
	began := time.Now()
	more, err := q.next.Retire(ctx, leader, before)
	q.j.measured("retire", began, err)
	return more, err
}

// Pushes returns Jobs that measures next.
func (j *Jobs) Pushes(next vedette.Jobs) vedette.Jobs { return pushes{next, j} }

type pushes struct {
	vedette.Jobs
	j *Jobs
}

func (p pushes) Push(ctx context.Context, jobs ...vedette.Job) ([]vedette.ID, error) {
	began := time.Now()
	refused, err := p.Jobs.Push(ctx, jobs...)
	p.j.measured("push", began, err)
	return refused, err
}

// Schedules returns Schedules that measures next, and counts what is fired. A firing that comes
// too late, since its cursor was moved meanwhile, is counted too: it is the other leader's as well.
func (j *Jobs) Schedules(next vedette.Schedules) vedette.Schedules { return schedules{next, j} }

type schedules struct {
	vedette.Schedules
	j *Jobs
}

func (s schedules) Fire(ctx context.Context, leader vedette.Lease, firings ...vedette.Firing) error {
	began := time.Now()
	err := s.Schedules.Fire(ctx, leader, firings...)
	s.j.measured("fire", began, err)
	if err != nil {
		return err
	}
	for i := range firings {
		f := &firings[i]
		s.j.runs.WithLabelValues("fired").Add(float64(len(f.Push)))
		s.j.runs.WithLabelValues("skipped").Add(float64(max(f.Now.Skipped-f.Was.Skipped, 0)))
		s.j.runs.WithLabelValues("dropped").Add(float64(max(f.Now.Dropped-f.Was.Dropped, 0)))
		for k := range f.Push {
			s.j.lag.Observe(max(time.Since(f.Push[k].FireAt).Seconds(), 0))
		}
	}
	return nil
}
