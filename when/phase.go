package when

import (
	"math/bits"
	"time"
)

// Phase returns where in its interval a thing with this hash is due: hash*interval/2^64, so
// that evenly spread hashes are evenly spread over the interval. It is at least 0 and less
// than interval, which must be positive.
func Phase(hash uint64, interval time.Duration) time.Duration {
	hi, _ := bits.Mul64(hash, uint64(interval)) //nolint:gosec // positive
	return time.Duration(hi)                    //nolint:gosec // less than interval
}

// Next returns the first beat strictly after the given time: the smallest k*interval+phase
// since the Unix epoch, for a whole k. It is a wall time, in the location of after, and does
// not depend on when anything began: a beat is kept over restarts. The interval must be
// positive and the times between the years 1678 and 2262.
func Next(after time.Time, interval, phase time.Duration) time.Time {
	n := after.UnixNano() - int64(phase)
	past := n % int64(interval)
	if past < 0 {
		past += int64(interval)
	}
	return time.Unix(0, n-past+int64(interval)+int64(phase)).In(after.Location())
}

// Jitter returns what part of within a thing with this hash waits at the time at, of which
// milliseconds count: evenly spread over things as over times, and the same whoever asks. It is
// at least 0 and less than within, which must be positive.
func Jitter(hash uint64, at time.Time, within time.Duration) time.Duration {
	return Phase(mix(hash^mix(uint64(at.UnixMilli()))), within) //nolint:gosec // any number will do
}

// mix is the 64-bit finalizer of MurmurHash3.
func mix(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
