package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/app"
	"github.com/vedettehq/vedette/demo"
	"github.com/vedettehq/vedette/manifest"
)

// A scene is what the demo has seen so far: results as the watcher acknowledged them, and
// verdicts as they stand in the store. It is safe for concurrent use.
type scene struct {
	mu     sync.Mutex
	reader *app.View // opened when the store is there
	order  []string  // names of the sites
	wants  map[string]demo.Want
	sites  map[vedette.MonitorID]*site
	acked  map[vedette.ID]bool // by id, whether it was found in the store
	stored int
	recent []sample // looks of the last seconds
	missed int64
	cpu    gauge
	broken bool // the watcher refuses the configuration as it is now
	note   string
	died   time.Time
	back   time.Duration // from died to the first look after it, 0 until then
	news   []event
}

// A site is one monitor as it was seen.
type site struct {
	monitor vedette.Monitor
	status  vedette.Status
	past    []vedette.State
	phases  vedette.Phases
	failure string

	states map[vedette.State]bool
	kinds  map[vedette.Kind]bool
	muted  map[string]bool
}

// A sample is one look in time.
type sample struct {
	at  time.Time
	lag time.Duration
}

// A gauge turns a counter into a rate.
type gauge struct {
	at          time.Time
	value, rate float64
}

// An event is a line of the demo where there is no terminal.
type event struct {
	At       time.Time     `json:"at"`
	Event    string        `json:"event"` // started, state
	Site     string        `json:"site,omitempty"`
	State    vedette.State `json:"state,omitempty"`
	Was      vedette.State `json:"was,omitempty"`
	Kind     vedette.Kind  `json:"failure_kind,omitempty"`
	Failure  string        `json:"failure,omitempty"`
	HiddenBy string        `json:"hidden_by,omitempty"`
	Config   string        `json:"config,omitempty"`
	Listen   string        `json:"listen,omitempty"`
}

func newScene(web *demo.Web) *scene {
	s := &scene{
		wants: make(map[string]demo.Want), sites: make(map[vedette.MonitorID]*site), acked: make(map[vedette.ID]bool),
	}
	for _, w := range web.Wanted() {
		s.order = append(s.order, w.Name)
		s.wants[w.Name] = w
	}
	return s
}

// kept takes a result that the watcher says is on disk.
func (s *scene) kept(r app.ResultLine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.acked[r.ID]; !known {
		s.acked[r.ID] = false
	}
	one := s.site(r.Monitor)
	state := r.State
	if r.Maintenance {
		state = vedette.Maintenance
	}
	one.past = append(one.past, state)
	one.past = one.past[max(len(one.past)-100, 0):]
	if r.FailureKind != vedette.KindStale {
		s.recent = append(s.recent, sample{r.StartedAt, r.StartedAt.Sub(r.DueAt)})
		if s.back == 0 && !s.died.IsZero() {
			s.back = max(r.StartedAt.Sub(s.died), 0)
		}
	}
	if r.FailureKind != "" {
		one.kinds[r.FailureKind] = true
	}
}

func (s *scene) site(id vedette.MonitorID) *site {
	one, ok := s.sites[id]
	if !ok {
		one = &site{states: make(map[vedette.State]bool), kinds: make(map[vedette.Kind]bool), muted: make(map[string]bool)}
		s.sites[id] = one
	}
	return one
}

// look reads the store and the watcher's metrics.
func (s *scene) look(ctx context.Context, store, listen string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader == nil {
		v, err := app.OpenView(ctx, store, slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		s.reader = v
	}
	monitors, statuses, err := s.reader.Verdicts(ctx)
	if err != nil {
		return err
	}
	for _, m := range monitors {
		s.site(m.ID).monitor = m
	}
	for _, st := range statuses {
		s.judged(st)
	}
	if err := s.confirm(ctx); err != nil {
		return err
	}
	s.measure(ctx, listen)
	return nil
}

// judged takes a verdict from the store.
func (s *scene) judged(st vedette.Status) {
	one := s.site(st.Monitor)
	was := one.status.State
	if st.State != was || st.Muted != one.status.Muted {
		ev := event{At: time.Now(), Event: "state", Site: one.monitor.Name, State: st.State, Was: was, HiddenBy: st.Muted}
		if last, ok := st.Last(); ok && last.Failure != nil {
			ev.Kind, ev.Failure = last.Failure.Kind, last.Failure.Message
		}
		s.news = append(s.news, ev)
	}
	one.status = st
	one.states[st.State] = true
	if st.Muted != "" {
		one.muted[st.Muted] = true
	}
	last, ok := st.Last()
	if !ok {
		return
	}
	one.phases, one.failure = last.Phases, ""
	if last.Failure != nil {
		one.failure = last.Failure.Message
	}
}

// confirm looks up in the store what the watcher has acknowledged and was not found yet.
func (s *scene) confirm(ctx context.Context) error {
	var from time.Time
	for id, found := range s.acked {
		if at := id.Time(); !found && (from.IsZero() || at.Before(from)) {
			from = at
		}
	}
	if from.IsZero() {
		return nil
	}
	return s.reader.Results(ctx, app.Filter{}, vedette.Span{From: from}, func(r app.ResultLine) error {
		if found, acked := s.acked[r.ID]; acked && !found {
			s.acked[r.ID] = true
			s.stored++
		}
		return nil
	})
}

// measure reads how much the watcher missed and what it costs, once a second. While it is
// away the last figures stand.
func (s *scene) measure(ctx context.Context, listen string) {
	now := time.Now()
	if now.Sub(s.cpu.at) < time.Second {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listen+"/metrics", http.NoBody)
	if err != nil {
		return
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close() //nolint:errcheck // read or given up
	missed, cpu, broken := readMetrics(resp.Body)
	s.missed, s.broken = int64(missed), broken
	if cpu >= s.cpu.value && !s.cpu.at.IsZero() {
		s.cpu.rate = (cpu - s.cpu.value) / now.Sub(s.cpu.at).Seconds()
	}
	s.cpu.at, s.cpu.value = now, cpu
}

// readMetrics sums up three metrics of the text format.
func readMetrics(r io.Reader) (missed, cpu float64, broken bool) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		v, err := strconv.ParseFloat(value, 64)
		switch {
		case err != nil:
		case strings.HasPrefix(name, "vedette_checks_missed_total"):
			missed += v
		case name == "process_cpu_seconds_total":
			cpu = v
		case name == "vedette_config_last_reload_successful":
			broken = v == 0
		}
	}
	return missed, cpu, broken
}

