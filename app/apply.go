package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/manifest"
)

// The lease under which definitions of a file are published: one process at a time.
const (
	definitionsLease = "definitions"
	definitionsTTL   = 10 * time.Second
)

// read reads the file anew. Until the app runs any handler may still be made known, and those who
// do no work need not know it.
func (a *App) read() (*manifest.File, error) {
	opt := manifest.Options{Env: a.cfg.Env, Checker: a.checker, Handlers: a.names(), AnyHandler: !a.running.Load() || !a.has("work")}
	if a.cfg.Manifest != nil {
		return manifest.Parse(a.cfg.File, a.cfg.Manifest, opt)
	}
	return manifest.Load(a.cfg.File, opt)
}

// applyFirst publishes the file that New read.
func (a *App) applyFirst(ctx context.Context) error {
	f := a.file.Load()
	if f == nil {
		a.metrics.Reloaded(true)
		a.ready.applied.Store(true)
		return nil
	}
	f, err := a.readHandlers(f)
	if err != nil {
		return err
	}
	a.warn(f)
	if err := a.apply(ctx, f); err != nil {
		return fmt.Errorf("apply %s: %w", a.cfg.File, err)
	}
	a.metrics.Reloaded(true)
	a.ready.applied.Store(true)
	a.adopt(f)
	return nil
}

// readHandlers reads the file again if its scrapers name handlers that are unknown even now: then its
// mistakes are told with their places.
func (a *App) readHandlers(f *manifest.File) (*manifest.File, error) {
	a.running.Store(true)
	if !a.has("work") {
		return f, nil
	}
	known := a.allHandlers(a.straight())
	for _, s := range f.Scrapers {
		if known[s.Job.Handler] == nil {
			return a.read()
		}
	}
	return f, nil
}

// adopt makes f the configuration in force. Its monitors and scrapers are in the
// registries now and are not kept twice.
func (a *App) adopt(f *manifest.File) {
	f.Forget()
	f.Monitors, f.Scrapers = nil, nil
	a.file.Store(f)
	if a.cfg.Applied != nil {
		a.cfg.Applied(f)
	}
}

// apply makes the registries hold what the file says.
func (a *App) apply(ctx context.Context, f *manifest.File) error {
	a.definitions.Lock()
	defer a.definitions.Unlock()
	held, err := a.holdDefinitions(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = a.store.leases.Release(context.WithoutCancel(ctx), held...) }() // it ends by itself

	if err := a.applyMonitors(ctx, f); err != nil {
		return err
	}
	return a.applyScrapers(ctx, f)
}

func (a *App) applyMonitors(ctx context.Context, f *manifest.File) error {
	if a.store.monitors == nil {
		return nil // and the file has none
	}
	d, err := a.store.monitorShelf().publish(ctx, f.Monitors)
	if err != nil {
		return err
	}
	ids := make([]vedette.MonitorID, len(d.gone))
	for i, m := range d.gone {
		ids[i] = m.ID
	}
	urls := make(map[vedette.MonitorID]string, len(f.Monitors))
	for _, m := range f.Monitors {
		urls[m.ID] = m.URL
	}
	a.urls.Store(&urls)
	a.metrics.Remove(ids...)
	a.metrics.Define(f.Monitors...)
	a.cfg.Log.Info("monitors applied", "all", len(f.Monitors), "put", len(d.put), "deleted", len(d.gone), "same", d.same+len(d.moved))
	return nil
}

func (a *App) applyScrapers(ctx context.Context, f *manifest.File) error {
	d, err := a.store.scraperShelf().publish(ctx, f.Scrapers)
	if err != nil {
		return err
	}
	if len(f.Scrapers)+len(d.gone) > 0 {
		a.cfg.Log.Info("scrapers applied", "all", len(f.Scrapers), "put", len(d.put), "deleted", len(d.gone), "same", d.same+len(d.moved))
	}
	return nil
}

// holdDefinitions takes the lease on definitions. It waits for another process, which may have
// died with it, as long as that can take.
func (a *App) holdDefinitions(ctx context.Context) ([]vedette.Lease, error) {
	for end := time.Now().Add(2 * definitionsTTL); ; {
		held, err := a.store.leases.Acquire(ctx, a.owner, definitionsTTL, definitionsLease)
		if err != nil {
			return nil, fmt.Errorf("acquire the lease on definitions: %w", err)
		}
		if len(held) > 0 {
			return held, nil
		}
		if !a.store.shared || time.Now().After(end) {
			return nil, errors.New("another process publishes definitions at the moment")
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
