package verdict

import (
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
)

// Pause ends the verdict on a monitor that is no longer looked at; Remove that on one that is
// gone. An open incident closes with the reason. What was counted is forgotten; the last looks
// stay, so that late ones are known as such.
func Pause(s vedette.Status, at time.Time) Outcome { return end(s, at, "paused") }

// Remove is described with [Pause].
func Remove(s vedette.Status, at time.Time) Outcome { return end(s, at, "removed") }

func end(s vedette.Status, at time.Time, reason string) Outcome {
	s.Seq++
	s = forget(s, vedette.Paused, at)
	in := closed(&s, at, reason)
	return Outcome{Status: s, Incident: in}
}

// Resume begins a verdict anew on a monitor that is looked at again.
func Resume(s vedette.Status, at time.Time) vedette.Status {
	s.Seq++
	return forget(s, vedette.Unknown, at)
}

func forget(s vedette.Status, now vedette.State, at time.Time) vedette.Status {
	votes := make([]vedette.Vote, len(s.Votes))
	for i, v := range s.Votes {
		votes[i] = vedette.Vote{Region: v.Region, Last: v.Last, Stale: true}
	}
	s.Votes, s.State, s.Since, s.Settled, s.Muted = votes, now, at, "", ""
	return s
}

// Silence returns the results that end the votes which no look has renewed for too long, one a
// region. They are folded like any other.
func Silence(m vedette.Monitor, s vedette.Status, now time.Time) []vedette.Result {
	if m.Paused {
		return nil
	}
	var ends []vedette.Result
	for _, v := range s.Votes {
		quiet := now.Sub(v.Last.StartedAt)
		if v.Stale || !votes(&m, v.Region) || quiet <= Fresh(m) {
			continue
		}
		at := now.Truncate(time.Microsecond)
		ends = append(ends, vedette.Result{
			ID: vedette.NewID(at), Monitor: m.ID, Revision: m.Version, Region: v.Region, Token: v.Last.Token,
			DueAt: at, StartedAt: at, State: vedette.Unknown,
			Failure: &vedette.Failure{
				Kind:    vedette.KindStale,
				Message: fmt.Sprintf("no result for %s", quiet.Round(time.Second)),
			},
		})
	}
	return ends
}
