package postgres

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
)

// Claims may begin behind what others have claimed for maxAge: so long may a job that nobody told of,
// or whose claim was undone, be passed over. From minAge on the first claim that no ring has woken
// goes back, so that what just came need not wait for it.
const (
	minAge = 500 * time.Millisecond
	maxAge = time.Second
)

// A spot is a place in the order of a queue's ready jobs.
type spot struct {
	priority, runAt int64 // in microseconds as the server counts
	id              vedette.ID
}

// begin lies before all jobs, end behind them.
func begin() spot { return spot{priority: math.MinInt64, runAt: math.MinInt64} }
func end() spot   { return spot{priority: math.MaxInt64, runAt: math.MaxInt64} }

func (a spot) compare(b spot) int {
	return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.runAt, b.runAt), slices.Compare(a.id[:], b.id[:]))
}

// Spots is how far the claims of this process have come in each queue. A claim that begins there
// need not look at the jobs before, which are gone but stay in the index until all who might still
// see them have ended. It is safe for concurrent use.
type spots struct {
	mu  sync.Mutex
	all map[string]*track
}

// A track is what is known of one queue.
type track struct {
	at    spot
	since time.Time // when it left the beginning
	turn  int64     // grows when it goes back
	rung  bool      // since the last claim
}

func (s *spots) track(queue string) *track {
	t := s.all[queue]
	if t == nil {
		if s.all == nil {
			s.all = map[string]*track{}
		}
		t = &track{at: begin()}
		s.all[queue] = t
	}
	return t
}

func (t *track) back() {
	t.at = begin()
	t.turn++
}

// from returns where a claim of a queue begins, and the turn, which the claim must name to move on.
func (s *spots) from(queue string) (spot, int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.track(queue)
	most := maxAge
	if !t.rung {
		most = minAge
	}
	if t.rung = false; t.at != begin() && time.Since(t.since) > most {
		t.back()
	}
	return t.at, t.turn
}

// pass moves on to the last of as many jobs as were asked for, or the end if there were fewer.
func (s *spots) pass(queue string, turn int64, last spot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.track(queue)
	if t.turn != turn || t.at.compare(last) >= 0 {
		return
	}
	if t.at == begin() {
		t.since = time.Now()
	}
	t.at = last
}

// rewind goes back to the beginning of a queue.
func (s *spots) rewind(queue string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.track(queue).back()
}

// lower goes back to the first of the jobs that came, if it lies before.
func (s *spots) lower(r ring) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.all[string(r.Bell[1:])]
	if t == nil {
		return
	}
	t.rung = true
	if first := (spot{priority: r.Priority, runAt: r.RunAt}); first.compare(t.at) <= 0 {
		t.at = first
		t.turn++
	}
}

// forget goes back everywhere.
func (s *spots) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.all {
		t.back()
	}
}
