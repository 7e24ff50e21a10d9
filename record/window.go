package record

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/when"
)

// A window is a maintenance window made ready. It remembers the answer that it gave last and
// how long that holds, since it is asked for each result. It is safe for concurrent use.
type window struct {
	vedette.Window
	cron when.Cron
	zone *time.Location
	last atomic.Pointer[answer]
}

// An answer holds in [since, till).
type answer struct {
	open        bool
	since, till time.Time
}

func newWindow(w vedette.Window) (*window, error) {
	own := &window{Window: w, zone: time.UTC}
	if w.Cron == "" {
		if !w.To.After(w.From) {
			return nil, fmt.Errorf("window ends at %s, before it begins", w.To)
		}
		return own, nil
	}
	var err error
	if own.cron, err = when.ParseCron(w.Cron); err != nil {
		return nil, err
	}
	if w.Zone != "" {
		if own.zone, err = time.LoadLocation(w.Zone); err != nil {
			return nil, fmt.Errorf("zone: %w", err)
		}
	}
	if w.For <= 0 {
		return nil, fmt.Errorf("window lasts %s", w.For)
	}
	return own, nil
}

func (w *window) covers(at time.Time) bool {
	if w.Cron == "" {
		return !at.Before(w.From) && at.Before(w.To)
	}
	if a := w.last.Load(); a != nil && !at.Before(a.since) && at.Before(a.till) {
		return a.open
	}
	a := w.ask(at)
	w.last.Store(&a)
	return a.open
}

func (w *window) ask(at time.Time) answer {
	if began, ok := w.cron.Last(at, w.For, w.zone); ok {
		return answer{open: true, since: began, till: began.Add(w.For)}
	}
	if next := w.cron.Next(at, w.zone); !next.IsZero() {
		return answer{since: at, till: next}
	}
	return answer{since: at, till: at.Add(time.Minute)}
}
