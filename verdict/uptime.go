package verdict

import (
	"time"

	"github.com/vedettehq/vedette"
)

// count brings the present hour of s up to at, before the look made at that time is folded:
// what was so until then is what the looks before it said. Time runs forward only; a look from
// before Counted adds nothing here, and is counted when its hour is rolled up.
func count(m *vedette.Monitor, s *vedette.Status, at time.Time) {
	if s.Counted.IsZero() {
		s.Counted = at
		return
	}
	if !at.After(s.Counted) {
		return
	}
	if hour := at.Truncate(time.Hour); s.Counted.Before(hour) {
		s.Spent = vedette.Spent{}
		s.Counted = hour
	}
	s.Spent = s.Spent.Plus(span(m, s.Votes, s.Counted, at))
	s.Counted = at
}

// span says how [from, to) was spent, given what each region saw last. A look speaks for as
// long as it is fresh.
func span(m *vedette.Monitor, votes []vedette.Vote, from, to time.Time) vedette.Spent {
	var s vedette.Spent
	for from.Before(to) {
		until := to
		for i := range votes {
			if end := votes[i].Last.StartedAt.Add(fresh(m)); end.After(from) && end.Before(until) {
				until = end
			}
		}
		add(&s, moment(m, votes, from), until.Sub(from))
		from = until
	}
	return s
}

// moment is the state at a time by the last looks alone, unconfirmed: uptime is what was seen.
func moment(m *vedette.Monitor, votes []vedette.Vote, at time.Time) vedette.State {
	for i := range votes {
		if v := &votes[i]; v.Last.Maintenance && !v.Stale && at.Sub(v.Last.StartedAt) < fresh(m) {
			return vedette.Maintenance
		}
	}
	// At the very end of its time a look has spoken.
	return decide(m, votes, at.Add(1), func(v *vedette.Vote) vedette.State { return v.Last.State })
}

func add(s *vedette.Spent, state vedette.State, d time.Duration) {
	switch state {
	case vedette.Up:
		s.Up += d
	case vedette.Degraded:
		s.Degraded += d
	case vedette.Down:
		s.Down += d
	case vedette.Maintenance:
		s.Maintenance += d
	default:
		s.Unknown += d
	}
}

// Spend says how [from, to) was spent by the results of one monitor, oldest first. They must
// reach back to [Fresh] before from, so that what was so at its beginning is known. Time before
// the first result is not counted.
func Spend(m vedette.Monitor, results []vedette.Result, from, to time.Time) vedette.Spent {
	if len(results) == 0 {
		return vedette.Spent{}
	}
	var (
		spent vedette.Spent
		votes []vedette.Vote
	)
	if first := results[0].StartedAt; first.After(from) {
		from = first
	}
	for _, r := range results {
		if !r.StartedAt.Before(to) {
			break
		}
		if r.StartedAt.After(from) {
			spent = spent.Plus(span(&m, votes, from, r.StartedAt))
			from = r.StartedAt
		}
		votes = see(votes, r)
	}
	if from.Before(to) {
		spent = spent.Plus(span(&m, votes, from, to))
	}
	return spent
}

// see keeps what each region saw last, in place.
func see(votes []vedette.Vote, r vedette.Result) []vedette.Vote {
	i := find(votes, r.Region)
	if i < 0 {
		votes, i = append(votes, vedette.Vote{Region: r.Region}), len(votes)
	}
	if votes[i].Stale = Stale(r); !votes[i].Stale {
		votes[i].Last = r
	}
	return votes
}
