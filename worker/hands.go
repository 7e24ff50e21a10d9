package worker

import (
	"slices"
	"sync"
)

// hands are the goroutines that run handlers. One that is done with a run takes the next that has
// none, or rests until it is needed, with the stack that it has grown. The Worker's lock guards
// them.
//
// While runs wait, one hand is on its way: it takes a run and calls the next before it begins. So
// each run is begun at once however long the others take, and many short ones need few hands.
type hands struct {
	ready   []*run // for which there is no hand yet, from next on
	next    int
	coming  bool // a hand was called, and has not taken a run yet
	idle    int
	left    bool
	call    chan struct{} // is closed when there will be no more
	resting sync.WaitGroup
}

func newHands() hands { return hands{call: make(chan struct{}, 1)} }

// hand lets hands run what has its slots.
func (w *Worker) hand(runs []*run) {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := &w.hands
	h.ready, h.next = append(slices.Delete(h.ready, 0, h.next), runs...), 0
	w.summon()
}

// summon calls a hand if runs wait and none is coming. The lock is held.
func (w *Worker) summon() {
	h := &w.hands
	switch {
	case h.coming || h.next == len(h.ready):
		return
	case h.idle > 0:
		h.idle--
		h.call <- struct{}{}
	default:
		go w.lend()
	}
	h.coming = true
}

// lend is a hand, from when it is first called until there is no more to do.
func (w *Worker) lend() {
	for called := true; called; called = w.rest() {
		for r := w.take(true); r != nil; r = w.take(false) {
			w.c.Meter.Started(r.job, r.job.StartedAt.Sub(r.job.RunAt))
			w.handle(r)
		}
	}
}

// take returns the next run that waits for a hand, or nil.
func (w *Worker) take(called bool) *run {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := &w.hands
	if called {
		h.coming = false
	}
	if h.next == len(h.ready) {
		return nil
	}
	r := h.ready[h.next]
	h.ready[h.next] = nil
	if h.next++; h.next == len(h.ready) {
		h.ready, h.next = h.ready[:0], 0
	}
	w.summon()
	return r
}

// rest waits for the next call. It returns false if there will be none.
func (w *Worker) rest() bool {
	w.mu.Lock()
	h := &w.hands
	if h.left {
		w.mu.Unlock()
		return false
	}
	h.idle++
	h.resting.Add(1)
	w.mu.Unlock()
	defer h.resting.Done()
	_, called := <-h.call
	return called
}

// dismiss ends the hands that rest, and lets the others end when their handlers return.
func (w *Worker) dismiss() {
	w.mu.Lock()
	w.hands.left, w.hands.idle = true, 0
	close(w.hands.call)
	w.mu.Unlock()
	w.hands.resting.Wait()
}
