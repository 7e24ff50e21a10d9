package watch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/due"
)

// idle is how long the loop sleeps when nothing is due.
const idle = time.Hour

// A shard is the due times of its sites. The Watch's lock guards it.
type shard struct {
	name  string
	token int64
	due   due.Heap[*site] // every site that is not paused, also while it waits or is looked at
}

// loop begins looks when they are due, until ctx ends. It sleeps on one timer. What it lets go
// on beside is counted in wg.
func (w *Watch) loop(ctx context.Context, wg *sync.WaitGroup) {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.keeper.Changed():
			if gained := w.reconcile(); w.c.Reader != nil && len(gained) > 0 {
				wg.Go(func() { w.recall(ctx, gained) })
			}
		case <-w.wake:
		case <-timer.C:
		}
		timer.Reset(w.dispatch())
	}
}

// dispatch begins what is due and returns how long nothing will be.
func (w *Watch) dispatch() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed = time.Time{}
	w.tellLate()
	began, now := time.Now(), w.keeper.Now()
	for {
		sh, at, ok := w.first.Peek()
		if !ok {
			at = now.Add(idle)
		}
		if wait := at.Sub(now); wait > 0 {
			if w.grow() {
				wait = min(wait, time.Second)
			}
			w.armed, w.awake = at, began.Add(wait) // it may be stopped right here, too
			return wait
		}
		w.turn(sh, now)
	}
}

// turn deals with the site of sh that is due first. It stands in the heap all the time, at its
// next beat: that is how one is found that is still waiting or in flight then.
func (w *Watch) turn(sh *shard, now time.Time) {
	s, at, _ := sh.due.Peek()
	beat, next := !s.recheck, s.next(now)
	s.recheck = false
	w.plan(sh, s, next)
	if n := next.Sub(at)/s.every - 1; beat && n > 0 {
		w.meter.Missed("late", int(n))
	}
	switch {
	case s.flight != nil:
		w.meter.Missed("overlap", 1)
	case s.queued:
		w.pass(sh, s, now)
		s.due, s.beat = at, beat
	default:
		s.due, s.beat, s.queued = at, beat, true
		w.pool.Go(s)
	}
}

// plan makes s due at a time.
func (w *Watch) plan(sh *shard, s *site, at time.Time) {
	sh.due.Set(s, at)
	w.replan(sh)
}

// replan puts sh where its first site belongs, and wakes the loop if that is sooner than it
// thinks.
func (w *Watch) replan(sh *shard) {
	_, at, ok := sh.due.Peek()
	if !ok {
		w.first.Remove(sh)
		return
	}
	w.first.Set(sh, at)
	if at.Before(w.armed) {
		w.poke()
	}
}

// poke wakes the loop.
func (w *Watch) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// pass makes known that no look at s began from when it was due until it is due again.
func (w *Watch) pass(sh *shard, s *site, now time.Time) {
	if s.due.IsZero() {
		return
	}
	if w.pool.Waiting() == 0 { // it has a slot: this process did not run
		w.meter.Missed("late", 1)
		return
	}
	w.meter.Missed("capacity", 1)
	w.tellShort()
	lease, ok := w.keeper.Lease(sh.name)
	if !ok || w.full() {
		return
	}
	l := w.newLook(s, lease, now)
	r := l.result(vedette.Result{State: vedette.Unknown, Failure: &vedette.Failure{
		Kind: vedette.KindMissed,
		Message: fmt.Sprintf("no free slot within %v: %d looks in flight, %d waiting",
			s.every, w.inFlight, w.pool.Waiting()),
	}})
	w.outbox.add(r)
	w.meter.Looked(r)
}

// tellShort logs that there are too few slots.
func (w *Watch) tellShort() {
	if w.short.first() {
		w.log.Error("looks are due faster than they can be made",
			"max_in_flight", w.limit.now, "waiting", w.pool.Waiting())
	}
}

// tellLate logs that the loop awoke much later than it wanted to.
func (w *Watch) tellLate() {
	by := time.Since(w.awake)
	if !w.awake.IsZero() && by > overrun && w.late.first() {
		w.log.Warn("this process did not run in time, looks are late or missed", "by", by.Round(time.Millisecond))
	}
	w.awake = time.Time{}
}

// A seldom keeps the log short: what happens again and again is worth a line when it has not
// happened for a minute.
type seldom struct{ last time.Time }

func (s *seldom) first() bool {
	now := time.Now()
	ok := now.Sub(s.last) > time.Minute
	s.last = now
	return ok
}

// full reports whether no more may be found before some of it is delivered.
func (w *Watch) full() bool {
	full := w.outbox.queue.Full()
	if full != w.stalled {
		w.stalled = full
		if full {
			w.log.Error("too many results wait to be delivered, looks pause", "results", w.outbox.queue.Len())
		} else {
			w.log.Info("results are delivered again, looks go on", "results", w.outbox.queue.Len())
		}
	}
	return full
}
