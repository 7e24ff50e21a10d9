package record

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/retry"
	"github.com/vedettehq/vedette/verdict"
)

// A definition is a monitor with its maintenance windows made ready.
type definition struct {
	vedette.Monitor
	windows []*window
}

func (d *definition) inWindow(at time.Time) bool {
	for _, w := range d.windows {
		if w.covers(at) {
			return true
		}
	}
	return false
}

// definitions are those of the registry. They are safe for concurrent use.
type definitions struct {
	monitors vedette.Monitors
	log      *slog.Logger

	mu     sync.RWMutex
	loaded bool
	rev    int64 // of the registry
	all    map[vedette.MonitorID]*definition
	asked  map[vedette.MonitorID]question
}

// A question is what the registry was asked for last and could not, or may not, answer: a revision of
// a monitor.
type question struct {
	revision int64
	at       time.Time
}

// maxAsked bounds how many questions are remembered, since whoever sends results can name any
// monitor. It is more than the lanes have in their batches, so that one that is repeated makes headway.
const maxAsked = 1 << 18

func newDefinitions(monitors vedette.Monitors, log *slog.Logger) *definitions {
	return &definitions{
		monitors: monitors, log: log,
		all: make(map[vedette.MonitorID]*definition), asked: make(map[vedette.MonitorID]question),
	}
}

const pageSize = 1000

// load reads all definitions, once.
func (d *definitions) load(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	windows := make(sharedWindows)
	var after vedette.MonitorID
	for first := true; !d.loaded; first = false {
		page, rev, err := d.monitors.List(ctx, after, pageSize)
		if err != nil {
			return fmt.Errorf("list monitors: %w", err)
		}
		if first {
			d.rev = rev
		}
		for _, m := range page {
			d.define(m, windows)
			after = m.ID
		}
		d.loaded = len(page) < pageSize
	}
	return nil
}

// sharedWindows are those that several monitors have, which are often all of them.
type sharedWindows map[vedette.Window]*window

func (d *definitions) define(m vedette.Monitor, windows sharedWindows) *definition {
	def := &definition{Monitor: m}
	def.Probe = nil // not ours, and large
	for _, w := range m.Maintenance {
		shared, known := windows[w]
		if !known {
			var err error
			if shared, err = newWindow(w); err != nil {
				d.log.Error("maintenance window ignored", "monitor", m.ID, "window", w.Name, "err", err)
				continue
			}
			windows[w] = shared
		}
		def.windows = append(def.windows, shared)
	}
	d.all[m.ID] = def
	return def
}

func (d *definitions) get(id vedette.MonitorID) (*definition, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	def, ok := d.all[id]
	return def, ok
}

func (d *definitions) ids() []vedette.MonitorID {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.Collect(maps.Keys(d.all))
}

// of returns the definition of the monitor that r is a look at, and asks the registry where
// what is known is older than what was looked at: results may be faster than the news of a
// change. A registry that was begun anew does not know the revision of an older look: the
// definition is then what there is. It reports ErrNotFound for a monitor that is gone.
func (d *definitions) of(ctx context.Context, r *vedette.Result) (*definition, error) {
	d.mu.RLock()
	def, ok := d.all[r.Monitor]
	last := d.asked[r.Monitor]
	d.mu.RUnlock()
	now := time.Now()
	answered := r.Revision <= last.revision && (r.StartedAt.Before(last.at) || now.Sub(last.at) < time.Second)
	switch {
	case ok && (answered || def.Version >= r.Revision):
		return def, nil
	case answered:
		return nil, vedette.ErrNotFound
	}
	m, err := d.monitors.Get(ctx, r.Monitor)
	d.mu.Lock()
	defer d.mu.Unlock()
	if errors.Is(err, vedette.ErrNotFound) || err == nil && m.Version < r.Revision {
		if len(d.asked) >= maxAsked {
			clear(d.asked)
		}
		d.asked[r.Monitor] = question{r.Revision, now}
	}
	if err != nil {
		return nil, err
	}
	return d.define(m, make(sharedWindows)), nil
}

// change waits for changes and takes them over. settle is told of which monitors, before a later
// change is asked for.
func (d *definitions) change(ctx context.Context, settle func([]vedette.MonitorID) error) error {
	if err := d.load(ctx); err != nil {
		return err
	}
	d.mu.RLock()
	rev := d.rev
	d.mu.RUnlock()
	now, gone, next, err := d.monitors.Changes(ctx, rev)
	if err != nil {
		return err
	}
	ids := gone
	windows := make(sharedWindows)
	d.mu.Lock()
	clear(d.asked)
	for _, id := range gone {
		delete(d.all, id)
	}
	for _, m := range now {
		d.define(m, windows)
		ids = append(ids, m.ID)
	}
	d.mu.Unlock()
	if err := settle(ids); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rev = next
	return nil
}

// follow takes over changes of definitions until ctx ends.
func (r *Record) follow(ctx context.Context) error {
	pause := retry.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}
	following := trouble{doing: "following definitions", log: r.cfg.Log}
	for ctx.Err() == nil {
		err := r.followOnce(ctx)
		following.note(ctx, err)
		if err == nil {
			pause.Reset()
			continue
		}
		_ = pause.Wait(ctx) // told to stop while waiting is told to stop
	}
	return nil
}

func (r *Record) followOnce(ctx context.Context) error {
	if err := r.exclusively(ctx, func() error { return nil }); err != nil {
		return err
	}
	return r.defs.change(ctx, func(ids []vedette.MonitorID) error {
		return r.exclusively(ctx, func() error { return r.settle(ctx, ids) })
	})
}

// settle ends the verdicts on those of these monitors that are paused or gone, and begins
// anew those on monitors that are looked at again.
func (r *Record) settle(ctx context.Context, ids []vedette.MonitorID) error {
	if r.cfg.Shared && r.loaded {
		if err := r.ledger.reread(ctx, ids); err != nil {
			return err
		}
	}
	var gone []vedette.MonitorID
	now := r.Now().Truncate(time.Microsecond)
	err := r.ledger.commit(ctx, func(d *draft) error {
		gone = gone[:0]
		for _, id := range ids {
			s, known := r.ledger.status(id)
			def, defined := r.defs.get(id)
			switch {
			case !known:
			case !defined:
				gone = append(gone, id)
				if s.State != vedette.Paused {
					d.change(verdict.Remove(s, now))
				}
			case def.Paused && s.State != vedette.Paused:
				d.change(verdict.Pause(s, now))
			case !def.Paused && s.State == vedette.Paused:
				d.change(verdict.Outcome{Status: verdict.Resume(s, now)})
			}
		}
		return nil
	})
	if err != nil || len(gone) == 0 {
		return err
	}
	if err := r.cfg.Keeper.Forget(ctx, gone...); err != nil {
		return fmt.Errorf("forget %d monitors: %w", len(gone), err)
	}
	for _, id := range gone {
		delete(r.ledger.entries, id)
	}
	return nil
}
