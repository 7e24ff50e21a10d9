package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/record"
	"github.com/vedettehq/vedette/sketch"
)

// errEnough ends the reading of pages before the last.
var errEnough = errors.New("enough")

// A View reads a store for people. Make it with [OpenView].
type View struct{ store *store }

// OpenView opens a store for reading, beside the process that owns it. There must be one.
func OpenView(ctx context.Context, url string, log *slog.Logger) (*View, error) {
	s, err := open(ctx, url, look, log)
	if err != nil {
		return nil, err
	}
	if !s.keepsResults() {
		return nil, errors.Join(errKeepsNone, s.close())
	}
	return &View{s}, nil
}

// View reads the app's own store.
func (a *App) View() *View { return &View{a.store} }

// Close closes the store.
func (v *View) Close() error { return v.store.close() }

// A Filter chooses monitors or scrapers: those with one of the names or ids, of the group, in the state.
// What is empty does not restrict.
type Filter struct {
	Names []string
	Group string
	State vedette.State
}

// takes reports whether f chooses a thing of this id.
func (f Filter) takes(id string, m vedette.Meta) bool {
	named := len(f.Names) == 0 || slices.Contains(f.Names, m.Name) || slices.Contains(f.Names, id)
	return named && (f.Group == "" || f.Group == m.Group)
}

// restricts reports whether f leaves out monitors by what they are.
func (f Filter) restricts() bool { return len(f.Names) > 0 || f.Group != "" }

