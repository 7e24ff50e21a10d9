package schedule

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
)

// A Request is what becomes of runs that a person asks for. It is carried out by
// [vedette.Jobs]: Cancel first, then Push; what Push refuses came too late, and
// [vedette.ErrExists] is the answer.
type Request struct {
	Cancel []vedette.ID
	Push   []vedette.Job
	// Skipped counts due times that the overlap policy leaves out.
	Skipped int64
	// Next is where to go on, with another call, after a bounded piece of work; zero is done.
	Next time.Time
}

// Trigger asks for a run now, under an id that whoever asks has made, so that asking twice is
// harmless. The run obeys the overlap policy, given the live jobs of the scraper: it is
// [vedette.ErrExists] where the schedule's own would be skipped. Where it replaces others they are
// cancelled, and it waits for their end, since none but the leader takes a claim from its owner.
func (p *Plan) Trigger(id vedette.ID, now time.Time, live ...vedette.Job) (Request, error) {
	t := turn{plan: p, overlap: asked(p.overlap), live: live, now: now}
	if !t.allows() {
		return Request{}, fmt.Errorf("trigger %s: overlap %s: %w", p.scraper.ID, p.overlap, vedette.ErrExists)
	}
	t.add(p.blank(id, now.UTC().Truncate(tick)))
	cancel, _ := t.end()
	return Request{Cancel: cancel, Push: t.push}, nil
}

// A Backfill asks for the runs of the due times in [From, To) that have come.
type Backfill struct {
	ID       vedette.ID // names the request, so that asking twice is harmless
	From, To time.Time
	Overlap  vedette.Overlap // "" is the schedule's
}

// Backfill asks for runs of a span of due times, whether they were fired or not. They run as
// soon as a worker is free and have neither jitter nor a catch-up window. They obey the overlap policy
// as those of [Plan.Trigger] do; skip, for one, lets the first of them run, and none if one lives:
// who wants them all says buffer_all. It reports [vedette.ErrRefused] for a span without due
// times, and for a policy that does not exist or that the scraper's own limit stands against.
func (p *Plan) Backfill(b Backfill, now time.Time, live ...vedette.Job) (Request, error) {
	t, err := p.span(b, now, live)
	if err != nil {
		return Request{}, fmt.Errorf("backfill %s: %w", p.scraper.ID, err)
	}
	if b.To.After(now) {
		b.To = now
	}
	at := p.Next(b.From.Add(-1))
	for n := 0; n < looks && len(t.push) < runsAtOnce && !at.IsZero() && at.Before(b.To); n++ {
		if t.allows() {
			t.add(p.blank(derived(b.ID, p.hash, at), at))
		}
		at = p.Next(at)
	}
	r := Request{Push: t.push, Skipped: t.skipped}
	if !at.IsZero() && at.Before(b.To) {
		r.Next = at
	}
	if len(r.Push) == 0 {
		err := vedette.ErrExists
		if r.Skipped == 0 {
			err = fmt.Errorf("nothing is due from %s to %s: %w", b.From.Format(time.RFC3339), b.To.Format(time.RFC3339), vedette.ErrRefused)
		}
		return Request{}, fmt.Errorf("backfill %s: %w", p.scraper.ID, err)
	}
	r.Cancel, _ = t.end()
	return r, nil
}

// span checks what b asks for.
func (p *Plan) span(b Backfill, now time.Time, live []vedette.Job) (turn, error) {
	t := turn{plan: p, overlap: asked(p.overlap), live: live, now: now}
	if b.Overlap == "" {
		return t, nil
	}
	s := p.scraper
	s.Schedule.Overlap = b.Overlap
	c := checker{scraper: s}
	c.policies()
	c.job()
	if err := c.found.Err(); err != nil {
		return t, fmt.Errorf("%w: %w", vedette.ErrRefused, err)
	}
	t.overlap = asked(b.Overlap)
	return t, nil
}

// asked returns the policy for runs that others than the leader push.
func asked(o vedette.Overlap) vedette.Overlap {
	if o == vedette.TerminateOther {
		return vedette.CancelOther
	}
	return o
}

// derived returns the ID of one run of a request: it begins as the request's does, sorts by due
// time, and ends with bits of the request and the scraper. Milliseconds take 43 bits until 2248.
func derived(request vedette.ID, hash uint64, due time.Time) vedette.ID {
	const rest = 1<<19 - 1
	own := (binary.BigEndian.Uint64(request[8:]) ^ hash) & rest
	id := request
	ms := uint64(due.UnixMilli()) //nolint:gosec // nothing is due before 1970
	binary.BigEndian.PutUint64(id[8:], 0x8000000000000000|ms<<19|own)
	return id
}
