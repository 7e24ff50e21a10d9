// Package worker claims Jobs, runs their Handlers, and says how they ended.
//
// A [Worker] claims as many jobs as it has free slots, in one round trip, and runs all of them at
// once, each on a goroutine that has no other meanwhile. It beats for all of them at once; the answer tells what is to end and
// what is lost. A worker that could not beat for as long as its lease may be trusted ends what it
// runs, and comes again under another name: what its old life still does counts no more.
//
// Read on in this order: claim.go (which), hands.go, run.go and outcome.go (what), life.go (for how
// long), complete.go (how it ended), log.go, ship.go and emit.go (what is kept of it).
package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
)

// The causes for which a handler's ctx ends, beside its time-out, which is a
// [context.DeadlineExceeded], and [vedette.ErrLeaseLost]; see [context.Cause].
var (
	// ErrCancelled: somebody wants the run to end; the cause wraps it and says why.
	ErrCancelled = errors.New("cancelled")
	// ErrStopped: the worker stops, and its grace is over. The job runs again elsewhere.
	ErrStopped = errors.New("the worker stops")
)

// A Config holds what a Worker needs. Queue, Feed, KV, Handlers and Owner are required.
type Config struct {
	Queue    vedette.Queue
	Feed     vedette.Feed
	KV       vedette.KV
	Handlers map[string]vedette.Handler // by name
	// Owner is a random id, one a process. A worker whose time ran out comes again as Owner/2
	// and so on.
	Owner       string
	Concurrency int // how many jobs run at once; 0 means 50
	// Queues are those to take jobs from; none means DefaultQueue. Strict takes of each only
	// what those before it leave; otherwise starts are in proportion to the weights.
	Queues []Share
	Strict bool

	Beat  time.Duration // how often to tell the queue that we live; 0 means 3s
	TTL   time.Duration // for how long a beat lasts; 0 means 9s
	Grace time.Duration // how long handlers may go on after the stop; 0 means 30s

	Log   *slog.Logger // nil discards
	Meter Meter        // nil counts nothing
}

// A Share is how much of a Worker a queue gets.
type Share struct {
	Queue       string
	Weight      int // 0 means 1
	Concurrency int // of the worker's, at most; 0 means all of it
}

// A Worker runs jobs. It implements [vedette.Part].
type Worker struct {
	c         Config
	margin    time.Duration // how much sooner than its end a lease is distrusted
	wall      func() time.Time
	shipper   *shipper
	completer *completer
	wake      chan struct{} // tells the claimer to look again

	mu       sync.Mutex
	life     *life  // the one that claims; nil while there is none
	held     []*run // each knows its place
	hands    hands
	shares   []share
	running  int           // handlers
	idle     chan struct{} // is closed when stopping and nothing runs
	stopping bool
	asked    *asked // the claim under way, or nil
	cutOff   bool   // a claim was cut off by the stop: what it took may be nobody's
}

// A share is a Share with how much of it is taken.
type share struct {
	Share
	running int
}

var _ vedette.Part = (*Worker)(nil)

// New returns a Worker, which starts nothing before Run.
func New(c Config) (*Worker, error) {
	if c.Queue == nil || c.Feed == nil || c.KV == nil || c.Handlers == nil || c.Owner == "" {
		return nil, errors.New("worker: Queue, Feed, KV, Handlers and Owner are required")
	}
	c.Concurrency = cmp.Or(c.Concurrency, 50)
	c.Beat, c.TTL = cmp.Or(c.Beat, 3*time.Second), cmp.Or(c.TTL, 9*time.Second)
	c.Grace = cmp.Or(c.Grace, 30*time.Second)
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	if c.Meter == nil {
		c.Meter = noMeter{}
	}
	if c.Concurrency < 0 || c.Beat < 0 || c.Grace < 0 || c.TTL < 2*c.Beat {
		return nil, fmt.Errorf("worker: %d at once, a beat each %v that lasts %v and a grace of %v make no sense",
			c.Concurrency, c.Beat, c.TTL, c.Grace)
	}
	shares, err := shareOut(c)
	if err != nil {
		return nil, err
	}
	w := &Worker{
		c: c, shares: shares, margin: c.TTL / 9, wall: time.Now,
		hands: newHands(),
		wake:  make(chan struct{}, 1), idle: make(chan struct{}),
	}
	w.shipper = newShipper(c.Feed, c.Log)
	w.completer = newCompleter(w)
	return w, nil
}

