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

// calm is how long descriptors must have sufficed before the trouble is over.
const calm = 10 * time.Second

// A limit is how many looks may be in flight. It falls when descriptors run out, and rises slowly.
type limit struct {
	max, now int
	low      int       // what it last fell to
	fell     time.Time // for the last time
	told     bool      // of the trouble, which is not over
}

// exhausted reports whether a look could not be made for want of descriptors.
func exhausted(r vedette.Result) bool {
	return r.State == vedette.Unknown && r.Failure != nil && r.Failure.Kind == vedette.KindInternal &&
		strings.Contains(r.Failure.Message, "too many open files")
}

// shrink lets the limit fall to three quarters of what was in flight. All looks that fail in one
// second count as one reason.
func (w *Watch) shrink() {
	now := time.Now()
	l := &w.limit
	if now.Sub(l.fell) < time.Second {
		return
	}
	// What is in flight is what there are descriptors for, however high the limit was.
	least := min(l.now, leastInFlight)
	l.now = max(min(l.now, w.inFlight+1)*3/4, least)
	l.low, l.fell = l.now, now
	if !l.told {
		l.told = true
		w.log.Error("descriptors run out, fewer looks at once for a while", "max_in_flight", l.now)
	}
	w.pool.Resize(l.now)
	w.poke() // the loop sees to the growth
}

// grow raises the limit by one more with each second that went well, so that it feels its way at
// first and is soon back after a trouble that is over. It reports whether there is more to come.
func (w *Watch) grow() bool {
	l := &w.limit
	if !l.told {
		return false
	}
	well := time.Since(l.fell)
	n := int(well / time.Second)
	if now := min(l.low+n*(n+1)/2, l.max); now > l.now {
		l.now = now
		w.pool.Resize(now)
	}
	if l.now == l.max && well >= calm {
		l.told = false
		w.log.Info("as many looks at once as before", "max_in_flight", l.max)
	}
	return l.told
}
