package vedette

import "time"

// A Status is the verdict on a Monitor. Package verdict derives it from results, one after
// another; nothing else changes it.
type Status struct {
	Monitor MonitorID `json:"monitor"`
	State   State     `json:"state"`
	Since   time.Time `json:"since,omitzero"` // of State
	// Settled is the last confirmed one of up, degraded and down; "" before there was one.
	// It differs from State while that is unknown, maintenance or paused.
	Settled State `json:"settled,omitempty"`
	// Votes holds what each region says, ordered by region.
	Votes []Vote `json:"votes,omitempty"`
	// Incident is the open one, or nil. It is not changed in place.
	Incident *Incident `json:"incident,omitempty"`
	// Muted says why a down opens no incident: the name of the parent that is down. It is
	// "" where nothing hides it.
	Muted string `json:"muted,omitempty"`
	// Spent says how the hour of Counted went, up to Counted.
	Counted time.Time `json:"counted,omitzero"`
	Spent   Spent     `json:"spent"`
	// Seq is that of the last result that advanced the Status.
	Seq int64 `json:"seq"`
	// Version is the writer's: it refuses a Status that was derived from an older one.
	Version int64 `json:"version"`
}

// Last returns the newest result of any region, and false if there is none.
func (s Status) Last() (r Result, ok bool) {
	for _, v := range s.Votes {
		if !ok || v.Last.StartedAt.After(r.StartedAt) {
			r, ok = v.Last, true
		}
	}
	return r, ok
}

// A Tally counts looks until they confirm a change.
type Tally struct {
	State State `json:"state,omitempty"` // confirmed: up, degraded, down; "" before there was one
	// Since is when the first of the looks that confirmed State began.
	Since time.Time `json:"since,omitzero"`
	// Streak is how many looks in a row contradict State, the first of them at StreakSince;
	// while State is down, a Streak is of successes.
	Streak      int       `json:"streak,omitempty"`
	StreakSince time.Time `json:"streak_since,omitzero"`
}

// A Vote is what one region says of a site.
type Vote struct {
	Region string `json:"region,omitempty"`
	Tally
	// Failing is how many looks in a row were down, confirmed or not.
	Failing int `json:"failing,omitempty"`
	// Last is the newest result by (Token, StartedAt, ID), without Evidence, Hops and Addr.
	Last Result `json:"last"`
	// Stale says that no look has come for too long: the vote does not count until one does.
	Stale bool `json:"stale,omitempty"`
}

// Spent is time by state. Seen is the sum of Up, Degraded and Down.
type Spent struct {
	Up          time.Duration `json:"up,omitempty"`
	Degraded    time.Duration `json:"degraded,omitempty"`
	Down        time.Duration `json:"down,omitempty"`
	Unknown     time.Duration `json:"unknown,omitempty"`
	Maintenance time.Duration `json:"maintenance,omitempty"`
}

// Seen is the time that uptime is a share of: unknown and maintenance are left out.
func (s Spent) Seen() time.Duration { return s.Up + s.Degraded + s.Down }

// Uptime is the share of Seen that was not down, and false where nothing was seen.
func (s Spent) Uptime() (float64, bool) {
	if s.Seen() <= 0 {
		return 0, false
	}
	return float64(s.Up+s.Degraded) / float64(s.Seen()), true
}

// Plus returns the sums of s and o, state by state.
func (s Spent) Plus(o Spent) Spent {
	return Spent{
		s.Up + o.Up, s.Degraded + o.Degraded, s.Down + o.Down,
		s.Unknown + o.Unknown, s.Maintenance + o.Maintenance,
	}
}

// An Incident is a time in which a site was down, from the first failure of the looks that
// confirmed it to the first success of those that ended it.
type Incident struct {
	ID      ID        `json:"id"`
	Monitor MonitorID `json:"monitor"`
	Opened  time.Time `json:"opened_at"`
	Closed  time.Time `json:"closed_at,omitzero"` // zero while it is open
	// Reason says why it closed: recovered, paused, removed, maintenance.
	Reason string `json:"reason,omitempty"`
	// Cause is the failure that confirmed it.
	Cause Failure `json:"cause"`
	// Seq is that of the result that opened it, or closed it if it is closed.
	Seq int64 `json:"seq"`
}
