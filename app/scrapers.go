package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/manifest"
	"github.com/vedettehq/vedette/rule"
	"github.com/vedettehq/vedette/schedule"
	"github.com/vedettehq/vedette/when"
)

// A ScraperLine is a line of `vedette scrapers list`.
type ScraperLine struct {
	ID       vedette.ScraperID `json:"id"`
	Name     string            `json:"name"`
	Group    string            `json:"group"`
	Labels   map[string]string `json:"labels"`
	Handler  string            `json:"handler"`
	Schedule ScheduleLine      `json:"schedule"`
	Params   vedette.Raw       `json:"params"` // without secrets
	Priority string            `json:"priority"`
	Queue    string            `json:"queue"`
	Timeout  string            `json:"timeout"`
	Retries  RetriesLine       `json:"retries"`
	Keep     int               `json:"keep"`
	LimitKey string            `json:"limit_key"`
	Limit    int               `json:"limit"`
	Rate     RateLine          `json:"rate"`
	Enabled  bool              `json:"enabled"`

	Origin  string      `json:"origin"` // FILE:LINE of the file that owns it
	Version int64       `json:"version"`
	NextAt  *time.Time  `json:"next_at"` // due next; null is by hand only
	LastAt  *time.Time  `json:"last_at"` // what the schedule fired for last
	Skipped int64       `json:"skipped"` // runs that the overlap policy left out
	Dropped int64       `json:"dropped"` // runs that were too late
	Held    *vedette.ID `json:"held_by"` // the run whose failure holds the schedule
	Next    []time.Time `json:"next,omitempty"`
	Runs    []RunLine   `json:"runs,omitempty"` // the newest first
}

// A RunLine is one of the last runs of a scraper, in a few words.
type RunLine struct {
	Job        vedette.ID       `json:"job"`
	State      vedette.JobState `json:"state"`
	FireAt     *time.Time       `json:"fire_at,omitempty"`
	StartedAt  *time.Time       `json:"started_at,omitempty"`
	FinishedAt *time.Time       `json:"finished_at,omitempty"`
	Result     string           `json:"result,omitempty"`
	Error      string           `json:"error,omitempty"`
}

// A ScheduleLine is a schedule in the words of a file.
type ScheduleLine struct {
	Every          string             `json:"every,omitempty"`
	Cron           string             `json:"cron,omitempty"`
	Calendar       []vedette.Calendar `json:"calendar,omitempty"`
	At             []time.Time        `json:"at,omitempty"`
	Zone           string             `json:"zone,omitempty"`
	From           *time.Time         `json:"from,omitempty"`
	To             *time.Time         `json:"to,omitempty"`
	Overlap        vedette.Overlap    `json:"overlap,omitempty"`
	CatchUp        string             `json:"catch_up,omitempty"`
	Jitter         string             `json:"jitter,omitempty"`
	PauseOnFailure bool               `json:"pause_on_failure,omitempty"`
}

// RetriesLine says how often to try again.
type RetriesLine struct {
	Times int    `json:"times"`
	After string `json:"after,omitempty"`
}

// RateLine says how often runs may start.
type RateLine struct {
	Every string `json:"every,omitempty"`
	Burst int    `json:"burst,omitempty"`
	Key   string `json:"key,omitempty"`
}

// NewScraperLine shows a scraper in the words of a file, without secrets.
func NewScraperLine(s vedette.Scraper) ScraperLine {
	j := s.Job
	return ScraperLine{
		ID: s.ID, Name: s.Name, Group: s.Group, Labels: s.Labels, Handler: j.Handler, Schedule: newScheduleLine(s.Schedule),
		Params: manifest.HideParams(j.Params), Priority: manifest.FormatPriority(j.Priority), Queue: cmp.Or(j.Queue, vedette.DefaultQueue), Timeout: span(j.Timeout),
		Retries: RetriesLine{max(j.MaxAttempts-1, 0), spanOrNone(j.RetryAfter)}, Keep: j.Keep, LimitKey: j.LimitKey, Limit: j.Limit,
		Rate: RateLine{spanOrNone(j.RateEvery), j.RateBurst, j.RateKey}, Enabled: !s.Paused, Origin: s.Origin, Version: s.Version,
	}
}

