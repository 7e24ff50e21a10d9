package memory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
)

// A job is a row of the queue.
type job struct {
	vedette.Job
	lane     *lane // that it waits in; nil if it is not pending
	place    int   // in its lane, or among the later ones
	beat     int64 // of its owner, when it was claimed
	cancelAt time.Time
	said     []said // by claims
	retired  bool
}

// A said is how a claim said that it ended.
type said struct {
	epoch int64
	state vedette.JobState
}

// A fire is what a schedule fires once.
type fire struct {
	scraper vedette.ScraperID
	at      int64 // in microseconds
}

func fireOf(j vedette.Job) fire { return fire{j.Scraper, j.FireAt.UnixMicro()} }

// stamp returns a time as it is kept: in UTC, to the microsecond.
func stamp(at time.Time) time.Time {
	if at.IsZero() {
		return time.Time{}
	}
	return at.UTC().Truncate(time.Microsecond)
}

func cloneJob(j vedette.Job) vedette.Job {
	j.Params = slices.Clone(j.Params)
	j.Attempts = slices.Clone(j.Attempts)
	return j
}

// Push adds jobs, as [vedette.Jobs] says.
func (q *queue) Push(ctx context.Context, jobs ...vedette.Job) ([]vedette.ID, error) {
	if err := cmp.Or(ctx.Err(), check(jobs)); err != nil {
		return nil, fmt.Errorf("push jobs: %w", err)
	}
	now := q.lock()
	defer q.unlock(now)
	return q.push(jobs, now), nil
}

func check(jobs []vedette.Job) error {
	for _, j := range jobs {
		if err := j.Err(); err != nil {
			return err
		}
	}
	return nil
}

// push adds jobs that make sense, and returns those that others keep out.
func (q *queue) push(jobs []vedette.Job, now time.Time) (refused []vedette.ID) {
	for _, j := range jobs {
		_, fired := q.fired[fireOf(j)]
		if q.find(j.ID) != nil || j.Fired && fired {
			continue
		}
		if j.Unique != "" && q.unique[j.Unique] != nil || j.UniqueWaiting != "" && q.waiting[j.UniqueWaiting] != nil {
			refused = append(refused, j.ID)
			continue
		}
		q.add(&job{Job: fresh(j, now)}, now)
	}
	return refused
}

// fresh returns j as it begins: what is the queue's to say is not taken from whoever pushes it.
func fresh(j vedette.Job, now time.Time) vedette.Job {
	j = cloneJob(j)
	j.Queue = cmp.Or(j.Queue, vedette.DefaultQueue)
	j.MaxAttempts = max(j.MaxAttempts, 1)
	j.State, j.CreatedAt, j.FireAt = vedette.JobScheduled, stamp(now), stamp(j.FireAt)
	if j.RunAt = stamp(j.RunAt); j.RunAt.IsZero() {
		j.RunAt = j.CreatedAt
	}
	j.Epoch, j.Attempt, j.Attempts = 0, 0, nil
	j.Owner, j.Cancel, j.Result, j.Error = "", "", "", ""
	j.StartedAt, j.BeatAt, j.FinishedAt = time.Time{}, time.Time{}, time.Time{}
	return j
}

// add keeps j under all that it is looked for by.
func (q *queue) add(j *job, now time.Time) {
	q.live[j.ID] = j
	i, _ := slices.BinarySearchFunc(q.ids, j.ID, compareIDs)
	q.ids = slices.Insert(q.ids, i, j.ID)
	if j.Unique != "" {
		q.unique[j.Unique] = j
	}
	if j.UniqueWaiting != "" {
		q.waiting[j.UniqueWaiting] = j
	}
	if j.Fired {
		q.fired[fireOf(j.Job)] = struct{}{}
	}
	if j.Scraper != "" {
		q.run(j)
	}
	q.wait(j, now)
}

// wait puts j where it waits for its time or for a worker.
func (q *queue) wait(j *job, now time.Time) {
	if j.RunAt.After(now) {
		q.later.put(j)
		return
	}
	q.ready(j, now)
}

// find returns a job, live or not, or nil.
func (q *queue) find(id vedette.ID) *job {
	if j := q.live[id]; j != nil {
		return j
	}
	return q.past[id]
}

// show returns j as callers see it.
func (q *queue) show(j *job) vedette.Job {
	out := j.Job
	out.Params, out.Attempts = slices.Clone(j.Params), nil
	if o := q.owners[j.Owner]; o != nil && j.State == vedette.JobStarted && o.beatAt.After(j.BeatAt) {
		out.BeatAt = o.beatAt
	}
	return out
}

