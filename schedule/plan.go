package schedule

import (
	"cmp"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/when"
)

// tick is what due times are whole multiples of. It is the coarsest that a store keeps.
const tick = time.Millisecond

// A Plan is a scraper whose schedule was understood. It is safe for concurrent use.
type Plan struct {
	scraper vedette.Scraper
	hash    uint64
	every   time.Duration             // of that kind, else 0
	next    func(time.Time) time.Time // whatever From and To say; nil is by hand only
	catchUp time.Duration
	overlap vedette.Overlap
}

// Compile returns the plan of s, or all that is wrong with s as [vedette.Mistakes], whose paths
// are those of the scraper's JSON, as in "schedule.cron".
func Compile(s vedette.Scraper) (*Plan, error) {
	p := &Plan{
		scraper: s,
		hash:    s.ID.Hash(),
		catchUp: cmp.Or(s.Schedule.CatchUp, time.Minute),
		overlap: cmp.Or(s.Schedule.Overlap, vedette.Skip),
	}
	c := checker{scraper: s}
	c.identity()
	p.next = c.kind(p.hash)
	p.every = s.Schedule.Every
	c.bounds()
	c.policies()
	c.job()
	if err := c.found.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

// Scraper returns what p was compiled from.
func (p *Plan) Scraper() vedette.Scraper { return p.scraper }

// Next returns the first due time after the given one, in UTC, and the zero time if there is
// none. Whether the scraper is paused makes no difference.
func (p *Plan) Next(after time.Time) time.Time {
	if p.next == nil {
		return time.Time{}
	}
	from := time.Unix(0, 0)
	if p.scraper.Schedule.From.After(from) {
		from = p.scraper.Schedule.From
	}
	if after.Before(from) {
		after = from.Add(-1)
	}
	if after.Year() > lastYear {
		return time.Time{}
	}
	at := p.next(after)
	if to := p.scraper.Schedule.To; !to.IsZero() && !at.Before(to) {
		return time.Time{}
	}
	return at.UTC()
}

// Upcoming returns the next n due times after the given one, or as many as there are.
func (p *Plan) Upcoming(after time.Time, n int) []time.Time {
	var due []time.Time
	for at := p.Next(after); !at.IsZero() && len(due) < n; at = p.Next(at) {
		due = append(due, at)
	}
	return due
}

// RunAt returns when the run for a due time may begin: later than due by a part of the jitter,
// and before the next due time, so that runs keep their order. It follows from the scraper and
// the time alone.
func (p *Plan) RunAt(due time.Time) time.Time {
	if p.scraper.Schedule.Jitter == 0 {
		return due
	}
	return p.runAt(due, p.Next(due))
}

func (p *Plan) runAt(due, next time.Time) time.Time {
	within := p.scraper.Schedule.Jitter
	if !next.IsZero() {
		within = min(within, next.Sub(due))
	}
	if within == 0 {
		return due
	}
	return due.Add(when.Jitter(p.hash, due, within).Truncate(tick))
}

// beat is due at each k*every+phase.
func beat(hash uint64, every time.Duration) func(time.Time) time.Time {
	phase := when.Phase(hash, every).Truncate(tick)
	return func(after time.Time) time.Time { return when.Next(after, every, phase) }
}

// list is due at each of these times, or at the whole second that follows it: none comes too
// early for a From that is the same.
func list(at []time.Time) func(time.Time) time.Time {
	due := make([]time.Time, len(at))
	for i, t := range at {
		due[i] = t.Add(time.Second - 1).Truncate(time.Second)
	}
	slices.SortFunc(due, time.Time.Compare)
	due = slices.CompactFunc(due, time.Time.Equal)
	return func(after time.Time) time.Time {
		i, found := slices.BinarySearchFunc(due, after, time.Time.Compare)
		if found {
			i++
		}
		if i == len(due) {
			return time.Time{}
		}
		return due[i]
	}
}
