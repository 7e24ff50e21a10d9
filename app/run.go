package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/check"
	"github.com/vedettehq/vedette/metrics"
	"github.com/vedettehq/vedette/record"
	"github.com/vedettehq/vedette/watch"
)

// shards is how many parts the monitors of a new store are cut into.
const shards = 64

// aloneFor is how long watching goes on while the leases of a store cannot be renewed that has
// one owner by its nature: a full disk must not end the watch. Where others may take over it is
// as long as package watch says.
const aloneFor = 100 * 365 * 24 * time.Hour

// Run runs the app until ctx ends. Then it stops in the order of the data path: no new
// looks, those in flight end within the grace period, what they found is written, the store is
// closed. It returns nil when all went well.
func (a *App) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, a.store.close()) }()
	defer func() {
		if a.spool != nil {
			err = errors.Join(err, a.spool.Close())
		}
	}()
	var parts []vedette.Part
	l, err := a.listen(ctx)
	if l != nil {
		defer func() { _ = l.Close() }() // the server has done it, unless it did not come to serve
	}
	if err == nil {
		parts, err = a.begin(ctx, l)
	}
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return nil // told to stop before it ran
	case err != nil:
		return err
	}
	return vedette.Run(ctx, parts...)
}

// begin does what comes before the parts run, and returns them.
func (a *App) begin(ctx context.Context, l net.Listener) ([]vedette.Part, error) {
	parts, err := a.parts(ctx, l)
	if err != nil {
		return nil, err
	}
	if err := a.applyFirst(ctx); err != nil {
		return nil, err
	}
	if a.has("record") || !a.store.shared {
		return parts, a.tellVerdicts(ctx)
	}
	return parts, nil
}

// parts makes what runs, each of which may use those before it.
func (a *App) parts(ctx context.Context, l net.Listener) ([]vedette.Part, error) {
	var parts []vedette.Part
	looks := a.has("watch") || a.has("work") && a.store.keepsResults()
	if a.has("record") || looks && a.stream == nil {
		parts = append(parts, a.record)
	}
	if a.stream != nil && (a.has("record") || looks) {
		parts = append(parts, a.stream)
	}
	if a.stream != nil && a.has("record") {
		s, err := a.recordStream()
		if err != nil {
			return nil, err
		}
		a.reading.Store(s)
		parts = append(parts, s)
	}
	sink := a.straight()
	if a.has("watch") {
		var err error
		if sink, err = a.sink(); err != nil {
			return nil, err
		}
		if a.spool != nil {
			parts = append(parts, a.spool)
		}
		if a.watch, err = a.newWatch(ctx, sink); err != nil {
			return nil, err
		}
		parts = append(parts, a.watch)
	}
	jobs, err := a.jobParts(sink)
	if err != nil {
		return nil, err
	}
	parts = append(parts, jobs...)
	if a.has("record") && a.store.shared {
		parts = append(parts, vedette.PartFunc(a.followVerdicts))
	}
	if f := a.file.Load(); f != nil {
		parts = append(parts, vedette.PartFunc(a.follow))
	}
	if l != nil {
		parts = append(parts, a.serve(l))
	}
	return parts, nil
}

// verdictsEvery is how often verdicts that other processes have drawn are shown.
const verdictsEvery = 15 * time.Second

// followVerdicts shows in the metrics of each process that records what all of them record, so
// that no series is left behind when its monitor goes over to another.
func (a *App) followVerdicts(ctx context.Context) error {
	tick := time.NewTicker(verdictsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := a.tellVerdicts(ctx); err != nil && ctx.Err() == nil {
			a.cfg.Log.Debug("verdicts of others not shown, trying again", "err", err)
		}
	}
}

// tellVerdicts gives the metrics what is so, whoever has found out.
func (a *App) tellVerdicts(ctx context.Context) error {
	statuses, err := a.store.reader.Latest(ctx)
	if err != nil {
		return fmt.Errorf("read statuses: %w", err)
	}
	for _, s := range statuses {
		a.metrics.Judged(s)
	}
	return nil
}

func (a *App) newRecord() (*record.Record, error) {
	cfg := record.Config{
		Monitors: a.store.monitors, Writer: a.metrics.Writer(a.store.writer), Reader: a.store.reader, Keeper: a.store.keeper,
		Leaser: a.store.leases, Owner: owner(), Shared: a.store.shared || a.stream != nil,
		Told: a.told, Sized: a.metrics.Rows, Log: a.cfg.Log,
	}
	if a.stream != nil {
		cfg.Through = a.through
		cfg.Letters, cfg.Dead, cfg.DeadTopic = a.store.letters, a.stream.publisher, a.stream.topic+deadSuffix
	}
	if f := a.file.Load(); f != nil {
		cfg.Retention = f.Retention
	}
	return record.New(cfg)
}