func newScheduleLine(s vedette.Schedule) ScheduleLine {
	return ScheduleLine{
		Every: spanOrNone(s.Every), Cron: s.Cron, Calendar: s.Calendar, At: s.At, Zone: s.Zone, From: timeOrNil(s.From), To: timeOrNil(s.To),
		Overlap: s.Overlap, CatchUp: spanOrNone(s.CatchUp), Jitter: spanOrNone(s.Jitter), PauseOnFailure: s.PauseOnFailure,
	}
}

// Scrapers returns the scrapers with one of these names or ids, or all, by id, and when each is
// due. It reports ErrNotFound for a name that is none.
func (d *Desk) Scrapers(ctx context.Context, f Filter) ([]ScraperLine, error) {
	cursors, err := d.cursors(ctx)
	if err != nil {
		return nil, err
	}
	var lines []ScraperLine
	found := map[string]bool{}
	err = d.store.scraperShelf().each(ctx, func(s vedette.Scraper) error {
		if f.takes(string(s.ID), s.Meta) {
			found[s.Name], found[string(s.ID)] = true, true
			lines = append(lines, withCursor(NewScraperLine(s), cursors[s.ID]))
		}
		return nil
	})
	for _, name := range f.Names {
		if err == nil && !found[name] {
			_, err = d.Scraper(ctx, name) // which says what was likely meant
		}
	}
	return lines, err
}

func withCursor(l ScraperLine, c vedette.Cursor) ScraperLine {
	l.LastAt, l.Skipped, l.Dropped = timeOrNil(c.Last), c.Skipped, c.Dropped
	if c.Version == l.Version {
		l.NextAt = timeOrNil(c.At)
		if !c.Failed.IsZero() {
			l.Held = &c.Failed
		}
	}
	return l
}

// cursors returns where all schedules stand.
func (d *Desk) cursors(ctx context.Context) (map[vedette.ScraperID]vedette.Cursor, error) {
	const n = 1000
	all := map[vedette.ScraperID]vedette.Cursor{}
	for after := vedette.ScraperID(""); ; {
		page, err := d.store.queue.schedules.List(ctx, after, n)
		if err != nil {
			return nil, fmt.Errorf("list schedules: %w", err)
		}
		for _, c := range page {
			all[c.Scraper], after = c, c.Scraper
		}
		if len(page) < n {
			return all, nil
		}
	}
}

// Scraper returns the scraper with this id or name. It reports ErrNotFound, with what was likely
// meant, and says so if several have the name.
func (d *Desk) Scraper(ctx context.Context, name string) (vedette.Scraper, error) {
	s, err := d.scrapers.Get(ctx, vedette.ScraperID(name))
	if err == nil || !errors.Is(err, vedette.ErrNotFound) {
		return s, err
	}
	var named []vedette.Scraper
	var words []string
	err = d.store.scraperShelf().each(ctx, func(s vedette.Scraper) error {
		if words = append(words, string(s.ID), s.Name); s.Name == name {
			named = append(named, s)
		}
		return nil
	})
	switch {
	case err != nil:
		return s, err
	case len(named) == 1:
		return named[0], nil
	case len(named) > 1:
		ids := make([]string, len(named))
		for i, one := range named {
			ids[i] = string(one.ID)
		}
		return s, fmt.Errorf("%d scrapers have the name %q: name one by its id: %s", len(named), name, strings.Join(ids, ", "))
	}
	return s, notFound("scraper", name, words)
}

