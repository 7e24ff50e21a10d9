package sketch

import (
	"math"
	"time"
)

// Accuracy is the relative error of a quantile.
const Accuracy = 0.01

const (
	gamma = (1 + Accuracy) / (1 - Accuracy)
	// top is the bucket of the longest duration.
	top = 2184
)

// A Sketch counts durations. The zero value is empty and ready. It is not safe for concurrent
// use.
type Sketch struct {
	none   uint64 // durations of 0
	low    int    // the bucket of counts[0]
	counts []uint64
	total  uint64
}

// Add counts d. A negative duration counts as 0.
func (s *Sketch) Add(d time.Duration) {
	s.total++
	if d <= 0 {
		s.none++
		return
	}
	i := bucket(d)
	s.cover(i, i)
	s.counts[i-s.low]++
}

func bucket(d time.Duration) int {
	return int(math.Ceil(math.Log(float64(d)) / math.Log(gamma)))
}

// cover makes room for the buckets from lo to hi.
func (s *Sketch) cover(lo, hi int) {
	if len(s.counts) == 0 {
		s.low, s.counts = lo, make([]uint64, hi-lo+1)
		return
	}
	last := s.low + len(s.counts) - 1
	if lo >= s.low && hi <= last {
		return
	}
	lo, hi = min(lo, s.low), max(hi, last)
	wide := make([]uint64, hi-lo+1)
	copy(wide[s.low-lo:], s.counts)
	s.low, s.counts = lo, wide
}

// Merge adds what o counted. It leaves o as it is.
func (s *Sketch) Merge(o *Sketch) {
	s.total += o.total
	s.none += o.none
	if len(o.counts) == 0 {
		return
	}
	s.cover(o.low, o.low+len(o.counts)-1)
	for i, n := range o.counts {
		s.counts[o.low-s.low+i] += n
	}
}

// Count returns how many durations were added.
func (s *Sketch) Count() int64 {
	return int64(s.total) //nolint:gosec // nobody adds so many
}

// Quantile returns a duration within 1 % of the one that stands at the share q of all in the
// order of their lengths: of n durations, the one with floor(q*(n-1)) before it. 0.5 asks for
// the median; q outside [0, 1] counts as the nearer end. The answer for an empty sketch is 0.
func (s *Sketch) Quantile(q float64) time.Duration {
	if s.total == 0 {
		return 0
	}
	rank := uint64(math.Max(0, math.Min(q, 1)) * float64(s.total-1))
	before := s.none
	for i, n := range s.counts {
		if before > rank {
			break
		}
		if before += n; before > rank {
			return middle(s.low + i)
		}
	}
	return 0
}

// middle returns what bucket i stands for.
func middle(i int) time.Duration {
	ns := math.Round(2 * math.Pow(gamma, float64(i)) / (gamma + 1))
	if ns >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(ns)
}