// Cancel ends jobs, as [vedette.Jobs] says.
func (q *queue) Cancel(ctx context.Context, reason string, ids ...vedette.ID) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cancel jobs: %w", err)
	}
	now := q.lock()
	defer q.unlock(now)
	q.cancel(reason, ids, now)
	return nil
}

func (q *queue) cancel(reason string, ids []vedette.ID, now time.Time) {
	for _, id := range ids {
		j := q.live[id]
		if j == nil || j.Cancel != "" {
			continue
		}
		j.Cancel, j.cancelAt = cmp.Or(reason, "cancelled"), now
		if j.State != vedette.JobStarted {
			q.unqueue(j, now)
			q.bury(j, vedette.JobCancelled, now)
		}
	}
}

// Get returns a job, as [vedette.Jobs] says.
func (q *queue) Get(_ context.Context, id vedette.ID) (vedette.Job, error) {
	now := q.lock()
	defer q.unlock(now)
	j := q.find(id)
	if j == nil {
		return vedette.Job{}, fmt.Errorf("job %s: %w", id, vedette.ErrNotFound)
	}
	out := q.show(j)
	out.Attempts = slices.Clone(j.Attempts)
	return out, nil
}

// List returns jobs, as [vedette.Jobs] says.
func (q *queue) List(_ context.Context, like vedette.Job, before vedette.ID, n int) ([]vedette.Job, error) {
	now := q.lock()
	defer q.unlock(now)
	ids := q.ids
	if like.Scraper != "" {
		ids = q.runs[like.Scraper].ids()
	}
	i := len(ids)
	if !before.IsZero() {
		i, _ = slices.BinarySearchFunc(ids, before, compareIDs)
	}
	var page []vedette.Job
	for i--; i >= 0 && len(page) < n; i-- {
		if j := q.find(ids[i]); j != nil && agrees(j.Job, like) {
			page = append(page, q.show(j))
		}
	}
	return page, nil
}

func agrees(j, like vedette.Job) bool {
	return (like.Scraper == "" || j.Scraper == like.Scraper) &&
		(like.Handler == "" || j.Handler == like.Handler) &&
		(like.Queue == "" || j.Queue == like.Queue) &&
		(like.State == "" || j.State == like.State) &&
		(like.Owner == "" || j.Owner == like.Owner)
}

// Queues counts the live jobs, as [vedette.Jobs] says.
func (q *queue) Queues(context.Context) ([]vedette.QueueState, error) {
	now := q.lock()
	defer q.unlock(now)
	states := map[string]*vedette.QueueState{}
	state := func(name string) *vedette.QueueState {
		if states[name] == nil {
			states[name] = &vedette.QueueState{Name: name, Ready: map[int]int{}}
		}
		return states[name]
	}
	for name, own := range q.lines {
		if own.paused {
			state(name).Paused = true
		}
	}
	for j := range maps.Values(q.live) {
		q.count(state(j.Queue), j)
	}
	var all []vedette.QueueState
	for _, name := range slices.Sorted(maps.Keys(states)) {
		all = append(all, *states[name])
	}
	return all, nil
}

// count adds j to what is said of its queue.
func (q *queue) count(s *vedette.QueueState, j *job) {
	switch {
	case j.State == vedette.JobStarted:
		s.Started++
	case j.State != vedette.JobPending:
		s.Scheduled++
	case j.lane.place == 0:
		s.Held++
	default:
		s.Ready[j.Priority]++
		if s.Oldest.IsZero() || j.RunAt.Before(s.Oldest) {
			s.Oldest = j.RunAt
		}
	}
}

// Pause stops claims, as [vedette.Queues] says.
func (q *queue) Pause(ctx context.Context, queues ...string) error {
	return q.pause(ctx, true, queues)
}

// Resume lets claims go on, as [vedette.Queues] says.
func (q *queue) Resume(ctx context.Context, queues ...string) error {
	return q.pause(ctx, false, queues)
}

func (q *queue) pause(ctx context.Context, paused bool, queues []string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("pause or resume queues: %w", err)
	}
	now := q.lock()
	defer q.unlock(now)
	for _, name := range queues {
		own := q.line(name)
		own.paused = paused
		if !paused && own.lanes == 0 {
			delete(q.lines, name)
		}
	}
	return nil
}
