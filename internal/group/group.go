// Package group lets calls that come while others are under way share the next round trip.
package group

import (
	"context"
	"runtime"
	"sync"
)

// A Group makes few calls of many. Of those that come while Limit calls are under way, up to Most
// go together, in their order, as soon as one of these ends; nobody waits for a timer. It is safe
// for concurrent use.
type Group[In, Out any] struct {
	// Do makes one call for all of them, and returns as many answers as it was given, or an
	// error for all. Its ctx has the values of the first caller's, and ends when all callers
	// have left.
	Do    func(ctx context.Context, all []In) ([]Out, error)
	Limit int // 0 means 1
	Most  int // 0 means 500

	mu      sync.Mutex
	flying  int
	waiting []*call[In, Out]
}

// A call is one that waits for its answer.
type call[In, Out any] struct {
	ctx  context.Context
	in   In
	out  Out
	err  error
	left bool          // the Group's lock guards it
	of   *flight       // that carries it; nil while it waits
	done chan struct{} // closed when out and err are there
}

// A flight is one call of Do.
type flight struct {
	staying int // callers who have not left
	cancel  context.CancelFunc
}

// Call returns what Do answers to in, or ctx's error if ctx ends before: then it is not known
// whether the call was made, unless it still waited.
func (g *Group[In, Out]) Call(ctx context.Context, in In) (Out, error) {
	c := &call[In, Out]{ctx: ctx, in: in, done: make(chan struct{})}
	if err := ctx.Err(); err != nil {
		return c.out, err
	}
	g.mu.Lock()
	g.waiting = append(g.waiting, c)
	g.fly()
	g.mu.Unlock()
	select {
	case <-c.done:
	case <-ctx.Done():
		g.leave(c)
		select {
		case <-c.done: // it came at the same time
		default:
			return *new(Out), ctx.Err()
		}
	}
	return c.out, c.err
}

// leave lets c's flight end if nobody waits for it any more, and c never begin one.
func (g *Group[In, Out]) leave(c *call[In, Out]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.left = true
	if c.of == nil {
		return
	}
	if c.of.staying--; c.of.staying == 0 {
		c.of.cancel()
	}
}

// fly starts a flight with those who wait, if there may be one more. The lock is held.
func (g *Group[In, Out]) fly() {
	if g.flying >= max(g.Limit, 1) {
		return
	}
	most := g.Most
	if most == 0 {
		most = 500
	}
	var calls []*call[In, Out]
	n := 0
	for ; n < len(g.waiting) && len(calls) < most; n++ {
		if c := g.waiting[n]; !c.left {
			calls = append(calls, c)
		}
	}
	if g.waiting = g.waiting[n:]; len(g.waiting) == 0 {
		g.waiting = nil
	}
	if len(calls) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(calls[0].ctx))
	f := &flight{len(calls), cancel}
	for _, c := range calls {
		c.of = f
	}
	g.flying++
	go g.carry(ctx, f, calls)
}

// carry makes one call of Do, and hands out its answers.
func (g *Group[In, Out]) carry(ctx context.Context, f *flight, calls []*call[In, Out]) {
	defer f.cancel()
	all := make([]In, len(calls))
	for i, c := range calls {
		all[i] = c.in
	}
	out, err := g.Do(ctx, all)
	for i, c := range calls {
		if c.err = err; err == nil {
			c.out = out[i]
		}
		close(c.done)
	}
	runtime.Gosched() // those who have their answer may have more to ask: it goes along
	g.mu.Lock()
	defer g.mu.Unlock()
	g.flying--
	g.fly()
}
