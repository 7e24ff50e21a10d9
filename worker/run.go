package worker

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vedettehq/vedette"
)

// A run is one claim of a job, from the claim until the queue knows how it ended.
type run struct {
	job   vedette.Job
	life  *life
	share int       // of its queue; -1 is none
	began time.Time // when the claim was answered
	ctx   context.Context
	end   context.CancelCauseFunc
	free  context.CancelFunc // of the time-out; nil without one
	task  vedette.Task
	log   jobLog
	items items
	lost  atomic.Bool

	// The Worker's lock guards the rest.
	place  int       // among the held, from 1 on; 0 is none
	ended  bool      // the handler has returned
	over   time.Time // when its ctx was first seen to have ended
	nagged bool
}

func (w *Worker) newRun(l *life, j vedette.Job, began time.Time) *run {
	r := &run{job: j, life: l, began: began, share: w.place(j.Queue)}
	// A child of l.ctx would cost a place among its siblings: the end of l ends its runs itself.
	r.ctx, r.end = context.WithCancelCause(l.values)
	if j.Timeout > 0 {
		r.ctx, r.free = context.WithTimeoutCause(r.ctx, j.Timeout, lateError(j.Timeout)) //nolint:gosec // done calls r.free
	}
	r.log.ship, r.log.run = w.shipper, r
	return r
}

// A lateError is the cause of the end of a ctx by its time-out.
type lateError time.Duration

func (e lateError) Error() string {
	return fmt.Sprintf("no end within %v: %v", time.Duration(e), context.DeadlineExceeded)
}

func (lateError) Unwrap() error { return context.DeadlineExceeded }

// place returns which share is that of a queue, or -1.
func (w *Worker) place(queue string) int {
	for i := range w.shares {
		if w.shares[i].Queue == queue {
			return i
		}
	}
	return -1
}

// cancel ends the ctx of the handler.
func (r *run) cancel(cause error) { r.end(cause) }

// drop frees what the ctx of the handler holds.
func (r *run) drop() {
	if r.free != nil {
		r.free()
	}
	r.cancel(nil)
}

// now is the store's time, as far as the answer to the claim told it: ours may be wrong.
func (r *run) now() time.Time { return r.job.StartedAt.Add(time.Since(r.began)) }

// handle lets the handler do the job. It survives its panics.
func (w *Worker) handle(r *run) {
	var (
		result   string
		err      error
		returned bool
	)
	defer func() {
		switch v := recover(); {
		case v != nil:
			err = fmt.Errorf("panic: %v\n\n%s", v, stack())
		case !returned:
			err = errEnded
		}
		w.done(r, result, err)
	}()
	result, err = w.call(r)
	returned = true
}

func (w *Worker) call(r *run) (string, error) {
	h := w.c.Handlers[r.job.Handler]
	if h == nil {
		known := strings.Join(slices.Sorted(maps.Keys(w.c.Handlers)), ", ")
		return "", fmt.Errorf("unknown handler %q: this worker knows %s", r.job.Handler, known)
	}
	r.task = vedette.Task{
		Job: r.job,
		Log: slog.New(&r.log),
		KV:  w.c.KV,
		Emit: func(ctx context.Context, items ...vedette.Raw) error {
			return w.emit(ctx, r, items)
		},
	}
	return h.Run(r.ctx, &r.task)
}

// stack returns where the present panic came from.
func stack() []byte {
	all := debug.Stack()
	if i := bytes.Index(all, []byte("\npanic(")); i >= 0 {
		all = all[i+1:]
		for range 2 { // panic itself, and where it stands
			_, all, _ = bytes.Cut(all, []byte("\n"))
		}
	}
	return all[:min(len(all), maxStack)]
}

// done is told that the handler has returned, or has not been called.
func (w *Worker) done(r *run, result string, err error) {
	e := ending{run: r, End: outcome(r, result, err), took: time.Since(r.began)}
	r.drop()
	r.items.close()
	r.log.close()
	w.mu.Lock()
	defer w.mu.Unlock()
	r.ended = true
	w.completer.add(e)
	w.release(r)
}

// hold counts r among the held. The lock is held.
func (w *Worker) hold(r *run) {
	w.held = append(w.held, r)
	r.place = len(w.held)
}

// forget takes r out of the held, if it is among them. The lock is held.
func (w *Worker) forget(r *run) {
	if r.place == 0 {
		return
	}
	end := len(w.held) - 1
	last := w.held[end]
	w.held[r.place-1], w.held[end] = last, nil
	w.held = w.held[:end]
	last.place, r.place = r.place, 0
}

// nag logs once that the handler does not end although it should. The Worker's lock is held.
func (r *run) nag(log *slog.Logger) {
	switch {
	case r.ended || r.nagged || r.ctx.Err() == nil:
	case r.over.IsZero():
		r.over = time.Now()
	case time.Since(r.over) >= vedette.CancelGrace:
		r.nagged = true
		log.Warn("handler does not end when told to, it keeps its slot",
			"job", r.job.ID, "handler", r.job.Handler, "cause", context.Cause(r.ctx))
	}
}
