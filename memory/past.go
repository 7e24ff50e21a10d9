package memory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
)

// retireMost is how many jobs one call of Retire drops.
const retireMost = 1000

// runs are the jobs of one scraper.
type runs struct {
	live map[vedette.ID]*job
	past []*job // by ID
	last vedette.ID
	keep int // of the last one
}

// run counts j among the runs of its scraper.
func (q *queue) run(j *job) {
	r := q.runs[j.Scraper]
	if r == nil {
		r = &runs{live: map[vedette.ID]*job{}}
		q.runs[j.Scraper] = r
	}
	r.live[j.ID] = j
	if compareIDs(j.ID, r.last) > 0 {
		r.last, r.keep = j.ID, j.Keep
	}
}

// bury makes j, which neither waits nor is owned, history.
func (q *queue) bury(j *job, state vedette.JobState, now time.Time) {
	j.State, j.FinishedAt = state, stamp(now)
	delete(q.live, j.ID)
	q.past[j.ID] = j
	q.ended = append(q.ended, j)
	if q.unique[j.Unique] == j {
		delete(q.unique, j.Unique)
	}
	if q.waiting[j.UniqueWaiting] == j {
		delete(q.waiting, j.UniqueWaiting)
	}
	if r := q.runs[j.Scraper]; r != nil {
		delete(r.live, j.ID)
		i, _ := slices.BinarySearchFunc(r.past, j.ID, func(j *job, id vedette.ID) int { return compareIDs(j.ID, id) })
		r.past = slices.Insert(r.past, i, j)
	}
}

// ids returns those of all runs, in order.
func (r *runs) ids() []vedette.ID {
	if r == nil {
		return nil
	}
	all := make([]vedette.ID, 0, len(r.past)+len(r.live))
	for _, j := range r.past {
		all = append(all, j.ID)
	}
	for id := range r.live {
		all = append(all, id)
	}
	slices.SortFunc(all, compareIDs)
	return all
}

// Retire drops history, as [vedette.Queue] says.
func (q *queue) Retire(ctx context.Context, leader vedette.Lease, before time.Time) (bool, error) {
	now := q.lock()
	defer q.unlock(now)
	if err := q.leads(ctx, leader, now); err != nil {
		return false, fmt.Errorf("retire jobs: %w", err)
	}
	dropped := q.retireOld(before)
	for _, r := range q.runs {
		if extra := len(r.past) - r.keep; r.keep > 0 && extra > 0 {
			for _, j := range slices.Clone(r.past[:min(extra, retireMost-dropped)]) {
				q.retire(j)
				dropped++
			}
		}
	}
	if dropped > 0 {
		q.ids = slices.DeleteFunc(q.ids, func(id vedette.ID) bool { return q.find(id) == nil })
		q.ended = slices.DeleteFunc(q.ended, func(j *job) bool { return j.retired })
	}
	q.sweep(before, now)
	return dropped == retireMost, nil
}

// retireOld drops what ended before a time, and returns how many that were.
func (q *queue) retireOld(before time.Time) (dropped int) {
	for dropped < retireMost && len(q.ended) > 0 {
		j := q.ended[0]
		if !j.retired && !j.FinishedAt.Before(before) {
			break
		}
		if !j.retired {
			q.retire(j)
			dropped++
		}
		q.ended[0] = nil
		q.ended = q.ended[1:]
	}
	return dropped
}

// retire forgets a job of the past, but for its ID among all, which goes with the others.
func (q *queue) retire(j *job) {
	j.retired = true
	delete(q.past, j.ID)
	delete(q.fired, fireOf(j.Job))
	q.feed.drop(vedette.LogTopic(j.ID), vedette.ItemsTopic(j.ID))
	r := q.runs[j.Scraper]
	if r == nil {
		return
	}
	r.past = slices.DeleteFunc(r.past, func(one *job) bool { return one == j })
	if len(r.past) == 0 && len(r.live) == 0 {
		delete(q.runs, j.Scraper)
	}
}

// sweep forgets owners and rates that nothing depends on any more.
func (q *queue) sweep(before, now time.Time) {
	for name, o := range q.owners {
		if o.ends.Before(before) && len(o.held) == 0 {
			delete(q.owners, name)
		}
	}
	for key, r := range q.rates {
		if len(r.lanes) == 0 && r.clock.Before(now) {
			delete(q.rates, key)
		}
	}
}
