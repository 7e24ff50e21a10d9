package schedule

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/when"
)

const (
	// shortest is how far apart due times are at least.
	shortest = time.Second
	// longest bounds durations, so that no sum of them and a time overflows.
	longest = 10 * when.Year
	// maxTimes bounds how many times a scraper lists.
	maxTimes = 10_000

	firstYear, lastYear = 1970, 2225 // in which things may be due
)

// A checker finds what is wrong with a scraper, in the order of its keys.
type checker struct {
	scraper vedette.Scraper
	found   vedette.Mistakes
}

func (c *checker) wrong(path, fix, text string, args ...any) {
	c.found = append(c.found, vedette.Mistake{Path: path, Text: fmt.Sprintf(text, args...), Fix: fix})
}

func (c *checker) identity() {
	if c.scraper.ID == "" {
		c.wrong("id", "give it an id that stays", "a scraper needs one, its runs are kept under it")
	}
}

// kind returns when the scraper is due, without From and To, and nil where that is never or not
// to be understood.
func (c *checker) kind(hash uint64) (next func(time.Time) time.Time) {
	s := c.scraper.Schedule
	var first string
	one := func(name string, set bool, compile func() func(time.Time) time.Time) {
		switch {
		case !set:
		case first != "":
			c.wrong("schedule."+name, "keep one of them", "a schedule has one kind, and this one has %s too", first)
			compile() // for the mistakes in it
		default:
			first, next = name, compile()
		}
	}
	zone := c.zone()
	one("every", s.Every != 0, func() func(time.Time) time.Time { return c.beat(hash) })
	one("cron", s.Cron != "", func() func(time.Time) time.Time { return c.cron(zone) })
	one("calendar", len(s.Calendar) > 0, func() func(time.Time) time.Time { return c.calendar(zone) })
	one("at", len(s.At) > 0, c.list)
	return next
}

func (c *checker) beat(hash uint64) func(time.Time) time.Time {
	every := c.scraper.Schedule.Every
	switch {
	case every < shortest || every > longest:
		c.wrong("schedule.every", "", "%s is not from %s to %s", format(every), format(shortest), format(longest))
		return nil
	case every%tick != 0:
		c.wrong("schedule.every", "did you mean "+format(every.Round(tick))+"?", "%s is no whole number of milliseconds", format(every))
		return nil
	}
	return beat(hash, every)
}

func (c *checker) cron(zone *time.Location) func(time.Time) time.Time {
	cron, err := when.ParseCron(c.scraper.Schedule.Cron)
	if err != nil {
		c.wrong("schedule.cron", "", "%v", err)
		return nil
	}
	return func(after time.Time) time.Time { return cron.Next(after, zone) }
}

func (c *checker) calendar(zone *time.Location) func(time.Time) time.Time {
	given := c.scraper.Schedule.Calendar
	patterns := make([]when.Pattern, min(len(given), when.MaxPatterns+1)) // one more is as wrong as many
	for i := range patterns {
		p := given[i]
		patterns[i] = when.Pattern{
			Year: p.Year, Month: p.Month, Day: p.Day, Weekday: p.Weekday,
			Hour: p.Hour, Minute: p.Minute, Second: p.Second, Except: p.Except,
		}
	}
	calendar, err := when.NewCalendar(patterns...)
	if err == nil {
		return func(after time.Time) time.Time { return calendar.Next(after, zone) }
	}
	wrong, _ := errors.AsType[when.PatternErrors](err)
	for _, w := range wrong {
		path := "schedule.calendar"
		if w.Index >= 0 {
			path = fmt.Sprintf("%s[%d].%s", path, w.Index, w.Part)
		}
		c.wrong(path, "", "%s", w.Text)
	}
	return nil
}

func (c *checker) list() func(time.Time) time.Time {
	at := c.scraper.Schedule.At
	if len(at) > maxTimes {
		c.wrong("schedule.at", "list fewer, or use a calendar", "%d times are more than %d", len(at), maxTimes)
		return nil
	}
	for i, t := range at {
		c.year(fmt.Sprintf("schedule.at[%d]", i), t)
	}
	return list(at)
}