func shareOut(c Config) ([]share, error) {
	if len(c.Queues) == 0 {
		c.Queues = []Share{{Queue: vedette.DefaultQueue}}
	}
	var all []share
	seen := map[string]bool{}
	for _, s := range c.Queues {
		s.Queue, s.Weight = cmp.Or(s.Queue, vedette.DefaultQueue), cmp.Or(s.Weight, 1)
		if s.Weight < 0 || s.Concurrency < 0 || seen[s.Queue] {
			return nil, fmt.Errorf("worker: queue %q: weight %d and concurrency %d make no sense, or it is named twice",
				s.Queue, s.Weight, s.Concurrency)
		}
		seen[s.Queue] = true
		s.Concurrency = min(cmp.Or(s.Concurrency, c.Concurrency), c.Concurrency)
		all = append(all, share{Share: s})
	}
	return all, nil
}

// Running returns how many handlers run now.
func (w *Worker) Running() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running
}

// Run claims and runs jobs until ctx ends. Then it claims no more, lets the handlers go on for
// the grace period and ends their ctx after it; jobs whose handlers then return without having
// succeeded are given back. It returns when all is said of what it claimed, or, after a
// second grace period, with handlers left behind: their jobs run elsewhere when the lease ends. It
// is called once and always returns nil.
func (w *Worker) Run(ctx context.Context) error {
	base := context.WithoutCancel(ctx)
	beating, stop := context.WithCancel(base)
	defer stop()
	var parts sync.WaitGroup
	parts.Go(func() { w.lives(beating) })
	parts.Go(func() { w.completer.run(beating) })
	parts.Go(func() { w.shipper.run(beating) })
	w.claims(ctx)
	w.drain(base)
	stop()
	w.dismiss()
	parts.Wait()
	return nil
}

// drain waits until nothing is claimed any more.
func (w *Worker) drain(ctx context.Context) {
	w.mu.Lock()
	w.stopping = true
	w.settle()
	w.mu.Unlock()
	if !w.await(ctx, w.idle) {
		w.end(ErrStopped)
	}
	last, cancel := context.WithTimeout(ctx, w.c.Grace)
	defer cancel()
	if !w.await(last, w.idle) {
		w.tellLeft()
	}
	w.completer.flush(last)
	w.shipper.flush(last)
	w.handBack(last)
}

// await waits for done for a grace period.
func (w *Worker) await(ctx context.Context, done <-chan struct{}) bool {
	grace, cancel := context.WithTimeout(ctx, w.c.Grace)
	defer cancel()
	select {
	case <-done:
		return true
	default:
	}
	select {
	case <-done:
		return true
	case <-grace.Done():
		return false
	}
}

// end ends the ctx of all handlers.
func (w *Worker) end(cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.held {
		r.cancel(cause)
	}
}

// tellLeft logs what did not end.
func (w *Worker) tellLeft() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.held {
		if !r.ended {
			w.c.Log.Error("handler does not end when told to, leaving it behind", "job", r.job.ID, "handler", r.job.Handler)
		}
	}
}

// settle closes idle when the last handler has returned. The lock is held.
func (w *Worker) settle() {
	if w.stopping && w.running == 0 {
		select {
		case <-w.idle:
		default:
			close(w.idle)
		}
	}
}

// poke lets the claimer look again.
func (w *Worker) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
