package watch

import (
	"cmp"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/when"
)

// A site is what the watch knows of one monitor. The Watch's lock guards it.
type site struct {
	m     *vedette.Monitor // never changed, only replaced
	every time.Duration    // its interval
	phase time.Duration    // of the interval
	check vedette.Check    // of m; nil until it is first needed
	tally vedette.Tally    // what this watch counted, for the pace of rechecks
	due   time.Time        // of the look that waits or is in flight; zero: it is due no longer
	// flight is the look that is being made, so that there is never a second one.
	flight *look
	shard  int32

	queued  bool // waits for a slot
	beat    bool // due is on the beat, and not a recheck
	recheck bool // what stands in the heap is a recheck, sooner than the next beat
	looked  bool // tally is ours, not to be replaced by what a store remembers
	told    bool // its mistake was logged
	gone    bool // deleted, or for other regions now, but still waiting or in flight
}

// set makes m the monitor of s, and reports whether that moves its beat. A library's user may
// have left out its interval.
func (s *site) set(m *vedette.Monitor) (moved bool) {
	every := m.Interval
	if every <= 0 {
		every = time.Minute
	}
	moved = every != s.every
	s.m, s.every = m, every
	if moved {
		s.phase = when.Phase(m.ID.Hash(), every)
	}
	return moved
}

// next is the first beat after now.
func (s *site) next(now time.Time) time.Time { return when.Next(now, s.every, s.phase) }

// timeout is how long a look at m may take; a library's user may have left it out.
func timeout(m *vedette.Monitor) time.Duration {
	return cmp.Or(max(m.Timeout, 0), 10*time.Second)
}
