// Package app is the whole of Vedette in one process: it opens the parts by URL, applies a
// configuration file to the store, runs the engine on it and serves what machines look at.
//
// A program that embeds it says what to watch in Go:
//
//	a, err := app.New(app.Config{Store: "sqlite:sites.db"})
//	…
//	err = a.Watch(ctx, vedette.Monitor{…})
//	err = a.Run(ctx)
//
// It touches no signals, flags, environment, globals or ports unless told.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/check"
	"github.com/vedettehq/vedette/manifest"
	"github.com/vedettehq/vedette/metrics"
	"github.com/vedettehq/vedette/record"
	"github.com/vedettehq/vedette/spool"
	"github.com/vedettehq/vedette/watch"
)

// A Config says what to run. The zero value watches, in memory, what [App.Watch] is told.
type Config struct {
	// File is the path of a configuration file, which is followed while the app runs; ""
	// is none. Manifest is the text of one instead, named File in messages.
	File     string
	Manifest []byte
	// Store is the URL of the store: memory:, sqlite:PATH or postgres://…. "" means the
	// file's, and memory: without a file.
	Store string
	// Queue is the URL of where jobs are kept, as Store or redis://…; "" means the file's, else
	// the store.
	Queue string
	// Region is where this process looks from; "" means the file's.
	Region string
	// Listen is the address to serve HTTP on, "" for none: serve [App.Handler] yourself.
	Listen string
	// Listener serves instead of Listen where it is set.
	Listener net.Listener
	// Roles are the parts to run, of [Roles]; none means all.
	Roles []string
	// Env looks up ${NAME} in the file and in secrets; nil finds nothing.
	Env func(name string) (string, bool)
	// Version is said in the user agent and in metrics; "" is dev.
	Version string
	// Grace is how long looks in flight may take to end at a stop; 0 means 10s.
	Grace time.Duration
	// Applied is called with each configuration that has come into force. nil is nobody.
	Applied func(*manifest.File)
	Log     *slog.Logger // nil discards
}

// Roles names the parts that an app can run: those that look, those that write down and
// those that answer; those that say which scrapers are due, and those that do the jobs.
func Roles() []string { return []string{"watch", "record", "api", "schedule", "work"} }

// ErrRole reports a role that does not exist, or one that cannot do without another.
var ErrRole = errors.New("role")

// ErrRegion reports a region that is not one of the file's, or a process that looks and has none
// of them.
var ErrRegion = errors.New("region")

// An App is a running system, or one about to run. Make it with [New].
type App struct {
	cfg     Config
	began   time.Time
	checker *check.Checker
	metrics *metrics.Metrics
	file    atomic.Pointer[manifest.File]                // the one in force; nil without a file
	urls    atomic.Pointer[map[vedette.MonitorID]string] // of its monitors
	store   *store
	stream  *stream      // that results go through; nil if they go straight into the store
	spool   *spool.Spool // nil where nothing is far away
	record  *record.Record
	reading atomic.Pointer[record.Stream] // nil where this process reads no stream, and before the app runs
	watch   *watch.Watch                  // nil without that role, and before the app runs
	owner   string                        // of the lease on definitions
	ready   readiness
	reload  chan chan error // a request to read the file again, and its answer
	// handlers are those that Handle was told of; with running no more may come.
	handlers map[string]vedette.Handler
	running  atomic.Bool

	mu          sync.Mutex
	onIncident  []func(vedette.Incident)
	onKept      []func([]vedette.Result)
	definitions sync.Mutex // one change of the registry at a time
}

// loading is how long a process takes, at most, to be loaded and come to New.
const loading = 100 * time.Millisecond

