package worker

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/retry"
)

// asked is a claim for which room was found.
type asked struct {
	life   *life
	n      int
	wants  []vedette.Want
	lacks  []bool // by share: it was full and is not wanted
	cancel context.CancelFunc
}

// claims takes jobs and starts them, until ctx ends. What was claimed is started while the next claim
// is under way.
func (w *Worker) claims(ctx context.Context) {
	var starting sync.WaitGroup
	defer starting.Wait()
	back := retry.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}
	for failed := false; ; {
		a := w.room(ctx)
		if a == nil {
			return
		}
		jobs, err := w.claim(ctx, a)
		if began := time.Now(); w.reserve(a.life, jobs) {
			starting.Wait() // what was claimed first starts first
			starting.Go(func() { w.start(ctx, a.life, jobs, began) })
		}
		switch {
		case err == nil:
			back.Reset()
			failed = false
		case errors.Is(err, vedette.ErrLeaseLost):
			w.over(a.life)
		case ctx.Err() != nil:
			w.cutOff = true
			return
		case a.life.ctx.Err() != nil || errors.Is(err, context.Canceled): // over, or asked anew
		default:
			if !failed {
				w.c.Log.Error("cannot claim jobs, trying again", "err", err)
			}
			failed = true
			_ = back.Wait(ctx)
		}
	}
}

// claim asks for jobs until ctx ends, the life does, or a queue that was full is no more.
func (w *Worker) claim(ctx context.Context, a *asked) ([]vedette.Job, error) {
	asking, cancel := context.WithCancel(a.life.ctx)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	a.cancel = cancel
	w.mu.Lock()
	w.asked = a
	w.mu.Unlock()
	jobs, err := w.c.Queue.Claim(asking, a.life.owner, a.n, a.wants...)
	w.mu.Lock()
	w.asked = nil
	w.mu.Unlock()
	return jobs, err
}

// room waits until there are free slots and a life to claim for. It returns nil if ctx ends.
func (w *Worker) room(ctx context.Context) *asked {
	for ctx.Err() == nil {
		if a := w.look(); a != nil {
			return a
		}
		select {
		case <-ctx.Done():
		case <-w.wake:
		}
	}
	return nil
}

func (w *Worker) look() *asked {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.c.Concurrency - w.running
	if n <= 0 || w.life == nil || w.life.ctx.Err() != nil || w.completer.full {
		return nil
	}
	a := &asked{life: w.life, n: n}
	if a.wants, a.lacks = w.wants(n); len(a.wants) == 0 {
		return nil
	}
	return a
}

// wants says how much to take of each queue, in which order. The lock is held.
func (w *Worker) wants(n int) (wants []vedette.Want, lacks []bool) {
	var open []share
	lacks = make([]bool, len(w.shares))
	for i, s := range w.shares {
		if s.running >= s.Concurrency {
			lacks[i] = true
			continue
		}
		open = append(open, s)
	}
	most := func(s share) int { return min(n, s.Concurrency-s.running) }
	if w.c.Strict || len(open) < 2 {
		for _, s := range open {
			wants = append(wants, vedette.Want{Queue: s.Queue, N: most(s)})
		}
		return wants, lacks
	}
	return draw(open, n, rand.Float64(), most), lacks
}

// draw deals n slots to queues by their weights: each gets its part rounded up or down, such that
// it is right on average, as u from 0 to 1 falls. Those that got some come first, the one that
// got least last. It may have all that the others leave, and so may those that got none, so that
// idle queues cost the others nothing.
func draw(open []share, n int, u float64, most func(share) int) []vedette.Want {
	var total, sum float64
	for _, s := range open {
		total += float64(s.Weight)
	}
	rand.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
	parts := make([]vedette.Want, len(open))
	for i, s := range open {
		before := int(sum/total*float64(n) + u)
		sum += float64(s.Weight)
		parts[i] = vedette.Want{Queue: s.Queue, N: int(sum/total*float64(n)+u) - before}
	}
	order := make([]int, len(open))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(parts[j].N, parts[i].N) })
	wants := make([]vedette.Want, 0, len(open))
	for at, i := range order {
		part := parts[i]
		last := at+1 == len(order) || parts[order[at+1]].N == 0
		if all := most(open[i]); last || part.N > all {
			part.N = all
		}
		wants = append(wants, part)
	}
	return wants
}

// reserve takes slots for claimed jobs. It reports false if there are none, or their life is over.
func (w *Worker) reserve(l *life, jobs []vedette.Job) bool {
	if len(jobs) == 0 {
		return false
	}
	if !w.trusted(l) {
		w.over(l)
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running += len(jobs)
	for i := range jobs {
		if s := w.place(jobs[i].Queue); s >= 0 {
			w.shares[s].running++
		}
	}
	return true
}

// start runs jobs that have their slots, or gives them back if the worker stops.
func (w *Worker) start(ctx context.Context, l *life, jobs []vedette.Job, began time.Time) {
	runs := make([]*run, len(jobs))
	for i, j := range jobs {
		runs[i] = w.newRun(l, j, began)
	}
	if !w.begin(l, runs) {
		return
	}
	if ctx.Err() == nil {
		w.hand(runs)
		return
	}
	for _, r := range runs {
		r.cancel(ErrStopped)
		w.done(r, "", ErrStopped)
	}
}

// begin counts runs among the held. It reports false, and drops them, if their life is over: who buried
// it would not come again for them.
func (w *Worker) begin(l *life, runs []*run) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l.ctx.Err() != nil {
		for _, r := range runs {
			r.drop()
			w.release(r)
		}
		return false
	}
	for _, r := range runs {
		w.hold(r)
	}
	return true
}

// release frees the slot of a run. The lock is held.
func (w *Worker) release(r *run) {
	w.running--
	if r.share >= 0 {
		w.shares[r.share].running--
		if w.asked != nil && w.asked.lacks[r.share] {
			w.asked.cancel()
		}
	}
	w.settle()
	w.poke()
}
