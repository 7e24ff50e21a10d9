package verdict

import (
	"slices"
	"strings"
	"time"

	"github.com/vedettehq/vedette"
)

// A Parent is a monitor that another depends on, and how it does.
type Parent struct {
	Monitor vedette.Monitor
	Status  vedette.Status
}

// An Outcome is what follows from one result.
type Outcome struct {
	Status vedette.Status
	// Result is the result with Seq and Maintenance set. Seq is 0 for one that came late:
	// it is history and changes nothing.
	Result vedette.Result
	// Incident is what the result opened or closed, or nil.
	Incident *vedette.Incident
}

// Fold folds one result into the status of its monitor. Its parents are as they are at that
// time; inWindow says whether the look lies in one of the monitor's maintenance windows.
func Fold(m vedette.Monitor, s vedette.Status, r vedette.Result, inWindow bool, parents []Parent) Outcome {
	s.Votes = slices.Clone(s.Votes) // statuses are values that others hold
	in := FoldInto(&m, &s, &r, inWindow, parents)
	return Outcome{Status: s, Result: r, Incident: in}
}

// FoldInto does what [Fold] does, in place: for those who fold many results and share s.Votes
// with nobody. It returns the incident that r opened or closed, or nil.
func FoldInto(m *vedette.Monitor, s *vedette.Status, r *vedette.Result, inWindow bool, parents []Parent) *vedette.Incident {
	s.Monitor = m.ID
	r.Maintenance = inWindow
	i := find(s.Votes, r.Region)
	if m.Paused || !votes(m, r.Region) || i < 0 && len(s.Votes) == maxVotes || i >= 0 && !newer(r, &s.Votes[i].Last) {
		r.Seq = 0
		return nil
	}
	count(m, s, r.StartedAt)
	s.Seq++
	r.Seq = s.Seq
	i = cast(m, s, i, r)
	before := s.State
	settle(m, s, r)
	if s.State != before {
		s.Since = since(s, &s.Votes[i], before, r)
	}
	return incident(m, s, r, parents)
}

// maxVotes bounds the regions of a monitor that names none: whoever sends results can name any
// number.
const maxVotes = 64

// votes reports whether what a region says of a monitor counts.
func votes(m *vedette.Monitor, region string) bool {
	return len(m.Regions) == 0 || slices.Contains(m.Regions, region)
}

func find(votes []vedette.Vote, region string) int {
	return slices.IndexFunc(votes, func(v vedette.Vote) bool { return v.Region == region })
}

// newer orders results of one region: by token first, so that a watcher whose clock was ahead
// cannot freeze the status when another takes over.
func newer(r, last *vedette.Result) bool {
	if r.Token != last.Token {
		return r.Token > last.Token
	}
	if !r.StartedAt.Equal(last.StartedAt) {
		return r.StartedAt.After(last.StartedAt)
	}
	return string(r.ID[:]) > string(last.ID[:])
}

// cast folds r into the vote at i, or into a new one if i < 0, and returns where it is.
func cast(m *vedette.Monitor, s *vedette.Status, i int, r *vedette.Result) int {
	if i < 0 {
		s.Votes = append(s.Votes, vedette.Vote{Region: r.Region})
		slices.SortFunc(s.Votes, func(a, b vedette.Vote) int { return strings.Compare(a.Region, b.Region) })
		i = find(s.Votes, r.Region)
	}
	v := &s.Votes[i]
	if isStale(r) {
		// The end of a vote is no look: what was seen before it and arrives after it counts.
		v.Stale = true
		return i
	}
	v.Tally, v.Stale = Count(m.Confirm, v.Tally, *r), false
	trim(&v.Last, r)
	switch r.State {
	case vedette.Down:
		v.Failing++
	case vedette.Up, vedette.Degraded:
		v.Failing = 0
	}
	return i
}

// Stale reports whether r is no look but the end of a vote, see [Silence].
func Stale(r vedette.Result) bool { return isStale(&r) }

func isStale(r *vedette.Result) bool {
	return r.Failure != nil && r.Failure.Kind == vedette.KindStale
}

// trim sets last to r without what a status does not keep.
func trim(last, r *vedette.Result) {
	*last = *r
	last.Hops, last.Addr = nil, ""
	if r.Failure != nil && r.Failure.Evidence != nil {
		f := *r.Failure
		f.Evidence = nil
		last.Failure = &f
	}
}

