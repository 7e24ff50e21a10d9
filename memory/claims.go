package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
)

// An owner is a worker that has beaten. One whose time ran out stays, so that it is not revived.
type owner struct {
	ends   time.Time
	beatAt time.Time
	beats  int64
	held   map[vedette.ID]*job
}

// owner returns one that lives.
func (q *queue) owner(name string, now time.Time) (*owner, error) {
	o := q.owners[name]
	if o == nil || !now.Before(o.ends) {
		return nil, fmt.Errorf("owner %q does not live: %w", name, vedette.ErrLeaseLost)
	}
	return o, nil
}

// Beat keeps owner alive, as [vedette.Queue] says.
func (q *queue) Beat(ctx context.Context, name string, ttl time.Duration, held ...vedette.Ref) ([]vedette.Order, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("beat: %w", err)
	}
	now := q.lock()
	defer q.unlock(now)
	if q.owners[name] == nil {
		q.owners[name] = &owner{ends: now.Add(time.Hour), held: map[vedette.ID]*job{}}
	}
	o, err := q.owner(name, now)
	if err != nil {
		return nil, fmt.Errorf("beat: %w", err)
	}
	o.ends, o.beatAt = now.Add(ttl), stamp(now)
	o.beats++
	q.handBack(o, held, now)
	return orders(o, held), nil
}

// handBack gives back those claims of o of which it has not said in two beats that it holds them:
// the answer to its Claim never came.
func (q *queue) handBack(o *owner, held []vedette.Ref, now time.Time) {
	known := make(map[vedette.Ref]bool, len(held))
	for _, ref := range held {
		known[ref] = true
	}
	for _, j := range o.held {
		if known[j.Ref()] || o.beats-j.beat < 2 {
			continue
		}
		q.end(j, vedette.End{State: vedette.JobPending}, now)
		j.Epoch++
	}
}

func orders(o *owner, held []vedette.Ref) []vedette.Order {
	var all []vedette.Order
	for _, ref := range held {
		j := o.held[ref.Job]
		switch {
		case j == nil || j.Epoch != ref.Epoch:
			all = append(all, vedette.Order{Ref: ref, Lost: true})
		case j.Cancel != "":
			all = append(all, vedette.Order{Ref: ref, Reason: j.Cancel})
		}
	}
	return all
}

// start gives j to o.
func (q *queue) start(j *job, name string, now time.Time) {
	q.unqueue(j, now)
	if q.waiting[j.UniqueWaiting] == j {
		delete(q.waiting, j.UniqueWaiting)
	}
	q.occupy(j, now)
	o := q.owners[name]
	o.held[j.ID] = j
	j.State, j.Owner, j.beat = vedette.JobStarted, name, o.beats
	j.StartedAt = stamp(now)
	j.BeatAt = j.StartedAt
	j.Epoch++
	j.Attempt++
}

// Finish ends claims, as [vedette.Queue] says.
func (q *queue) Finish(ctx context.Context, ends ...vedette.End) ([]vedette.Ref, error) {
	if err := cmp.Or(ctx.Err(), checkEnds(ends)); err != nil {
		return nil, fmt.Errorf("finish jobs: %w", err)
	}
	now := q.lock()
	defer q.unlock(now)
	var stale []vedette.Ref
	for _, e := range ends {
		j := q.find(e.Job)
		switch {
		case j != nil && j.State == vedette.JobStarted && j.Epoch == e.Epoch:
			j.said = append(j.said, said{e.Epoch, e.State})
			q.end(j, e, now)
		case j == nil || !slices.Contains(j.said, said{e.Epoch, e.State}):
			stale = append(stale, e.Ref)
		}
	}
	return stale, nil
}

func checkEnds(ends []vedette.End) error {
	for i := range ends {
		if err := ends[i].Err(); err != nil {
			return err
		}
	}
	return nil
}