func owner() string { return vedette.NewID(time.Now()).String() }

func (a *App) newWatch(ctx context.Context, sink vedette.Sink) (*watch.Watch, error) {
	n, err := a.store.shards(ctx, shards)
	if err != nil {
		return nil, fmt.Errorf("read the number of shards: %w", err)
	}
	if n != shards {
		a.cfg.Log.Info("the store's number of shards is used", "shards", n)
	}
	cfg := watch.Config{
		Monitors: a.store.monitors, Leaser: a.store.leases, Reader: a.store.reader, Checker: a.checker,
		Sink: a.ready.sink(a.metrics.Sink(sink)), Region: a.cfg.Region, Shards: n, Owner: owner(), Grace: a.cfg.Grace,
		Since: a.began, Meter: a.metrics, Log: a.cfg.Log,
	}
	if !a.store.shared {
		cfg.BlindFor = aloneFor
	}
	if f := a.file.Load(); f != nil {
		cfg.MaxInFlight = f.Watch.MaxInFlight
		if cfg.Guard, err = a.guard(f.Connectivity.Targets); err != nil {
			return nil, err
		}
	}
	return watch.New(cfg)
}

// guard makes the guard that tells a site that is down from our own network being down.
func (a *App) guard(targets []string) (*watch.Guard, error) {
	if len(targets) == 0 {
		return nil, nil //nolint:nilnil // no guard is a guard that is off
	}
	looks := make([]vedette.Check, len(targets))
	for i, url := range targets {
		m := withDefaults(vedette.Monitor{URL: url, Timeout: 2 * time.Second})
		look, err := a.checker.Compile(m)
		if err != nil {
			return nil, fmt.Errorf("connectivity target %s: %w", url, err)
		}
		looks[i] = look
	}
	return watch.NewGuard(looks, a.cfg.Log), nil
}

func (a *App) metricsConfig() metrics.Config {
	cfg := metrics.Config{Version: a.cfg.Version, Region: a.cfg.Region}
	if f := a.file.Load(); f != nil {
		cfg.Labels, cfg.MaxMonitors = f.Metrics.Labels, f.Metrics.MaxMonitors
		if cfg.MaxMonitors == 0 {
			cfg.MaxMonitors = -1 // none, said in the file; zero would mean the default
		}
	}
	return cfg
}

// listen opens the address to serve on; nil if there is none. Every role has its metrics and its
// health to show.
func (a *App) listen(ctx context.Context) (net.Listener, error) {
	if a.cfg.Listener != nil || a.cfg.Listen == "" {
		return a.cfg.Listener, nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", a.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("serve http: %w (choose another address with --listen or http.listen)", err)
	}
	return l, nil
}

// lastWords is how long answers may take that were begun before a stop. The leader resigns after
// them, and that must not take long.
const lastWords = 100 * time.Millisecond

// serve answers over HTTP until told to stop.
func (a *App) serve(l net.Listener) vedette.Part {
	return vedette.PartFunc(func(ctx context.Context) error {
		server := &http.Server{
			Handler: a.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
			ErrorLog: slog.NewLogLogger(a.cfg.Log.Handler(), slog.LevelDebug),
		}
		done := make(chan error, 1)
		go func() { done <- server.Serve(&listener{Listener: l, log: a.cfg.Log}) }()
		a.cfg.Log.Info("serving", "address", "http://"+l.Addr().String())
		select {
		case err := <-done:
			return fmt.Errorf("serve http: %w", err)
		case <-ctx.Done():
		}
		stop, cancel := context.WithTimeout(context.Background(), lastWords)
		defer cancel()
		if err := server.Shutdown(stop); err != nil {
			_ = server.Close() // a client that does not let go must not hold us
		}
		<-done //nolint:errcheck // it says that the server was shut down
		return nil
	})
}

// A listener logs that no client can be accepted, and while that lasts once a minute at most:
// the server tries again up to 200 times a second.
type listener struct {
	net.Listener
	log  *slog.Logger
	told time.Time
}

// Accept is called by the server alone, in one goroutine.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil && !errors.Is(err, net.ErrClosed) && time.Since(l.told) > time.Minute {
		l.told = time.Now()
		l.log.Error("clients are not accepted, trying again", "err", err)
	}
	return c, err
}

var _ vedette.Checker = (*check.Checker)(nil)