// New reads the file, if there is one, and opens the store. The errors of a file are
// [manifest.Errors]. Call [App.Run], which closes the store at its end, or [App.Close].
func New(cfg Config) (*App, error) {
	began := time.Now().Add(-loading)
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	cfg.Grace = cmp.Or(cfg.Grace, 10*time.Second)
	cfg.Version = cmp.Or(cfg.Version, "dev")
	checker, err := check.New(check.Config{Version: cfg.Version, Env: cfg.Env})
	if err != nil {
		return nil, err
	}
	a := &App{cfg: cfg, began: began, checker: checker, owner: owner(), reload: make(chan chan error)}
	if cfg.File != "" || cfg.Manifest != nil {
		f, err := a.read()
		if err != nil {
			return nil, err
		}
		a.file.Store(f)
		a.cfg.Store, a.cfg.Region = cmp.Or(cfg.Store, f.Store), cmp.Or(cfg.Region, f.Region)
		a.cfg.Queue = cmp.Or(cfg.Queue, f.Queue)
	}
	a.cfg.Store = cmp.Or(a.cfg.Store, "memory:")
	if err := errors.Join(a.checkRoles(), a.checkRegion(), a.checkRedis()); err != nil {
		return nil, err
	}
	a.metrics = metrics.New(a.metricsConfig())
	if a.stream, err = a.newStream(); err != nil {
		return nil, err
	}
	if a.store, err = openBoth(context.Background(), a.cfg.Store, a.cfg.Queue, own, cfg.Log); err != nil {
		return nil, err
	}
	a.store.queue.measure(a.metrics.Jobs())
	if a.store.keepsResults() {
		if a.record, err = a.newRecord(); err != nil {
			return nil, errors.Join(err, a.store.close())
		}
	}
	return a, nil
}

func (a *App) checkRoles() error {
	for _, r := range a.cfg.Roles {
		if !slices.Contains(Roles(), r) {
			return fmt.Errorf("%w %q: want some of %s", ErrRole, r, strings.Join(Roles(), ", "))
		}
	}
	through := a.file.Load() != nil && a.file.Load().Results != ""
	if a.has("watch") && !a.has("record") && !through && !isShared(a.cfg.Store) {
		return fmt.Errorf("%w watch without record: results go straight into the store, which one process owns, so one process does both (machines share store: postgres://…)", ErrRole)
	}
	return nil
}

// errKeepsNone says what a Redis cannot do as a store.
var errKeepsNone = errors.New("store redis:// keeps scrapers and jobs, but neither results nor states nor incidents of sites")

// checkRedis refuses a Redis as the store of those that need results.
func (a *App) checkRedis() error {
	if !isRedis(a.cfg.Store) {
		return nil
	}
	for _, role := range []string{"watch", "record", "api"} {
		if a.has(role) {
			return fmt.Errorf("%w %s: %w: run --role schedule,work on it, or keep the rest in a store of its own (store: postgres://… and queue: redis://…)", ErrRole, role, errKeepsNone)
		}
	}
	if f := a.file.Load(); f != nil && len(f.Monitors) > 0 {
		return fmt.Errorf("%w: take the monitors out of %s, or keep them in a store of their own (store: postgres://… and queue: redis://…)", errKeepsNone, a.cfg.File)
	}
	return nil
}

// checkRegion wants those that look to say where they are, if that matters.
func (a *App) checkRegion() error {
	f := a.file.Load()
	if f == nil || a.cfg.Region == "" && !a.has("watch") {
		return nil
	}
	if err := f.CheckRegion(a.cfg.Region); err != nil {
		return fmt.Errorf("%w: %w", ErrRegion, err)
	}
	return nil
}

func (a *App) has(role string) bool {
	return len(a.cfg.Roles) == 0 || slices.Contains(a.cfg.Roles, role)
}

// Watch adds monitors, or replaces those of the same ID, whatever their Version. Those that a
// file owns cannot be replaced (ErrReadOnly). The mistakes of all of them come at
// once, as [vedette.Mistakes]. It takes effect within a second, also while the app runs.
func (a *App) Watch(ctx context.Context, monitors ...vedette.Monitor) error {
	if !a.store.keepsResults() {
		return errKeepsNone
	}
	var mistakes vedette.Mistakes
	for i, m := range monitors {
		monitors[i] = withDefaults(m)
		if _, err := a.checker.Compile(monitors[i]); err != nil {
			mistakes = append(mistakes, named(monitors[i], err)...)
		}
	}
	if err := mistakes.Err(); err != nil {
		return err
	}
	a.definitions.Lock()
	defer a.definitions.Unlock()
	if err := a.store.monitorShelf().set(ctx, monitors...); err != nil {
		return err
	}
	a.metrics.Define(monitors...)
	return nil
}

