// Package pool runs work in a bounded number of slots, on goroutines that it keeps warm: one
// that has grown its stack for a TLS handshake serves the next task with it.
package pool

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// Idle is for how long a goroutine waits for its next task before it ends.
const Idle = 5 * time.Second

// A Panic is the error that a task's panic became.
type Panic struct {
	Value any // nil if the task ended its goroutine
	Stack []byte
}

func (p *Panic) Error() string { return fmt.Sprintf("panic: %v", p.Value) }

// A Pool runs tasks of one kind. It is safe for concurrent use.
type Pool[T any] struct {
	run    func(T)
	failed func(T, error)

	mu      sync.Mutex
	size    int
	running int
	line    []T // waiting for a slot, from head on
	head    int
	idle    []*worker[T] // the longest idle first
	trim    *time.Timer  // ends those idle for long; nil if nobody is idle
	closed  bool
	drained chan struct{} // is closed when nothing runs any more
}

type worker[T any] struct {
	task  chan T // is closed to end it
	since time.Time
}

// New returns a Pool that calls run for at most size tasks at once, and failed for those that
// panic, with a [Panic].
func New[T any](size int, run func(T), failed func(T, error)) *Pool[T] {
	return &Pool[T]{run: run, failed: failed, size: size, drained: make(chan struct{})}
}

// Go runs t as soon as a slot is free, in the order of the calls. It never waits. After Drain has
// been called it does nothing.
func (p *Pool[T]) Go(t T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
	case p.running >= p.size:
		p.line = append(p.line, t)
	default:
		p.start(t)
	}
}

// start runs t on the goroutine that became idle last, whose stack is still in the caches.
func (p *Pool[T]) start(t T) {
	p.running++
	w := &worker[T]{}
	if n := len(p.idle) - 1; n >= 0 {
		w, p.idle[n] = p.idle[n], nil
		p.idle = p.idle[:n]
	} else {
		w.task = make(chan T, 1)
		go p.serve(w)
	}
	w.task <- t
}

func (p *Pool[T]) serve(w *worker[T]) {
	ended := false
	defer func() {
		if !ended { // a task called runtime.Goexit
			p.next(nil)
		}
	}()
	for t := range w.task {
		p.guard(t)
		for ok := true; ok; {
			if t, ok = p.next(w); ok {
				p.guard(t)
			}
		}
	}
	ended = true
}

func (p *Pool[T]) guard(t T) {
	done := false
	defer func() {
		if v := recover(); v != nil || !done {
			p.failed(t, &Panic{v, debug.Stack()})
		}
	}()
	p.run(t)
	done = true
}

// next returns the task that has waited longest, if the slot may be kept. Otherwise the slot is
// free and w, if there is one, idle.
func (p *Pool[T]) next(w *worker[T]) (t T, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w != nil && p.running <= p.size && p.head < len(p.line) {
		return p.shift(), true
	}
	p.running--
	if p.closed {
		if w != nil {
			close(w.task)
		}
		p.settle()
		return t, false
	}
	if w != nil {
		w.since = time.Now()
		p.idle = append(p.idle, w)
		if p.trim == nil {
			p.trim = time.AfterFunc(Idle, p.retire)
		}
	}
	p.fill()
	return t, false
}

func (p *Pool[T]) shift() T {
	t := p.line[p.head]
	var none T
	p.line[p.head] = none
	p.head++
	if p.head == len(p.line) {
		p.line, p.head = p.line[:0], 0
	} else if p.head > 1024 && 2*p.head > len(p.line) {
		p.line, p.head = append(p.line[:0], p.line[p.head:]...), 0
	}
	return t
}

// fill starts waiting tasks in free slots.
func (p *Pool[T]) fill() {
	for p.running < p.size && p.head < len(p.line) {
		p.start(p.shift())
	}
}

// retire ends the goroutines that have been idle for long.
func (p *Pool[T]) retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	old := 0
	for old < len(p.idle) && time.Since(p.idle[old].since) >= Idle {
		close(p.idle[old].task)
		old++
	}
	n := copy(p.idle, p.idle[old:])
	clear(p.idle[n:])
	p.idle = p.idle[:n]
	p.trim = nil
	if n > 0 {
		p.trim = time.AfterFunc(Idle-time.Since(p.idle[0].since), p.retire)
	}
}

// Resize changes how many tasks may run at once. What runs already goes on.
func (p *Pool[T]) Resize(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.size = size
	p.fill()
}

// Running returns how many tasks run now.
func (p *Pool[T]) Running() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running
}

// Waiting returns how many tasks wait for a slot.
func (p *Pool[T]) Waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.line) - p.head
}

// Drain forgets what waits, takes no more, and waits until nothing runs. It returns ctx's error
// if ctx ends first; then it may be called again.
func (p *Pool[T]) Drain(ctx context.Context) error {
	p.mu.Lock()
	if !p.closed {
		p.close()
	}
	p.mu.Unlock()
	select {
	case <-p.drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Pool[T]) close() {
	p.closed = true
	p.line, p.head = nil, 0
	for _, w := range p.idle {
		close(w.task)
	}
	p.idle = nil
	if p.trim != nil {
		p.trim.Stop()
	}
	p.settle()
}

func (p *Pool[T]) settle() {
	if p.running == 0 {
		close(p.drained)
	}
}
