// Package verdict says what follows from results: how many looks confirm a change, what a region
// votes, what the regions together decide, what a parent hides, when an incident opens and
// closes, and how long a site was in which state. It is pure: it reads no clock and keeps no
// state, so that the same results always give the same statuses and incidents.
//
// Package record folds with it for truth; package watch counts with it for the pace of rechecks.
package verdict

import (
	"time"

	"github.com/vedettehq/vedette"
)

// Count folds one look into a tally. A failure while the state is not down, and a success while
// it is, must come c.Down and c.Up times in a row to change the state; up and degraded
// change into each other at once, and the first success ever is believed at once. A look of
// state unknown says nothing and leaves the tally as it is.
func Count(c vedette.Confirm, t vedette.Tally, r vedette.Result) vedette.Tally {
	fails := r.State == vedette.Down
	switch {
	case r.State == vedette.Unknown:
		return t
	case fails == (t.State == vedette.Down) && t.State != "":
		return agree(t, r)
	case t.State == "" && !fails:
		return vedette.Tally{State: r.State, Since: r.StartedAt}
	}
	if t.Streak == 0 {
		t.StreakSince = r.StartedAt
	}
	t.Streak++
	need := c.Up
	if fails {
		need = c.Down
	}
	if t.Streak < need {
		return t
	}
	return vedette.Tally{State: r.State, Since: t.StreakSince}
}

// agree folds a look that is on the same side of down as the state.
func agree(t vedette.Tally, r vedette.Result) vedette.Tally {
	if t.State != r.State {
		return vedette.Tally{State: r.State, Since: r.StartedAt}
	}
	t.Streak, t.StreakSince = 0, time.Time{}
	return t
}

// Confirming reports whether looks contradict the tally's state without having confirmed the
// change: the time to look again sooner.
func Confirming(t vedette.Tally) bool { return t.Streak > 0 }

// Fresh is how long a look speaks for a site: two intervals and a time-out.
func Fresh(m vedette.Monitor) time.Duration { return fresh(&m) }

func fresh(m *vedette.Monitor) time.Duration { return 2*m.Interval + m.Timeout }