// unknown returns an error that names those of f.Names that no monitor has, or the group that has none.
func (f Filter) unknown(found []vedette.Monitor) error {
	var missing []string
	for _, n := range f.Names {
		if !slices.ContainsFunc(found, func(m vedette.Monitor) bool { return m.Name == n || string(m.ID) == n }) {
			missing = append(missing, n)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("monitor %q: %w", strings.Join(missing, ", "), vedette.ErrNotFound)
	}
	if f.Group != "" && len(found) == 0 {
		return fmt.Errorf("group %q: %w", f.Group, vedette.ErrNotFound)
	}
	return nil
}

// A MonitorStatus is a line of `vedette status`.
type MonitorStatus struct {
	ID          vedette.MonitorID `json:"id"`
	Name        string            `json:"name"`
	Group       string            `json:"group"`
	URL         string            `json:"url"`
	State       vedette.State     `json:"state"`
	Since       *time.Time        `json:"since"`
	CheckedAt   *time.Time        `json:"checked_at"`
	Code        int               `json:"code"`
	DurationMS  float64           `json:"duration_ms"`
	Failing     int               `json:"failing"` // looks in a row that were down
	FailureKind vedette.Kind      `json:"failure_kind"`
	Failure     string            `json:"failure"`
	Muted       string            `json:"muted,omitempty"`      // the parent that hides it
	Regions     map[string]string `json:"regions,omitempty"`    // how it does as each region sees it
	Uptime24h   *float64          `json:"uptime_24h"`           // 0 to 1, by time; null where nothing is known
	P50MS       float64           `json:"p50_24h_ms,omitempty"` // of the hours that ended
	P95MS       float64           `json:"p95_24h_ms,omitempty"`
	P99MS       float64           `json:"p99_24h_ms,omitempty"`
}

// Status returns how the monitors do, by id. It reports ErrNotFound for a name that is none.
func (v *View) Status(ctx context.Context, f Filter) ([]MonitorStatus, error) {
	monitors, err := v.choose(ctx, f)
	if err != nil {
		return nil, err
	}
	var ids []vedette.MonitorID
	if len(f.Names) > 0 || f.Group != "" {
		for _, m := range monitors {
			ids = append(ids, m.ID)
		}
		if len(ids) == 0 {
			return nil, nil
		}
	}
	statuses, err := v.store.reader.Latest(ctx, ids...)
	if err != nil {
		return nil, fmt.Errorf("read statuses: %w", err)
	}
	byID := make(map[vedette.MonitorID]vedette.Status, len(statuses))
	for _, s := range statuses {
		byID[s.Monitor] = s
	}
	now := time.Now()
	hours, err := v.hours(ctx, now, ids)
	if err != nil {
		return nil, err
	}
	var lines []MonitorStatus
	for _, m := range monitors {
		line, err := statusLine(m, byID[m.ID], hours[m.ID], now)
		if err != nil {
			return nil, err
		}
		if f.State == "" || f.State == line.State {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

func (v *View) choose(ctx context.Context, f Filter) ([]vedette.Monitor, error) {
	var chosen []vedette.Monitor
	err := v.store.monitorShelf().each(ctx, func(m vedette.Monitor) error {
		if f.takes(string(m.ID), m.Meta) {
			chosen = append(chosen, m)
		}
		return nil
	})
	return chosen, errors.Join(err, f.unknown(chosen))
}

// hours reads the rollups of the last day's hours that ended.
func (v *View) hours(ctx context.Context, now time.Time, ids []vedette.MonitorID) (map[vedette.MonitorID][]vedette.Rollup, error) {
	hour := now.Truncate(time.Hour)
	rolls, err := v.store.reader.Rollups(ctx, vedette.Hourly, hour.Add(-23*time.Hour), hour, ids...)
	if err != nil {
		return nil, fmt.Errorf("read rollups: %w", err)
	}
	by := make(map[vedette.MonitorID][]vedette.Rollup)
	for _, r := range rolls {
		by[r.Monitor] = append(by[r.Monitor], r)
	}
	return by, nil
}

func statusLine(m vedette.Monitor, s vedette.Status, hours []vedette.Rollup, now time.Time) (MonitorStatus, error) {
	line := MonitorStatus{ID: m.ID, Name: m.Name, Group: m.Group, URL: MaskURL(m.URL), State: vedette.Unknown, Muted: s.Muted}
	if s.State != "" {
		line.State = s.State
	}
	if m.Paused {
		line.State = vedette.Paused // the recorder may not have heard yet
	}
	line.Since, line.Regions = timeOrNil(s.Since), regionsOf(s)
	if last, ok := s.Last(); ok {
		line.CheckedAt, line.Code, line.DurationMS = timeOrNil(last.StartedAt), last.Code, millis(last.Phases.Total())
		if last.Failure != nil {
			line.FailureKind, line.Failure = last.Failure.Kind, last.Failure.Message
		}
	}
	for _, v := range s.Votes {
		line.Failing = max(line.Failing, v.Failing)
	}
	day, err := record.Merge(hours...)
	if err != nil {
		return line, err
	}
	if s.Counted.Truncate(time.Hour).Equal(now.Truncate(time.Hour)) {
		day.Spent = day.Spent.Plus(s.Spent)
	}
	if up, ok := day.Spent.Uptime(); ok {
		line.Uptime24h = &up
	}
	return line, line.quantiles(day.Latency)
}

func (line *MonitorStatus) quantiles(latency []byte) error {
	if len(latency) == 0 {
		return nil
	}
	var s sketch.Sketch
	if err := s.UnmarshalBinary(latency); err != nil {
		return fmt.Errorf("latency of %q: %w", line.ID, err)
	}
	if s.Count() > 0 {
		line.P50MS, line.P95MS, line.P99MS = millis(s.Quantile(0.5)), millis(s.Quantile(0.95)), millis(s.Quantile(0.99))
	}
	return nil
}

// A ResultLine is a line of `vedette results`.
type ResultLine struct {
	ID          vedette.ID        `json:"id"`
	Monitor     vedette.MonitorID `json:"monitor"`
	URL         string            `json:"url"`
	Region      string            `json:"region,omitempty"`
	DueAt       time.Time         `json:"due_at"`
	StartedAt   time.Time         `json:"started_at"`
	State       vedette.State     `json:"state"`
	Code        int               `json:"code"`
	DurationMS  float64           `json:"duration_ms"`
	PhasesMS    PhasesMS          `json:"phases_ms"`
	FailureKind vedette.Kind      `json:"failure_kind"`
	Failure     string            `json:"failure"`
	Maintenance bool              `json:"maintenance,omitempty"`
	Seq         int64             `json:"seq"`
	Hops        []vedette.Hop     `json:"hops,omitempty"`
	Evidence    *vedette.Evidence `json:"evidence,omitempty"`
}

// PhasesMS is a look's phases in milliseconds, to the microsecond.
type PhasesMS struct {
	DNS      float64 `json:"dns"`
	Connect  float64 `json:"connect"`
	TLS      float64 `json:"tls"`
	Request  float64 `json:"request"`
	TTFB     float64 `json:"ttfb"`
	Transfer float64 `json:"transfer"`
}

// NewResultLine shows a result; url is its monitor's.
func NewResultLine(r vedette.Result, url string) ResultLine {
	p := r.Phases
	line := ResultLine{
		ID: r.ID, Monitor: r.Monitor, URL: MaskURL(url), Region: r.Region, DueAt: r.DueAt.UTC(), StartedAt: r.StartedAt.UTC(),
		State: r.State, Code: r.Code, DurationMS: millis(p.Total()),
		PhasesMS:    PhasesMS{millis(p.DNS), millis(p.Connect), millis(p.TLS), millis(p.Request), millis(p.TTFB), millis(p.Transfer)},
		Maintenance: r.Maintenance, Seq: r.Seq, Hops: r.Hops,
	}
	if r.Failure != nil {
		line.FailureKind, line.Failure, line.Evidence = r.Failure.Kind, r.Failure.Message, r.Failure.Evidence
	}
	return line
}

// Results calls f with results, oldest first, or newest first with s.Newest, until it returns an
// error. s.N 0 means all.
func (v *View) Results(ctx context.Context, filter Filter, s vedette.Span, f func(ResultLine) error) error {
	monitors, err := v.choose(ctx, filter)
	if err != nil {
		return err
	}
	urls := make(map[vedette.MonitorID]string, len(monitors))
	for _, m := range monitors {
		urls[m.ID] = m.URL
	}
	left := s.N
	show := func(r vedette.Result) error {
		url, chosen := urls[r.Monitor]
		if !chosen && filter.restricts() {
			return nil
		}
		if err := f(NewResultLine(r, url)); err != nil {
			return err
		}
		if left--; left == 0 {
			return errEnough
		}
		return nil
	}
	var id vedette.MonitorID
	switch {
	case len(filter.Names) == 1 && len(monitors) == 1:
		id = monitors[0].ID
	case filter.restricts():
		s.N = 0 // the first s.N may all be others
	}
	if err := v.page(ctx, id, s, show); !errors.Is(err, errEnough) {
		return err
	}
	return nil
}

// page reads history page by page.
func (v *View) page(ctx context.Context, id vedette.MonitorID, s vedette.Span, f func(vedette.Result) error) error {
	const most = 100_000 // of all monitors a page reads whole minutes, so few large ones are cheap
	left := s.N
	if left <= 0 {
		left = math.MaxInt
	}
	for left > 0 {
		s.N = min(left, most)
		results, err := v.store.reader.History(ctx, id, s)
		if err != nil {
			return fmt.Errorf("read results: %w", err)
		}
		for _, r := range results {
			if err := f(r); err != nil {
				return err
			}
		}
		if len(results) < s.N {
			return nil
		}
		left -= len(results)
		s.After = results[len(results)-1].ID
	}
	return nil
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Verdicts returns all monitors and all statuses, each by id.
func (v *View) Verdicts(ctx context.Context) ([]vedette.Monitor, []vedette.Status, error) {
	monitors, err := v.choose(ctx, Filter{})
	if err != nil {
		return nil, nil, err
	}
	statuses, err := v.store.reader.Latest(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("read statuses: %w", err)
	}
	return monitors, statuses, nil
}
