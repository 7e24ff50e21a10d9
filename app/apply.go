package app

import (
	"bytes"
	"context"
	"encoding/json"
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

// read reads the file anew.
func (a *App) read() (*manifest.File, error) {
	opt := manifest.Options{Env: a.cfg.Env, Checker: a.checker}
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
	a.warn(f)
	if err := a.apply(ctx, f); err != nil {
		return fmt.Errorf("apply %s: %w", a.cfg.File, err)
	}
	a.metrics.Reloaded(true)
	a.ready.applied.Store(true)
	a.adopt(f)
	return nil
}

// adopt makes f the configuration in force. Its monitors are in the registry now and are
// not kept twice.
func (a *App) adopt(f *manifest.File) {
	f.Forget()
	f.Monitors = nil
	a.file.Store(f)
	if a.cfg.Applied != nil {
		a.cfg.Applied(f)
	}
}

// apply makes the registry hold what the file says: it puts what is new or changed and
// deletes what a file owned that it no longer names. What is the same is left alone.
func (a *App) apply(ctx context.Context, f *manifest.File) error {
	a.definitions.Lock()
	defer a.definitions.Unlock()
	held, err := a.holdDefinitions(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = a.store.leases.Release(context.WithoutCancel(ctx), held...) }() // it ends by itself

	d, err := a.publish(ctx, f)
	// A large file may take longer than the lease, and another process come in between.
	for tries := 1; errors.Is(err, vedette.ErrConflict) && tries < maxPublish; tries++ {
		d, err = a.publish(ctx, f)
	}
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

// maxPublish is how often to begin anew when another process has changed what was read.
const maxPublish = 5

// publish makes the registry hold what the file says, as it is now.
func (a *App) publish(ctx context.Context, f *manifest.File) (difference, error) {
	d, err := a.differ(ctx, f)
	if err != nil {
		return d, err
	}
	if err := a.store.monitors.Put(ctx, d.put...); err != nil {
		return d, fmt.Errorf("put %d monitors: %w", len(d.put), err)
	}
	if err := a.store.monitors.Delete(ctx, d.gone...); err != nil {
		return d, fmt.Errorf("delete %d monitors: %w", len(d.gone), err)
	}
	// Where only lines have moved nothing is disturbed; it comes last, since it is no hurry.
	if err := a.store.monitors.Put(ctx, d.moved...); err != nil {
		return d, fmt.Errorf("put %d monitors that moved: %w", len(d.moved), err)
	}
	return d, nil
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

// A difference is what it takes to make the registry hold what a file says.
type difference struct {
	put, moved, gone []vedette.Monitor
	same             int
}

func (a *App) differ(ctx context.Context, f *manifest.File) (difference, error) {
	var d difference
	want := make(map[vedette.MonitorID]*vedette.Monitor, len(f.Monitors))
	for i := range f.Monitors {
		want[f.Monitors[i].ID] = &f.Monitors[i]
	}
	err := a.each(ctx, func(old vedette.Monitor) error {
		m, wanted := want[old.ID]
		switch {
		case !wanted && old.Origin != "":
			d.gone = append(d.gone, old)
		case !wanted:
		default:
			delete(want, old.ID)
			return d.compare(old, *m)
		}
		return nil
	})
	for _, m := range f.Monitors {
		if _, isNew := want[m.ID]; isNew {
			m.Version = 0
			d.put = append(d.put, m)
		}
	}
	return d, err
}

func (d *difference) compare(old, m vedette.Monitor) error {
	origin := m.Origin
	m.Version, m.Origin = old.Version, old.Origin
	equal, err := sameJSON(old, m)
	if err != nil {
		return err
	}
	m.Origin = origin
	switch {
	case equal && old.Origin == origin:
		d.same++
	case equal:
		d.moved = append(d.moved, m)
	default:
		d.put = append(d.put, m)
	}
	return nil
}

func sameJSON(a, b any) (bool, error) {
	x, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	y, err := json.Marshal(b)
	return bytes.Equal(x, y), err
}

// each calls f with each monitor of the registry.
func (a *App) each(ctx context.Context, f func(vedette.Monitor) error) error {
	return eachMonitor(ctx, a.store.monitors, f)
}

func eachMonitor(ctx context.Context, monitors vedette.Monitors, f func(vedette.Monitor) error) error {
	const n = 1000
	var after vedette.MonitorID
	for {
		page, _, err := monitors.List(ctx, after, n)
		if err != nil {
			return fmt.Errorf("list monitors: %w", err)
		}
		for _, m := range page {
			if err := f(m); err != nil {
				return err
			}
			after = m.ID
		}
		if len(page) < n {
			return nil
		}
	}
}