// notFound says what was likely meant.
func notFound(noun, name string, words []string) error {
	err := fmt.Errorf("%s %q: %w", noun, name, vedette.ErrNotFound)
	if near := rule.DidYouMean(name, words); strings.HasPrefix(near, "did") {
		return fmt.Errorf("%w: %s", err, near)
	}
	return err
}

// lastRuns is how many runs are shown of a scraper.
const lastRuns = 10

// Upcoming returns a scraper with its next n due times and its last ten runs.
func (d *Desk) Upcoming(ctx context.Context, name string, n int) (ScraperLine, error) {
	s, err := d.Scraper(ctx, name)
	if err != nil {
		return ScraperLine{}, err
	}
	cursors, err := d.cursors(ctx)
	if err != nil {
		return ScraperLine{}, err
	}
	line := withCursor(NewScraperLine(s), cursors[s.ID])
	if plan, err := schedule.Compile(s); err == nil && !s.Paused {
		line.Next = plan.Upcoming(time.Now(), n)
	}
	runs, err := d.jobs.List(ctx, vedette.Job{Scraper: s.ID}, vedette.ID{}, lastRuns)
	if err != nil {
		return line, fmt.Errorf("list jobs: %w", err)
	}
	for _, j := range runs {
		line.Runs = append(line.Runs, RunLine{
			j.ID, j.State, timeOrNil(j.FireAt), timeOrNil(j.StartedAt), timeOrNil(j.FinishedAt), j.Result, j.Error,
		})
	}
	return line, nil
}

// PutScrapers adds scrapers, or replaces those of the same id. Those that a file owns cannot be
// replaced (ErrReadOnly). The mistakes of all of them come at once, as [vedette.Mistakes].
func (d *Desk) PutScrapers(ctx context.Context, scrapers ...vedette.Scraper) error {
	if err := checkScrapers(scrapers...).Err(); err != nil {
		return err
	}
	for _, s := range scrapers {
		if manifest.IsHidden(s.Job.Params) {
			return fmt.Errorf("scraper %q: params hold %s, which stands for a secret: write it out: %w", s.ID, manifest.Hidden, vedette.ErrRefused)
		}
		if err := d.ours(ctx, string(s.ID)); err != nil && !errors.Is(err, vedette.ErrNotFound) {
			return err
		}
	}
	shelf := d.store.scraperShelf()
	shelf.registry = d.scrapers
	return shelf.set(ctx, scrapers...)
}

// ours reports ErrReadOnly for a scraper that a file owns.
func (d *Desk) ours(ctx context.Context, name string) error {
	s, err := d.Scraper(ctx, name)
	if err == nil && s.Origin != "" {
		err = owned(s)
	}
	return err
}

func owned(s vedette.Scraper) error {
	return fmt.Errorf("scraper %q stands in %s: change it there: %w", s.ID, s.Origin, vedette.ErrReadOnly)
}

// changeScraper calls f with a scraper that no file owns, and keeps what becomes of it.
func (d *Desk) changeScraper(ctx context.Context, name string, f func(vedette.Scraper) error) error {
	s, err := d.Scraper(ctx, name)
	if err != nil {
		return err
	}
	if s.Origin != "" {
		return owned(s)
	}
	return f(s)
}

// DeleteScraper drops a scraper. Its runs go on, and its history stays.
func (d *Desk) DeleteScraper(ctx context.Context, name string) error {
	return d.changeScraper(ctx, name, func(s vedette.Scraper) error { return d.scrapers.Delete(ctx, s) })
}

// EnableScraper lets the schedule of a scraper make runs, or none.
func (d *Desk) EnableScraper(ctx context.Context, name string, on bool) error {
	return d.changeScraper(ctx, name, func(s vedette.Scraper) error {
		s.Paused = !on
		return d.scrapers.Put(ctx, s)
	})
}

// span writes a duration as a file does.
func span(d time.Duration) string { return when.FormatDuration(d) }

func spanOrNone(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return span(d)
}
