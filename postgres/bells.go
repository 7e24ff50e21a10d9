package postgres

import (
	"slices"
	"sync"
)

// A bell names what can be waited for: a queue, a topic, a registry. Its first letter is its kind.
type bell string

func queueBell(name string) bell  { return bell("q" + name) }
func topicBell(topic string) bell { return bell("t" + topic) }

// Bells wake those of this process who wait. A ring that nobody hears is lost, so whoever waits is
// among the waiting before it looks whether there is something to wait for.
type bells struct {
	mu      sync.Mutex
	waiting map[bell][]*waiter // those who wait for longest first
}

// A waiter waits for any of some bells.
type waiter struct {
	bells []bell
	rung  chan struct{} // holds one
}

// wait adds a waiter.
func (b *bells) wait(names ...bell) *waiter {
	w := &waiter{names, make(chan struct{}, 1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting == nil {
		b.waiting = map[bell][]*waiter{}
	}
	for _, name := range names {
		b.waiting[name] = append(b.waiting[name], w)
	}
	return w
}

// wake rings for one waiter alone.
func (w *waiter) wake() {
	select {
	case w.rung <- struct{}{}:
	default: // is awake already
	}
}

// leave takes a waiter away. A ring that it has not used, or what it leaves to others, is
// passed on.
func (b *bells) leave(w *waiter, pass bool) {
	b.mu.Lock()
	for _, name := range w.bells {
		left := slices.DeleteFunc(b.waiting[name], func(one *waiter) bool { return one == w })
		if b.waiting[name] = left; len(left) == 0 {
			delete(b.waiting, name)
		}
	}
	b.mu.Unlock()
	select {
	case <-w.rung:
		pass = true
	default:
	}
	if !pass {
		return
	}
	for _, name := range w.bells {
		b.ring(name, 1)
	}
}

// ring wakes up to n waiters.
func (b *bells) ring(name bell, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.waiting[name] {
		if n == 0 {
			return
		}
		select {
		case w.rung <- struct{}{}:
			n--
		default: // is awake already
		}
	}
}

// ringAll wakes everybody.
func (b *bells) ringAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, all := range b.waiting {
		for _, w := range all {
			w.wake()
		}
	}
}
