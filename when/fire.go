package when

import (
	"sort"
	"time"
)

// A dial tells civil times, which stand in UTC whatever zone is meant.
type dial interface {
	// civil returns the first civil time at or after from, and false if there is none within
	// so long.
	civil(from time.Time, within time.Duration) (time.Time, bool)
	// fixed says that the dial names times of day, each of which is once a day, rather than
	// steps of elapsed time.
	fixed() bool
	horizon() time.Duration
}

// Next returns the first time after the given one at which c is due in loc, and the zero time
// if there is none within 5 years.
//
// Clock changes are treated as ISC cron does. Where neither the minute nor the hour begins with
// a star, c names fixed times of day: one that the clocks skip in spring is due at the moment
// they jump, and one that they show twice in autumn is due the first time only. Otherwise c is
// due by elapsed time, whenever the clock shows it.
func (c Cron) Next(after time.Time, loc *time.Location) time.Time { return walk(c, after, loc) }

func (c Cron) fixed() bool { return !c.wild }

// horizon bounds the search. Every day that exists comes back within it, but for 29 February
// over the turn of a century that has none.
func (c Cron) horizon() time.Duration { return 5 * Year }

// walk returns the first time after the given one at which d is due in loc, going from clock
// change to clock change, and the zero time if there is none within d's horizon.
func walk[D dial](d D, after time.Time, loc *time.Location) time.Time {
	horizon, fixed := d.horizon(), d.fixed()
	limit := after.Add(horizon)
	for t := after.Truncate(time.Second).Add(time.Second).In(loc); !t.After(limit); {
		start, end := t.ZoneBounds()
		from := clockFace(t, t)
		if fixed && !start.IsZero() {
			jumped := clockFace(start, start.Add(-time.Second)) // what the clock would show without the change
			if t.Equal(start) && skipped(d, jumped, from) {
				return t
			}
			if jumped.After(from) {
				from = jumped
			}
		}
		due, ok := d.civil(from, horizon)
		if !ok {
			return time.Time{}
		}
		at := t.Add(due.Sub(clockFace(t, t)))
		if end.IsZero() || at.Before(end) {
			if at.After(limit) {
				break
			}
			return at
		}
		t = end
		if near := at.Add(-offsets); fixed && near.After(end) {
			t = near // the changes until then neither skip nor repeat what is due
		}
	}
	return time.Time{}
}

// offsets is more than any two offsets of one zone differ by.
const offsets = 2 * Day

// Last returns the last time in (at-within, at] at which c was due in loc, and false if it was
// not.
func (c Cron) Last(at time.Time, within time.Duration, loc *time.Location) (time.Time, bool) {
	from := at.Add(-within)
	due := func(after time.Time) bool {
		next := c.Next(after, loc)
		return !next.IsZero() && !next.After(at)
	}
	if !due(from) {
		return time.Time{}, false
	}
	n := sort.Search(int(within/time.Second)+1, func(s int) bool {
		return !due(from.Add(time.Duration(s) * time.Second))
	})
	return c.Next(from.Add(time.Duration(n-1)*time.Second), loc), true
}

// skipped reports whether d has a civil time in [from, to).
func skipped[D dial](d D, from, to time.Time) bool {
	due, ok := d.civil(from, to.Sub(from))
	return ok && due.Before(to)
}

// clockFace returns the civil time that a clock set as in the place and at the time of zone
// shows at t, standing in UTC.
func clockFace(t, zone time.Time) time.Time {
	_, offset := zone.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}
