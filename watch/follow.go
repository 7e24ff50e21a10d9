package watch

import (
	"context"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/retry"
)

// page is how many monitors to read at once.
const page = 1000

// list reads all monitors and returns the revision from which to follow their changes. It tries
// until ctx ends, and returns its error then.
func (w *Watch) list(ctx context.Context) (rev int64, err error) {
	var after vedette.MonitorID
	back := retry.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}
	for first, told := true, false; ; {
		some, at, err := w.c.Monitors.List(ctx, after, page)
		if err != nil {
			if !told && ctx.Err() == nil {
				w.log.Error("monitors not read, trying again", "err", err)
			}
			told = true
			if err := back.Wait(ctx); err != nil {
				return 0, err
			}
			continue
		}
		// What changes while we page is told by the changes since the first page.
		if first {
			rev, first = at, false
		}
		w.apply(some, nil)
		if len(some) < page {
			return rev, nil
		}
		after = some[len(some)-1].ID
	}
}

// follow applies the changes since rev until ctx ends.
func (w *Watch) follow(ctx context.Context, rev int64) {
	back := retry.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}
	for blind := false; ; {
		now, gone, next, err := w.c.Monitors.Changes(ctx, rev)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			if !blind {
				w.log.Warn("changes of monitors not read, going on with those known", "err", err)
			}
			blind = true
			_ = back.Wait(ctx) // the next call returns ctx's error
			continue
		}
		if blind {
			w.log.Info("changes of monitors are read again")
			blind = false
			back.Reset()
		}
		w.apply(now, gone)
		rev = next
	}
}

// apply makes changes take effect. A look in flight ends as what it was begun as.
func (w *Watch) apply(now []vedette.Monitor, gone []vedette.MonitorID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range now {
		if len(m.Regions) > 0 && !slices.Contains(m.Regions, w.c.Region) {
			w.leave(m.ID)
			continue
		}
		w.put(m)
	}
	for _, id := range gone {
		w.leave(id)
	}
}

// leave looks no more at what was deleted, or is for other regions now.
func (w *Watch) leave(id vedette.MonitorID) {
	if s := w.sites[id]; s != nil {
		s.gone = true
		w.strike(s)
		w.bury(s)
	}
}

// put leaves the due time alone unless it must change.
func (w *Watch) put(m vedette.Monitor) {
	s := w.sites[m.ID]
	if s == nil {
		s = &site{shard: int32(m.ID.Shard(len(w.shards)))} //nolint:gosec // there are not so many shards
		w.sites[m.ID] = s
	}
	back := s.gone || s.m != nil && s.m.Paused
	moved := s.set(&m)
	s.check, s.told, s.gone = nil, false, false
	switch sh := w.shards[s.shard]; {
	case m.Paused:
		w.strike(s)
	case sh != nil && (moved || back):
		s.recheck = false
		w.plan(sh, s, s.next(w.keeper.Now()))
	}
}

// strike takes s out of what is due.
func (w *Watch) strike(s *site) {
	s.recheck = false
	s.due = time.Time{}
	if sh := w.shards[s.shard]; sh != nil {
		sh.due.Remove(s)
		w.replan(sh)
	}
}
