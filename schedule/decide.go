package schedule

import (
	"time"

	"github.com/vedettehq/vedette"
)

const (
	// runsAtOnce is how many runs one decision pushes at most. What is due beyond it stays due.
	runsAtOnce = 1000
	// looks is how many due times one decision considers at most.
	looks = 10_000
)

// Decide says what is to be done with a cursor as it was read, its Live jobs included, at the
// present time by the store's clock. Its due times up to now become runs, but for those that are
// later than the catch-up allows and those that the overlap policy leaves out: these are counted.
// What is more than a bounded piece of work stays due, and the cursor stands there.
//
// A cursor of another Version is reckoned anew from now on, and nothing is fired for what lay
// before; but a due time that both versions know, and that was not fired yet, is. While the
// scraper is paused nothing is due, and nothing is counted; while the cursor names a run that
// Failed, the due times of a scraper with PauseOnFailure pass the same way.
func (p *Plan) Decide(c vedette.Cursor, now time.Time) vedette.Firing {
	live := c.Live
	c.Live = nil
	f := vedette.Firing{Scraper: p.scraper.ID, Was: c, Now: c}
	f.Now.Scraper, f.Now.Version = p.scraper.ID, p.scraper.Version
	if c.Version != p.scraper.Version {
		f.Now.Since, f.Now.Failed = now.Truncate(tick), vedette.ID{}
	}
	switch {
	case p.scraper.Paused:
		f.Now.At = time.Time{}
	case c.At.IsZero(), c.Version != p.scraper.Version && !p.due(c.At, now):
		f.Now.At = p.Next(now)
	case p.scraper.Schedule.PauseOnFailure && !f.Now.Failed.IsZero():
		f.Now.At = p.Next(now)
	default:
		p.fire(&f, live, now)
	}
	return f
}

// Drop says to forget the cursor of a scraper that is gone. Its live runs go on.
func Drop(c vedette.Cursor) vedette.Firing {
	c.Live = nil
	return vedette.Firing{Scraper: c.Scraper, Was: c}
}

// Rest says to let a cursor stand still while its scraper is of this version: one that does not
// compile.
func Rest(c vedette.Cursor, version int64) vedette.Firing {
	c.Live = nil
	f := vedette.Firing{Scraper: c.Scraper, Was: c, Now: c}
	f.Now.Version, f.Now.At = version, time.Time{}
	return f
}

// due reports whether at is a due time of p that has come.
func (p *Plan) due(at, now time.Time) bool {
	return !at.IsZero() && !at.After(now) && p.Next(at.Add(-1)).Equal(at)
}

// fire takes what is due from the cursor on.
func (p *Plan) fire(f *vedette.Firing, live []vedette.Job, now time.Time) {
	cut := now.Add(-p.catchUp)
	at, late := p.leap(f.Was.At, cut.Add(-p.scraper.Schedule.Jitter))
	t := turn{plan: p, overlap: p.overlap, live: live, now: now}
	for n := 0; n < looks && len(t.push) < runsAtOnce && !at.IsZero() && !at.After(now); n++ {
		next := p.Next(at)
		if run := p.runAt(at, next); run.Before(cut) {
			late++
		} else if t.allows() {
			t.add(p.run(vedette.NewID(t.stamp()), at, run))
		}
		at = next
	}
	f.Now.At = at
	f.Now.Dropped += late
	f.Now.Skipped += t.skipped
	f.Push = t.push
	f.Cancel, f.Terminate = t.end()
	if n := len(t.push); n > 0 {
		f.Now.Last = t.push[n-1].FireAt
	}
}

// leap passes over what is due before a time, at once where that is reckoned instead of tried, and
// counts it.
func (p *Plan) leap(at, before time.Time) (time.Time, int64) {
	if to := p.scraper.Schedule.To; !to.IsZero() && to.Before(before) {
		before = to
	}
	gap := before.Sub(at)
	if p.every == 0 || at.IsZero() || gap <= 0 {
		return at, 0
	}
	n := int64((gap-1)/p.every) + 1
	return p.Next(at.Add(time.Duration(n)*p.every - 1)), n
}

// run returns the run that the schedule fires for a due time, without the keys of its policy.
func (p *Plan) run(id vedette.ID, due, at time.Time) vedette.Job {
	j := p.blank(id, due)
	j.Fired, j.RunAt = true, at
	return j
}

// blank returns what each run of the scraper starts from.
func (p *Plan) blank(id vedette.ID, due time.Time) vedette.Job {
	s := p.scraper.Job
	return vedette.Job{
		ID: id, Scraper: p.scraper.ID, FireAt: due,
		Handler: s.Handler, Params: s.Params, Queue: s.Queue, Priority: s.Priority,
		Timeout: s.Timeout, MaxAttempts: s.MaxAttempts, RetryAfter: s.RetryAfter, Keep: s.Keep,
		LimitKey: s.LimitKey, Limit: s.Limit,
		RateKey: s.RateKey, RateEvery: s.RateEvery, RateBurst: s.RateBurst,
	}
}
