package watch

import (
	"strings"
	"time"

	"github.com/vedettehq/vedette"
)

const (
	// leastInFlight is what the limit of looks in flight never falls below.
	leastInFlight = 16
	// mostInFlight is where more at once would cost more memory than they save time.
	mostInFlight = 8192
	// reserved files are for the store, its clients and what else this process has open.
	reserved = 256
)

// fit is how many looks at once a limit of open files allows: each can have two, while one
// connection closes and the next opens.
func fit(files uint64, known bool) int {
	if !known || files >= reserved+2*mostInFlight {
		return mostInFlight
	}
	return max((int(files)-reserved)/2, leastInFlight) //nolint:gosec // below the bound above
}

// A limit is how many looks may be in flight. It falls when descriptors run out, and rises slowly.
type limit struct {
	max, now   int
	fell, rose time.Time // for the last time
}

// exhausted reports whether a look could not be made for want of descriptors.
func exhausted(r vedette.Result) bool {
	return r.State == vedette.Unknown && r.Failure != nil && r.Failure.Kind == vedette.KindInternal &&
		strings.Contains(r.Failure.Message, "too many open files")
}

// shrink takes a quarter off the limit. All looks that fail in one second count as one reason.
func (w *Watch) shrink() {
	now := time.Now()
	l := &w.limit
	if l.now <= leastInFlight || now.Sub(l.fell) < time.Second {
		return
	}
	if l.now == l.max {
		w.log.Error("descriptors run out, fewer looks at once for a while", "max_in_flight", l.now*3/4)
	}
	l.now, l.fell, l.rose = max(l.now*3/4, leastInFlight), now, now
	w.pool.Resize(l.now)
	w.poke() // the loop sees to the growth
}

// grow adds one to the limit for each second that went well, and reports whether there is more
// to come.
func (w *Watch) grow() bool {
	l := &w.limit
	if l.now >= l.max {
		return false
	}
	if n := int(time.Since(l.rose) / time.Second); n > 0 {
		l.now, l.rose = min(l.now+n, l.max), l.rose.Add(time.Duration(n)*time.Second)
		w.pool.Resize(l.now)
	}
	if l.now == l.max {
		w.log.Info("as many looks at once as before", "max_in_flight", l.max)
	}
	return l.now < l.max
}