// named puts the monitor's name before the path of its mistakes.
func named(m vedette.Monitor, err error) vedette.Mistakes {
	var own vedette.Mistakes
	if !errors.As(err, &own) {
		return vedette.Mistakes{{Path: m.Name, Text: err.Error()}}
	}
	for i := range own {
		own[i].Path = m.Name + ": " + own[i].Path
	}
	return own
}

// withDefaults fills what a monitor made in Go leaves out, as a file would.
func withDefaults(m vedette.Monitor) vedette.Monitor {
	d := manifest.Defaults()
	m.Name = cmp.Or(m.Name, m.URL)
	m.ID = cmp.Or(m.ID, manifest.ID(m.Group, m.Name))
	m.Interval = cmp.Or(m.Interval, d.Interval)
	m.Timeout = cmp.Or(m.Timeout, min(d.Timeout, m.Interval))
	m.RetryInterval = cmp.Or(m.RetryInterval, d.RetryInterval)
	m.Confirm.Down = cmp.Or(m.Confirm.Down, d.Confirm.Down)
	m.Confirm.Up = cmp.Or(m.Confirm.Up, d.Confirm.Up)
	return m
}

// OnIncident has f called with each incident that opens, and again when it closes, after it
// is on disk. f must be quick: the next results wait for it.
func (a *App) OnIncident(f func(vedette.Incident)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.onIncident = append(a.onIncident, f)
}

// OnKept has f called with each batch of results after it is kept, in order: in the store, or,
// where this process looks and another one records, by Kafka or on this process's disk. f must
// be quick: the next results wait for it.
func (a *App) OnKept(f func([]vedette.Result)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.onKept = append(a.onKept, f)
}

// told spreads the news of a commit.
func (a *App) told(n record.News) {
	a.kept(n.Results)
	a.mu.Lock()
	incident := a.onIncident
	a.mu.Unlock()
	for _, in := range n.Incidents {
		a.logIncident(in)
		for _, f := range incident {
			f(in)
		}
	}
}

// kept spreads the news of results that will not be lost any more.
func (a *App) kept(results []vedette.Result) {
	if len(results) == 0 {
		return
	}
	a.mu.Lock()
	kept := a.onKept
	a.mu.Unlock()
	for _, f := range kept {
		f(results)
	}
}

func (a *App) logIncident(in vedette.Incident) {
	if in.Closed.IsZero() {
		a.cfg.Log.Warn("incident opened", "monitor", in.Monitor, "opened_at", in.Opened, "kind", in.Cause.Kind, "failure", in.Cause.Message)
		return
	}
	a.cfg.Log.Info("incident closed", "monitor", in.Monitor, "reason", in.Reason, "lasted", in.Closed.Sub(in.Opened).Round(time.Millisecond))
}

// File is the configuration in force, or nil without one.
func (a *App) File() *manifest.File { return a.file.Load() }

// Store is the URL of the store.
func (a *App) Store() string { return a.cfg.Store }

// Queue is the URL of where jobs are kept, "" for in the store.
func (a *App) Queue() string { return a.cfg.Queue }

// Listen sets the address to serve HTTP on, "" for none, before the app is run.
func (a *App) Listen(address string) { a.cfg.Listen = address }

// URL is that of a monitor in the file in force, or "".
func (a *App) URL(id vedette.MonitorID) string {
	if urls := a.urls.Load(); urls != nil {
		return (*urls)[id]
	}
	return ""
}

// Close closes the store of an app that was not run.
func (a *App) Close() error { return a.store.close() }