// end takes the started j from its owner, and makes of it what e asks for as far as that may be:
// what is to end does not run again, and neither does what has no attempts left.
func (q *queue) end(j *job, e vedette.End, now time.Time) {
	state, again := e.State, e.State == vedette.JobPending || e.State == vedette.JobRetrying
	switch {
	case again && j.Cancel != "":
		state = vedette.JobCancelled
	case state == vedette.JobRetrying && j.Attempt >= j.MaxAttempts:
		state = vedette.JobDead
	}
	last := q.take(j, now)
	j.BeatAt = last.FinishedAt
	j.Result, j.Error = cmp.Or(e.Result, j.Result), cmp.Or(e.Error, j.Error)
	if state == vedette.JobPending {
		j.Attempt--
		q.again(j, j.RunAt, now)
		return
	}
	last.State, last.Error = state, e.Error
	j.Attempts = append(j.Attempts, last)
	if state == vedette.JobRetrying {
		q.again(j, e.RunAt, now)
		return
	}
	q.bury(j, state, now)
}

// take takes the started j from its owner, and returns what is known of the attempt.
func (q *queue) take(j *job, now time.Time) vedette.Attempt {
	j.BeatAt = q.show(j).BeatAt
	delete(q.owners[j.Owner].held, j.ID)
	q.vacate(j, now)
	return vedette.Attempt{Epoch: j.Epoch, Owner: j.Owner, StartedAt: j.StartedAt, FinishedAt: stamp(now)}
}

// again lets j, which nobody owns any more, run at a time; zero is at once.
func (q *queue) again(j *job, at, now time.Time) {
	j.Owner, j.StartedAt, j.BeatAt = "", time.Time{}, time.Time{}
	j.State, j.RunAt = vedette.JobRetrying, stamp(at)
	if at.IsZero() {
		j.RunAt = stamp(now)
	}
	q.wait(j, now)
}

// Rescue ends claims that nobody will end, as [vedette.Queue] says.
func (q *queue) Rescue(ctx context.Context, leader vedette.Lease) ([]vedette.Job, error) {
	now := q.lock()
	defer q.unlock(now)
	if err := q.leads(ctx, leader, now); err != nil {
		return nil, fmt.Errorf("rescue jobs: %w", err)
	}
	var rescued []vedette.Job
	for name, o := range q.owners {
		for _, j := range o.held {
			switch {
			case !now.Before(o.ends):
				q.rescue(j, fmt.Sprintf("owner %s was lost", name), now)
			case j.Cancel != "" && now.Sub(j.cancelAt) >= vedette.CancelGrace:
				q.rescue(j, "did not end when it was told to", now)
			default:
				continue
			}
			rescued = append(rescued, q.show(j))
		}
	}
	return rescued, nil
}

// leads reports whether a leader may do its work at now.
func (q *queue) leads(ctx context.Context, leader vedette.Lease, now time.Time) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !q.leases.holds(leader, now):
		return fmt.Errorf("%s does not hold %s: %w", leader.Owner, leader.Name, vedette.ErrLeaseLost)
	}
	return nil
}

// rescue ends the claim of j: what it was to do is done again at once, in its old place, if it may
// be. The claim's own word counts no more, since the epoch is another.
func (q *queue) rescue(j *job, why string, now time.Time) {
	last := q.take(j, now)
	last.State, last.Error = vedette.JobPending, why
	switch {
	case j.Cancel != "":
		last.State = vedette.JobCancelled
	case j.Attempt >= j.MaxAttempts:
		last.State = vedette.JobDead
	}
	j.Error = why
	j.Epoch++
	j.Attempts = append(j.Attempts, last)
	if last.State == vedette.JobPending {
		q.again(j, j.RunAt, now)
		return
	}
	q.bury(j, last.State, now)
}

// terminate ends jobs without asking their workers.
func (q *queue) terminate(ids []vedette.ID, now time.Time) {
	for _, id := range ids {
		j := q.live[id]
		switch {
		case j == nil:
		case j.State == vedette.JobStarted:
			j.Cancel = cmp.Or(j.Cancel, "terminated")
			q.rescue(j, "terminated", now)
		default:
			q.cancel("terminated", []vedette.ID{id}, now)
		}
	}
}
