package spool_test

import (
	"context"
	"slices"
	"sync"

	"github.com/vedettehq/vedette"
)

// A next is the sink behind a spool, and the spool's meter.
type next struct {
	mu     sync.Mutex
	answer func(f vedette.Found) error // nil takes all
	got    []vedette.Result
	resent int
	calls  int

	idle                       *sync.Cond
	waiting, bytes             int64
	spooled, replayed, refused int
	dropped                    map[string]int
}

func newNext() *next {
	n := &next{dropped: map[string]int{}}
	n.idle = sync.NewCond(&n.mu)
	return n
}

func (n *next) Send(ctx context.Context, f vedette.Found) error {
	n.mu.Lock()
	n.calls++
	answer := n.answer
	n.mu.Unlock()
	if answer != nil {
		if err := answer(f); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.got = append(n.got, f.Results...)
	if f.Resent {
		n.resent += len(f.Results)
	}
	return nil
}

func (n *next) set(answer func(f vedette.Found) error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answer = answer
}

func away(vedette.Found) error { return errAway }

// results waits until nothing waits in the spool, and returns what came.
func (n *next) results() []vedette.Result {
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.waiting > 0 {
		n.idle.Wait()
	}
	return slices.Clone(n.got)
}

func (n *next) asked() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.calls
}

func (n *next) Waiting(results, bytes int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiting, n.bytes = results, bytes
	n.idle.Broadcast()
}

func (n *next) Spooled(k int)  { n.add(&n.spooled, k) }
func (n *next) Replayed(k int) { n.add(&n.replayed, k) }
func (n *next) Refused(k int)  { n.add(&n.refused, k) }

func (n *next) add(to *int, k int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	*to += k
}

func (n *next) Dropped(reason string, k int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dropped[reason] += k
}