// events returns what has happened since it was called last.
func (s *scene) events() []event {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := s.news
	s.news = nil
	return news
}

func (s *scene) killed(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.died, s.back = at, 0
}

func (s *scene) say(note string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note = note
}

// view returns what the table shows.
func (s *scene) view(config string) demo.View {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := demo.View{Config: config}
	byName := make(map[string]*site)
	for _, one := range s.sites {
		byName[one.monitor.Name] = one
	}
	names := slices.Clone(s.order)
	for name := range byName {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name) // added to the file by hand
		}
	}
	slices.Sort(names[len(s.order):])
	for _, name := range names {
		v.Rows = append(v.Rows, row(name, byName[name]))
	}
	v.Footer = s.footer()
	if s.broken {
		v.Footer.Note = cmp.Or(firstMistake(config), v.Footer.Note)
	}
	return v
}

// firstMistake says what is wrong with the configuration, "" if nothing is.
func firstMistake(config string) string {
	_, err := load(config)
	var mistakes manifest.Errors
	switch {
	case err == nil:
		return ""
	case errors.As(err, &mistakes) && len(mistakes) > 0:
		m := mistakes[0]
		return strings.TrimSuffix(fmt.Sprintf("refused: line %d: %s: %s", m.Line, m.Text, m.Fix), ": ")
	}
	return "refused: " + err.Error()
}

func row(name string, one *site) demo.Row {
	if one == nil {
		return demo.Row{Name: name, State: vedette.Unknown}
	}
	r := demo.Row{
		Name: name, State: one.status.State, Past: one.past, Phases: one.phases, Failure: one.failure, Muted: one.status.Muted,
	}
	if r.State == "" {
		r.State = vedette.Unknown
	}
	if len(one.status.Votes) == 0 || r.State == vedette.Maintenance || r.State == vedette.Paused {
		return r
	}
	vote := one.status.Votes[0]
	switch {
	case vote.State == vedette.Down && vote.Streak > 0:
		r.Streak, r.Need = vote.Streak, one.monitor.Confirm.Up
	case vote.State == vedette.Down:
		r.Streak, r.Need = one.monitor.Confirm.Down, one.monitor.Confirm.Down
	case vote.Streak > 0:
		r.Streak, r.Need = vote.Streak, one.monitor.Confirm.Down
	}
	return r
}

// rateOver is how far back the footer's figures go.
const rateOver = 10 * time.Second

func (s *scene) footer() demo.Footer {
	now := time.Now()
	s.recent = slices.DeleteFunc(s.recent, func(x sample) bool { return now.Sub(x.at) > rateOver })
	f := demo.Footer{
		Missed: s.missed, CPU: s.cpu.rate, Acknowledged: int64(len(s.acked)), Stored: int64(s.stored), Note: s.note,
	}
	if len(s.recent) > 0 {
		oldest := slices.MinFunc(s.recent, func(a, b sample) int { return a.at.Compare(b.at) }).at
		f.ChecksPerSecond = float64(len(s.recent)) / max(now.Sub(oldest).Seconds(), 1)
		lags := make([]time.Duration, len(s.recent))
		for i, x := range s.recent {
			lags[i] = x.lag
		}
		slices.Sort(lags)
		f.LagP99 = lags[(len(lags)-1)*99/100]
	}
	if !s.died.IsZero() {
		f.Note = s.afterKill()
	}
	return f
}

// sayBackFor is how long the footer tells of a restart, before it invites to edit again.
const sayBackFor = 20 * time.Second

// afterKill says how the watcher came back.
func (s *scene) afterKill() string {
	if s.back == 0 {
		return "killed with -9, starting again"
	}
	if len(s.acked) > s.stored {
		return "back; looking up what was acknowledged"
	}
	if time.Since(s.died) > sayBackFor {
		return ""
	}
	return fmt.Sprintf("back %s after kill -9: all %d acknowledged are stored", s.back.Round(10*time.Millisecond), s.stored)
}

func (s *scene) lastWords() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("%d results acknowledged, %d of them found in the store", len(s.acked), s.stored)
}

func (s *scene) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader != nil {
		_ = s.reader.Close() // it was read only
	}
}
