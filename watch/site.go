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
	gone    bool // deleted, but still waiting or in flight
}

// every and timeout are the settings of a monitor that a library's user may have left out.
func every(m *vedette.Monitor) time.Duration {
	if m.Interval <= 0 {
		return time.Minute
	}
	return m.Interval
}

func timeout(m *vedette.Monitor) time.Duration {
	return cmp.Or(max(m.Timeout, 0), 10*time.Second)
}

// next is the first beat after now.
func (s *site) next(now time.Time) time.Time {
	interval := every(s.m)
	return when.Next(now, interval, when.Phase(s.m.ID.Hash(), interval))
}
