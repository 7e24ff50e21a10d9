package worker

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/retry"
)

const (
	batchSize = 1000                 // ends in one call at most
	batchWait = 5 * time.Millisecond // between calls, while fewer wait
	// maxEnds is how many ends may wait before nothing more is claimed, until half of them
	// are told.
	maxEnds = 10_000
)

// An ending is the end of a run, to be told to the queue.
type ending struct {
	*run
	vedette.End
	took  time.Duration
	plain bool // without what its handler said, which the store refused
}

// A completer tells the queue how runs ended, many at once: the first at once, and those that
// come soon after it together.
type completer struct {
	w    *Worker
	more chan struct{} // tells the sender to look again

	// The Worker's lock guards the rest.
	waiting []ending
	spare   []ending // empty: memory for those that wait while a batch has theirs
	n       int      // waiting or being told
	full    bool
	none    chan struct{} // is closed when n is 0; nil while nobody asks
}

func newCompleter(w *Worker) *completer { return &completer{w: w, more: make(chan struct{}, 1)} }

// add takes an end. The lock is held.
func (c *completer) add(e ending) {
	c.waiting = append(c.waiting, e)
	c.n++
	c.full = c.full || c.n >= maxEnds
	if n := len(c.waiting); n == 1 || n == batchSize {
		c.wake()
	}
}

func (c *completer) wake() {
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// flush waits until all is told, or ctx ends.
func (c *completer) flush(ctx context.Context) {
	c.w.mu.Lock()
	if c.n == 0 {
		c.w.mu.Unlock()
		return
	}
	none := make(chan struct{})
	c.none = none
	c.w.mu.Unlock()
	select {
	case <-none:
	case <-ctx.Done():
	}
}

// run tells of ends until ctx ends.
func (c *completer) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for last := (time.Time{}); ; {
		batch, wait := c.take(last)
		if len(batch) > 0 {
			last = time.Now()
			c.send(ctx, batch)
			c.told(batch)
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-c.more:
		case <-timer.C:
		}
	}
}

// take returns what is to be told now, or how long to wait for more.
func (c *completer) take(last time.Time) ([]ending, time.Duration) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	n := len(c.waiting)
	if n == 0 {
		return nil, time.Hour
	}
	if wait := batchWait - time.Since(last); wait > 0 && n < batchSize {
		return nil, wait
	}
	n = min(n, batchSize)
	batch, rest := c.waiting[:n], c.waiting[n:]
	c.waiting, c.spare = append(c.spare, rest...), nil //nolint:gocritic // the two change places
	clear(rest)
	return batch, 0
}

// told counts ends as dealt with.
func (c *completer) told(batch []ending) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.n -= len(batch)
	clear(batch)
	c.spare = batch[:0]
	if c.full && c.n <= maxEnds/2 {
		c.full = false
		c.w.poke()
	}
	if c.n == 0 && c.none != nil {
		close(c.none)
		c.none = nil
	}
}

// send tells the queue of ends, again and again while the lease of those who claimed them may be
// trusted.
func (c *completer) send(ctx context.Context, batch []ending) {
	back := retry.Backoff{Min: 50 * time.Millisecond, Max: time.Second}
	for failed := false; ; failed = true {
		if batch = c.ours(batch); len(batch) == 0 {
			return
		}
		stale, err := c.finish(ctx, batch)
		switch {
		case err == nil:
			c.settle(batch, stale)
			return
		case errors.Is(err, vedette.ErrRefused):
			c.refused(ctx, batch, err)
			return
		case !failed && ctx.Err() == nil:
			c.w.c.Log.Error("cannot say how jobs ended, trying again", "jobs", len(batch), "err", err)
		}
		if back.Wait(ctx) != nil {
			return
		}
	}
}

// ours leaves out the ends of claims that are no longer ours to end.
func (c *completer) ours(batch []ending) []ending {
	lives := map[*life]bool{}
	return slices.DeleteFunc(batch, func(e ending) bool {
		trusted, known := lives[e.life]
		if !known {
			trusted = c.w.trusted(e.life)
			lives[e.life] = trusted
		}
		return !trusted || e.lost.Load()
	})
}

func (c *completer) finish(ctx context.Context, batch []ending) ([]vedette.Ref, error) {
	ends := make([]vedette.End, len(batch))
	for i, e := range batch {
		ends[i] = e.End
	}
	ctx, cancel := context.WithTimeout(ctx, c.w.c.TTL/3)
	defer cancel()
	return c.w.c.Queue.Finish(ctx, ends...)
}

// settle forgets what the queue knows now.
func (c *completer) settle(batch []ending, stale []vedette.Ref) {
	c.forget(batch)
	for _, ref := range stale {
		c.w.c.Log.Warn("end refused, the claim is another's or has ended", "job", ref.Job, "epoch", ref.Epoch)
		c.w.c.Meter.Stale(ref)
	}
	for _, e := range batch {
		if len(stale) == 0 || !slices.Contains(stale, e.Ref) {
			c.w.c.Meter.Ended(e.job, e.State, e.took)
		}
	}
}

func (c *completer) forget(batch []ending) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	for _, e := range batch {
		c.w.forget(e.run)
	}
}

// refused halves a batch until it has found what the store does not take. Of that it says the
// state alone.
func (c *completer) refused(ctx context.Context, batch []ending, err error) {
	switch n := len(batch); {
	case n > 1:
		c.send(ctx, slices.Clone(batch[:n/2]))
		c.send(ctx, batch[n/2:])
	case batch[0].plain:
		c.w.c.Log.Error("the store takes no end of this job, it will run again", "job", batch[0].job.ID, "err", err)
		c.forget(batch)
	default:
		e := batch[0]
		c.w.c.Log.Error("the store refused what a handler said", "job", e.job.ID, "err", err)
		e.plain, e.Result, e.Error = true, "", "the store refused what the handler said: "+text(err.Error(), 1<<10)
		c.send(ctx, []ending{e})
	}
}
