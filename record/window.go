package record

import (
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/when"
)

// A window is a maintenance window made ready. It remembers the answer that it gave last and
// how long that holds, since it is asked for each result.
type window struct {
	vedette.Window
	cron        when.Cron
	zone        *time.Location
	open        bool
	since, till time.Time // open holds in [since, till)
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
	if !at.Before(w.since) && at.Before(w.till) {
		return w.open
	}
	if began, ok := w.cron.Last(at, w.For, w.zone); ok {
		w.open, w.since, w.till = true, began, began.Add(w.For)
		return true
	}
	w.open, w.since, w.till = false, at, at.Add(time.Minute)
	if next := w.cron.Next(at, w.zone); !next.IsZero() {
		w.till = next
	}
	return false
}
