package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/retry"
)

// A life is the worker under one name, for as long as the lease that its beats renew may be
// trusted: by our clocks it ends before the store's clock says so.
type life struct {
	owner  string
	ctx    context.Context // ends with ErrLeaseLost
	end    context.CancelCauseFunc
	values context.Context // of ctx, and never ends; the parent of its runs'
	beaten stamp           // when the last beat that was answered began; the Worker's lock guards it
	watch  *time.Timer
}

// A stamp is one moment on both of our clocks: the monotonic one, which may stand still while
// the machine sleeps, and the wall clock, which may be set.
type stamp struct{ mono, wall time.Time }

func (w *Worker) stamp() stamp { return stamp{time.Now(), w.wall().Round(0)} }

// since is the longer of the times that have passed by either clock.
func (w *Worker) since(s stamp) time.Duration {
	now := w.stamp()
	return max(now.mono.Sub(s.mono), now.wall.Sub(s.wall))
}

// lives lives under one name after another, until ctx ends.
func (w *Worker) lives(ctx context.Context) {
	back := retry.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}
	for n, owner := 1, w.c.Owner; ; n, owner = n+1, fmt.Sprintf("%s/%d", w.c.Owner, n+1) {
		l := &life{owner: owner, values: context.WithoutCancel(ctx)}
		l.ctx, l.end = context.WithCancelCause(ctx)
		began := w.keep(l)
		if ctx.Err() != nil {
			return
		}
		w.bury(l)
		if began {
			back.Reset()
		}
		if w.leaves() || back.Wait(ctx) != nil {
			return
		}
	}
}

func (w *Worker) leaves() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stopping
}

// keep beats until l is over, and says whether it ever began.
func (w *Worker) keep(l *life) (began bool) {
	defer w.over(l)
	back := retry.Backoff{Min: 100 * time.Millisecond, Max: time.Second}
	for failed := false; l.ctx.Err() == nil; {
		if began && !w.trusted(l) {
			return began
		}
		err := w.beat(l)
		wait := w.c.Beat
		switch {
		case err == nil:
			began, failed = true, false
			back.Reset()
		case errors.Is(err, vedette.ErrLeaseLost):
			return began
		default:
			if !failed && l.ctx.Err() == nil {
				w.c.Log.Error("cannot beat, trying again", "owner", l.owner, "err", err)
			}
			failed = true
			wait = back.Next()
		}
		select {
		case <-time.After(wait):
		case <-l.ctx.Done():
		}
	}
	return began
}

// beat says what l holds, and does what it is told.
func (w *Worker) beat(l *life) error {
	began := w.stamp()
	ctx, cancel := context.WithTimeout(l.ctx, w.c.TTL/3)
	defer cancel()
	orders, err := w.c.Queue.Beat(ctx, l.owner, w.c.TTL, w.refs(l)...)
	if err != nil {
		return err
	}
	if !w.trust(l, began) {
		return fmt.Errorf("beat: the answer came too late: %w", vedette.ErrLeaseLost)
	}
	for _, r := range w.obey(orders) {
		w.c.Log.Warn("claim lost", "job", r.job.ID, "epoch", r.job.Epoch)
		w.c.Meter.Lost(r.job)
	}
	return nil
}

// refs returns what l holds: what runs, and what ended and the queue does not know yet.
func (w *Worker) refs(l *life) []vedette.Ref {
	w.mu.Lock()
	defer w.mu.Unlock()
	refs := make([]vedette.Ref, 0, len(w.held))
	for _, r := range w.held {
		if r.life == l {
			refs = append(refs, r.job.Ref())
			r.nag(w.c.Log)
		}
	}
	return refs
}

// lasts is for how long a beat may be trusted.
func (w *Worker) lasts() time.Duration { return w.c.TTL - w.margin }

// trust takes a beat that began at a time as answered, unless that was too long ago.
func (w *Worker) trust(l *life, began stamp) bool {
	left := w.lasts() - w.since(began)
	if left <= 0 || l.ctx.Err() != nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if l.watch == nil {
		l.watch = time.AfterFunc(left, func() { w.over(l) })
		w.life = l
		w.poke()
	} else {
		l.watch.Reset(left)
	}
	if l.beaten.mono.Before(began.mono) {
		l.beaten = began
	}
	return true
}

// over ends l and the ctx of what it runs. What begins later sees that l has ended.
func (w *Worker) over(l *life) {
	l.end(vedette.ErrLeaseLost)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.held {
		if r.life == l {
			r.cancel(vedette.ErrLeaseLost)
		}
	}
}

// trusted reports whether l may still be trusted to own what it claimed.
func (w *Worker) trusted(l *life) bool {
	if l.ctx.Err() != nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.since(l.beaten) < w.lasts()
}

// obey ends what is to end and forgets what is lost, which it returns. What has ended by itself
// is left to the queue's answer to that.
func (w *Worker) obey(orders []vedette.Order) (lost []*run) {
	if len(orders) == 0 {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	held := make(map[vedette.Ref]*run, len(w.held))
	for _, r := range w.held {
		held[r.job.Ref()] = r
	}
	for _, o := range orders {
		r := held[o.Ref]
		switch {
		case r == nil || r.ended:
		case o.Lost:
			lost = append(lost, r)
			w.lose(r)
		default:
			r.cancel(fmt.Errorf("%w: %s", ErrCancelled, o.Reason))
		}
	}
	return lost
}

// lose forgets a run. The lock is held.
func (w *Worker) lose(r *run) {
	w.forget(r)
	r.lost.Store(true)
	r.cancel(vedette.ErrLeaseLost)
}

// bury forgets l with all that it held.
func (w *Worker) bury(l *life) {
	if l.watch != nil {
		l.watch.Stop()
	}
	var lost []*run
	w.mu.Lock()
	if w.life == l {
		w.life = nil
	}
	for _, r := range slices.Clone(w.held) {
		if r.life == l {
			lost = append(lost, r)
			w.lose(r)
		}
	}
	w.mu.Unlock()
	level := slog.LevelWarn
	if len(lost) > 0 {
		level = slog.LevelError
	}
	w.c.Log.Log(l.ctx, level, "the lease ran out, beginning anew", "owner", l.owner, "lost", len(lost))
	for _, r := range lost {
		w.c.Meter.Lost(r.job)
	}
}

// handBack lets the queue take back what a claim took whose answer was cut off by the stop: the
// queue does that for what it has not heard of in two beats.
func (w *Worker) handBack(ctx context.Context) {
	w.mu.Lock()
	l, cut := w.life, w.cutOff
	w.mu.Unlock()
	if l == nil || !cut || ctx.Err() != nil || !w.trusted(l) {
		return
	}
	for range 2 {
		if err := w.beat(l); err != nil {
			w.c.Log.Warn("cannot beat at the end", "owner", l.owner, "err", err)
			return
		}
	}
}
