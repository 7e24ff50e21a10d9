package record

import (
	"context"
	"fmt"
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

// load reads the definitions and statuses, and settles what changed while nobody was here.
func (r *Record) load(ctx context.Context) error {
	r.defs = make(map[vedette.MonitorID]*definition)
	r.statuses = make(map[vedette.MonitorID]vedette.Status)
	windows := make(sharedWindows)
	var after vedette.MonitorID
	for first := true; ; first = false {
		page, rev, err := r.cfg.Monitors.List(ctx, after, pageSize)
		if err != nil {
			return fmt.Errorf("list monitors: %w", err)
		}
		if first {
			r.rev = rev
		}
		for _, m := range page {
			r.define(m, windows)
			after = m.ID
		}
		if len(page) < pageSize {
			break
		}
	}
	statuses, err := r.cfg.Reader.Latest(ctx)
	if err != nil {
		return fmt.Errorf("read statuses: %w", err)
	}
	for _, s := range statuses {
		r.statuses[s.Monitor] = s
	}
	if err := r.reconcile(ctx); err != nil {
		return err
	}
	r.loaded = true
	return nil
}

const pageSize = 1000

// reconcile ends the verdicts on monitors that were paused or removed while nobody was here.
func (r *Record) reconcile(ctx context.Context) error {
	ids := make([]vedette.MonitorID, 0, len(r.statuses))
	for id := range r.statuses {
		ids = append(ids, id)
	}
	return r.settle(ctx, ids)
}

// sharedWindows are those that several monitors have, which are often all of them.
type sharedWindows map[vedette.Window]*window

func (r *Record) define(m vedette.Monitor, windows sharedWindows) {
	d := &definition{Monitor: m}
	d.Probe = nil // not ours, and large
	for _, w := range m.Maintenance {
		shared, known := windows[w]
		if !known {
			var err error
			if shared, err = newWindow(w); err != nil {
				r.cfg.Log.Error("maintenance window ignored", "monitor", m.ID, "window", w.Name, "err", err)
				continue
			}
			windows[w] = shared
		}
		d.windows = append(d.windows, shared)
	}
	r.defs[m.ID] = d
}

// definition returns what is known of a monitor, and asks the registry where that is older than
// the revision that was looked at: results may be faster than the news of a change.
func (r *Record) definition(ctx context.Context, id vedette.MonitorID, revision int64) (*definition, error) {
	if d, ok := r.defs[id]; ok && d.Version >= revision {
		return d, nil
	}
	m, err := r.cfg.Monitors.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	r.define(m, make(sharedWindows))
	return r.defs[id], nil
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
	var rev int64
	if err := r.exclusively(ctx, func() error { rev = r.rev; return nil }); err != nil {
		return err
	}
	now, gone, next, err := r.cfg.Monitors.Changes(ctx, rev)
	if err != nil {
		return err
	}
	return r.exclusively(ctx, func() error {
		ids := gone
		for _, id := range gone {
			delete(r.defs, id)
		}
		windows := make(sharedWindows)
		for _, m := range now {
			r.define(m, windows)
			ids = append(ids, m.ID)
		}
		if err := r.settle(ctx, ids); err != nil {
			return err
		}
		r.rev = next
		return nil
	})
}

// settle ends the verdicts on those of these monitors that are paused or gone, and begins
// anew those on monitors that are looked at again.
func (r *Record) settle(ctx context.Context, ids []vedette.MonitorID) error {
	var gone []vedette.MonitorID
	now := time.Now().Truncate(time.Microsecond)
	err := r.commit(ctx, func(d *draft) error {
		gone = gone[:0]
		for _, id := range ids {
			s, known := r.statuses[id]
			def, defined := r.defs[id]
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
		delete(r.statuses, id)
	}
	return nil
}
