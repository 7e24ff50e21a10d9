package app

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/vedettehq/vedette/manifest"
	"github.com/vedettehq/vedette/watch"
)

// How often the files are looked at for a change: as often as costs next to nothing.
const (
	lookAtFile  = 200 * time.Millisecond
	lookAtMost  = 5 * time.Second
	applyAgain  = 2 * time.Second // when the store does not take what the file says
	lookShareOf = 50              // reading them takes at most one part in so many of the time
)

// ErrNoFile reports that there is no file to read again.
var ErrNoFile = errors.New("no configuration file")

// errNotApplied reports that a file is right and the store did not take it.
var errNotApplied = errors.New("apply configuration")

// Reload reads the file again and applies it. A file with mistakes is refused whole, with
// [manifest.Errors], and the old one stays in force. The app must be running.
func (a *App) Reload(ctx context.Context) error {
	if a.file.Load() == nil {
		return ErrNoFile
	}
	answer := make(chan error, 1)
	select {
	case a.reload <- answer:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// follow applies the file again when its content changes, or when asked.
func (a *App) follow(ctx context.Context) error {
	timer := time.NewTimer(lookAtFile)
	defer timer.Stop()
	snapshot := a.file.Load().Snapshot
	var last time.Duration // what the look before took
	for {
		select {
		case <-ctx.Done():
			return nil
		case answer := <-a.reload:
			var err error
			snapshot, err = a.reloadNow(ctx, snapshot)
			answer <- err
			continue
		case <-timer.C:
		}
		began := time.Now()
		changed := a.cfg.Manifest == nil && snapshot.Now() != snapshot.Digest
		took := time.Since(began)
		if changed {
			var err error
			if snapshot, err = a.reloadNow(ctx, snapshot); errors.Is(err, errNotApplied) {
				timer.Reset(applyAgain)
				continue
			}
		}
		// One look alone may have waited for a CPU.
		timer.Reset(min(max(lookShareOf*min(took, last), lookAtFile), lookAtMost))
		last = took
	}
}

// reloadNow reads and applies the file, says in the log how it went, and returns what to look
// for changes of from now on.
func (a *App) reloadNow(ctx context.Context, old manifest.Snapshot) (manifest.Snapshot, error) {
	began := time.Now()
	f, guard, err := a.readLive()
	if err != nil {
		a.metrics.Reloaded(false)
		a.refuse(err)
		if f == nil || f.Snapshot.Digest == "" {
			old.Digest = old.Now() // it cannot be read: wait until that changes
			return old, err
		}
		return f.Snapshot, err
	}
	if err := a.apply(ctx, f); err != nil {
		err = fmt.Errorf("%w: %w", errNotApplied, err)
		a.metrics.Reloaded(false)
		a.ready.refused.Store(&err)
		a.cfg.Log.Error("configuration not in force yet, trying again", "err", err)
		return old, err // it still differs from what is in force
	}
	a.metrics.Reloaded(true)
	a.warnOfRestart(f)
	if a.record != nil {
		a.record.Retain(f.Retention)
	}
	if a.watch != nil && !sameTargets(f, a.file.Load()) {
		a.watch.SetGuard(guard)
	}
	a.adopt(f)
	a.ready.refused.Store(nil)
	a.warn(f)
	a.cfg.Log.Info("configuration reloaded", "took", time.Since(began).Round(time.Millisecond))
	return f.Snapshot, nil
}

// readLive reads the file anew, with the guard that it asks for.
func (a *App) readLive() (*manifest.File, *watch.Guard, error) {
	f, err := a.read()
	if err != nil {
		return f, nil, err
	}
	guard, err := a.guard(f.Connectivity.Targets)
	return f, guard, err
}

func sameTargets(a, b *manifest.File) bool {
	return slices.Equal(a.Connectivity.Targets, b.Connectivity.Targets)
}

// warn says in the log what a file probably does not mean.
func (a *App) warn(f *manifest.File) {
	for _, w := range f.Warnings {
		a.cfg.Log.Warn("configuration", "warning", w.Error())
	}
}

// refuse says what is wrong with a file; the old one stays in force.
func (a *App) refuse(err error) {
	a.ready.refused.Store(&err)
	var mistakes manifest.Errors
	if !errors.As(err, &mistakes) {
		a.cfg.Log.Error("configuration refused, the old one stays in force", "err", err)
		return
	}
	for _, m := range mistakes {
		a.cfg.Log.Error("configuration refused, the old one stays in force", "err", m.Error())
	}
}

// warnOfRestart names the settings that changed and are taken at start only.
func (a *App) warnOfRestart(f *manifest.File) {
	old := a.file.Load()
	for key, changed := range map[string]bool{
		"store": f.Store != old.Store, "queue": f.Queue != old.Queue, "worker": !reflect.DeepEqual(f.Worker, old.Worker), "http": f.HTTP != old.HTTP,
		"region": f.Region != old.Region, "results": f.Results != old.Results,
		"kafka": !reflect.DeepEqual(f.Kafka, old.Kafka), "watch": f.Watch != old.Watch,
		"metrics": fmt.Sprint(f.Metrics) != fmt.Sprint(old.Metrics),
	} {
		if changed {
			a.cfg.Log.Warn("this setting takes effect at the next start", "key", key)
		}
	}
}