// zone returns that of the schedule, and UTC for one that is wrong.
func (c *checker) zone() *time.Location {
	name := c.scraper.Schedule.Zone
	loc, err := time.LoadLocation(name)
	switch {
	case name == "Local":
		c.wrong("schedule.zone", "name the zone, as in Europe/Berlin", "Local is another zone on each machine")
	case err != nil:
		c.wrong("schedule.zone", "use a name of the IANA database, as in Europe/Berlin", "%q is no time zone", name)
	default:
		return loc
	}
	return time.UTC
}

func (c *checker) bounds() {
	s := c.scraper.Schedule
	c.year("schedule.from", s.From)
	c.year("schedule.to", s.To)
	if !s.From.IsZero() && !s.To.IsZero() && !s.From.Before(s.To) {
		c.wrong("schedule.to", "swap them?", "%s is not after from, so that it is never due", s.To.Format(time.RFC3339))
	}
}

func (c *checker) year(path string, t time.Time) {
	if y := t.UTC().Year(); !t.IsZero() && (y < firstYear || y > lastYear) {
		c.wrong(path, "", "the year %d is not in %d-%d", y, firstYear, lastYear)
	}
}

func (c *checker) policies() {
	s := c.scraper.Schedule
	c.duration("schedule.jitter", s.Jitter)
	switch s.Overlap {
	case "", vedette.Skip, vedette.BufferOne, vedette.BufferAll,
		vedette.CancelOther, vedette.TerminateOther, vedette.AllowAll:
	default:
		c.wrong("schedule.overlap", "want skip, buffer_one, buffer_all, cancel_other, terminate_other or allow_all",
			"%q is no policy", s.Overlap)
	}
	c.duration("schedule.catch_up", s.CatchUp)
	if s.CatchUp > 0 && s.CatchUp < shortest {
		c.wrong("schedule.catch_up", "leave it out for "+format(time.Minute),
			"%s is less than %s, which is as late as any run may be", format(s.CatchUp), format(shortest))
	}
}

// job checks what each run starts from.
func (c *checker) job() {
	j := c.scraper.Job
	if j.Handler == "" {
		c.wrong("job.handler", "name the handler", "a run needs one")
	}
	if j.Params != nil && !json.Valid(j.Params) {
		c.wrong("job.params", "", "they are no JSON")
	}
	c.duration("job.timeout", j.Timeout)
	c.count("job.max_attempts", j.MaxAttempts)
	c.duration("job.retry_after", j.RetryAfter)
	c.count("job.keep", j.Keep)
	if j.Unique != "" {
		c.wrong("job.unique", "say it with schedule.overlap", "it is the schedule's to set")
	}
	if j.UniqueWaiting != "" {
		c.wrong("job.unique_waiting", "say it with schedule.overlap", "it is the schedule's to set")
	}
	c.limits()
}

// limits checks those of the job, where the overlap policy leaves them to it.
func (c *checker) limits() {
	j, overlap := c.scraper.Job, c.scraper.Schedule.Overlap
	free := overlap == "" || overlap == vedette.Skip || overlap == vedette.AllowAll
	switch limited := j.LimitKey != "" || j.Limit != 0; {
	case limited && (j.LimitKey == "" || j.Limit == 0):
		c.wrong("job.limit", "set both or none", "a limit goes with its limit_key")
	case limited && !free:
		c.wrong("job.limit_key", "use another overlap, or a rate", "overlap %s needs the limit for itself", overlap)
	}
	c.count("job.limit", j.Limit)
	if (j.RateKey == "") != (j.RateEvery == 0) {
		c.wrong("job.rate_every", "set both or none", "a rate goes with its rate_key")
	}
	c.duration("job.rate_every", j.RateEvery)
	c.count("job.rate_burst", j.RateBurst)
}

func (c *checker) duration(path string, d time.Duration) {
	if d < 0 || d > longest {
		c.wrong(path, "", "%s is not from 0s to %s", format(d), format(longest))
	}
}

func (c *checker) count(path string, n int) {
	if n < 0 {
		c.wrong(path, "", "%d is negative", n)
	}
}

func format(d time.Duration) string { return when.FormatDuration(d) }