// settle sets the state that the votes give at the time of r.
func settle(m *vedette.Monitor, s *vedette.Status, r *vedette.Result) {
	s.State = decide(m, s.Votes, r.StartedAt, func(v *vedette.Vote) vedette.State { return v.State })
	if s.State != vedette.Unknown {
		s.Settled = s.State
	}
	if r.Maintenance {
		s.State = vedette.Maintenance
	}
}

// decide combines what the fresh votes say: down if at least the quorum of them says so,
// unknown if fewer than the quorum say anything, else the worst of up and degraded.
func decide(m *vedette.Monitor, all []vedette.Vote, at time.Time, say func(*vedette.Vote) vedette.State) vedette.State {
	quorum := max(m.Quorum, 1)
	var known, down, degraded int
	for i := range all {
		v := &all[i]
		if !votes(m, v.Region) || v.Stale || v.Last.State == vedette.Unknown || at.Sub(v.Last.StartedAt) > fresh(m) {
			continue
		}
		switch say(v) {
		case "":
			continue
		case vedette.Down:
			down++
		case vedette.Degraded:
			degraded++
		}
		known++
	}
	switch {
	case known < quorum:
		return vedette.Unknown
	case down >= quorum:
		return vedette.Down
	case down+degraded > 0:
		return vedette.Degraded
	}
	return vedette.Up
}

// since says when a state that r brought about began: with the first of the looks that
// confirmed it, unless something else was so in between. Of several regions it is the one
// that made the quorum.
func since(s *vedette.Status, v *vedette.Vote, before vedette.State, r *vedette.Result) time.Time {
	if before == vedette.Maintenance || s.State == vedette.Maintenance || s.State == vedette.Unknown {
		return r.StartedAt
	}
	if began := v.Since; !began.Before(s.Since) && v.State == s.State {
		return began
	}
	return r.StartedAt
}

// incident opens and closes. It is level-triggered: each look that finds a confirmed down opens
// an incident if none is open and nothing hides it, so that one which a parent hid opens when
// the parent is back and the child is not.
func incident(m *vedette.Monitor, s *vedette.Status, r *vedette.Result, parents []Parent) *vedette.Incident {
	switch s.State {
	case vedette.Up, vedette.Degraded:
		s.Muted = ""
		return closed(s, s.Since, "recovered")
	case vedette.Maintenance:
		s.Muted = ""
		return closed(s, r.StartedAt, "maintenance")
	case vedette.Down:
		if s.Incident != nil {
			break // people know: what is hidden is not told
		}
		if s.Muted = hiddenBy(s, r, parents); s.Muted == "" && r.State == vedette.Down {
			return opened(m, s, r)
		}
	}
	return nil
}

func opened(m *vedette.Monitor, s *vedette.Status, r *vedette.Result) *vedette.Incident {
	// The id is made of the result's, so that a replay gives the same incident.
	in := vedette.Incident{ID: r.ID, Monitor: m.ID, Opened: s.Since, Seq: s.Seq}
	if r.Failure != nil {
		in.Cause = *r.Failure
	}
	s.Incident = &in
	return &in
}

func closed(s *vedette.Status, at time.Time, reason string) *vedette.Incident {
	if s.Incident == nil {
		return nil
	}
	in := *s.Incident
	in.Closed, in.Reason, in.Seq = at, reason, s.Seq
	s.Incident = nil
	return &in
}

// hiddenBy names the parent that hides a down: one that is down itself, or one that may turn
// out to be, because it was not looked at since the child began to fail, or because its own
// looks fail and have not confirmed it yet. Doubt hides no longer than the parent needs to
// be found down.
func hiddenBy(s *vedette.Status, r *vedette.Result, parents []Parent) string {
	for _, p := range parents {
		if p.Monitor.Paused {
			continue
		}
		if p.Status.Settled == vedette.Down && p.Status.State != vedette.Unknown {
			return p.Monitor.Name
		}
		patience := p.Monitor.Interval*time.Duration(max(p.Monitor.Confirm.Down, 1)) + p.Monitor.Timeout
		if r.StartedAt.Sub(s.Since) <= patience && inDoubt(p.Status, s.Since) {
			return p.Monitor.Name
		}
	}
	return ""
}

func inDoubt(parent vedette.Status, failing time.Time) bool {
	last, seen := parent.Last()
	if !seen || last.StartedAt.Before(failing) {
		return true
	}
	return slices.ContainsFunc(parent.Votes, func(v vedette.Vote) bool {
		return v.State != vedette.Down && v.Streak > 0
	})
}
