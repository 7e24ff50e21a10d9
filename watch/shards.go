package watch

import (
	"context"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
)

// reconcile takes over the shards that were gained and lets go of those that were lost. A shard
// with a new token was both: its due times are reckoned anew, since the clock may have been
// set. It returns the monitors to look at from now on.
func (w *Watch) reconcile() (gained []vedette.MonitorID) {
	leases := map[string]vedette.Lease{}
	for _, l := range w.keeper.Held() {
		leases[l.Name] = l
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	lost, fresh := make([]bool, len(w.names)), make([]bool, len(w.names))
	for i, name := range w.names {
		l, ok := leases[name]
		if old := w.shards[i]; old != nil && (!ok || old.token != l.Token) {
			lost[i] = true
			w.first.Remove(old)
			w.shards[i] = nil
		}
		if ok && w.shards[i] == nil {
			fresh[i] = true
			w.shards[i] = &shard{name: name, token: l.Token}
		}
	}
	now := w.keeper.Now()
	for id, s := range w.sites {
		if lost[s.shard] {
			s.drop(!fresh[s.shard])
		}
		if fresh[s.shard] && !s.gone && !s.m.Paused {
			w.shards[s.shard].due.Set(s, w.firstDue(s, now))
			gained = append(gained, id)
		}
	}
	for i, sh := range w.shards {
		if fresh[i] {
			w.replan(sh)
		}
	}
	w.begun = w.begun || len(leases) > 0
	w.meter.Held(len(leases))
	return gained
}

// firstDue is when to look first at a site that was taken over: at its next beat, or, if a beat
// of it passed while the process was starting, sooner. Those are spread over half of what is left
// of their interval in the order of their beats, so that making up for them is no burst, and that
// a look which takes a while has ended when its site is due on its beat.
func (w *Watch) firstDue(s *site, now time.Time) time.Time {
	next := s.next(now)
	if w.begun || w.c.Since.IsZero() {
		return next
	}
	starting := time.Since(w.c.Since)
	missed := starting - s.every + next.Sub(now) // from Since on; below 0 there was no beat
	if missed < 0 || starting >= s.every {
		return next
	}
	s.recheck = true // it is off the beat
	share := float64(missed) / float64(starting)
	return now.Add(time.Duration(share / 2 * float64(s.every-starting)))
}

// drop forgets what held under a lease only, and the check too if others make it now.
func (s *site) drop(others bool) {
	if others {
		s.check = nil
	}
	s.tally, s.looked = vedette.Tally{}, false
	s.recheck = false
	s.due = time.Time{}
}

// recall learns what the monitors' states were, so that a change which was being confirmed by
// another watcher goes on being rechecked. It is of use for the pace only.
func (w *Watch) recall(ctx context.Context, ids []vedette.MonitorID) {
	for page := range slices.Chunk(ids, 1000) {
		statuses, err := w.c.Reader.Latest(ctx, page...)
		if err != nil {
			if ctx.Err() == nil {
				w.log.Warn("states not read, rechecks begin anew", "err", err)
			}
			return
		}
		w.remember(statuses)
	}
}

func (w *Watch) remember(statuses []vedette.Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, st := range statuses {
		s := w.sites[st.Monitor]
		if s == nil || s.looked {
			continue
		}
		for _, v := range st.Votes {
			if v.Region == w.c.Region {
				s.tally = v.Tally
			}
		}
	}
}
