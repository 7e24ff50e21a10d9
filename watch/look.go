package watch

import (
	"context"
	"errors"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pool"
	"github.com/vedettehq/vedette/verdict"
)

// A look is one check of one site, from its beginning to its result.
type look struct {
	s       *site
	m       *vedette.Monitor // as it was at the beginning
	check   vedette.Check
	region  string
	token   int64
	due     time.Time
	started time.Time
	began   time.Time // the same moment by our own clock
}

// run makes the look that s has waited for. The pool calls it when a slot is free.
func (w *Watch) run(s *site) {
	if l := w.begin(s); l != nil {
		w.end(l, w.look(l))
	}
}

// begin returns nil if the look is not to be made any more.
func (w *Watch) begin(s *site) *look {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.queued = false
	sh := w.shards[s.shard]
	if sh == nil || s.gone || s.m.Paused || s.due.IsZero() {
		w.bury(s)
		return nil
	}
	lease, ok := w.keeper.Lease(sh.name)
	if !ok {
		w.meter.Missed("lease", 1)
		return nil
	}
	if w.full() {
		w.meter.Missed("sink", 1)
		return nil
	}
	l := w.newLook(s, lease, w.keeper.Now())
	s.flight = l
	w.inFlight++
	w.meter.InFlight(w.inFlight)
	if s.beat {
		w.meter.Lag(l.started.Sub(l.due))
	}
	return l
}

func (w *Watch) newLook(s *site, lease vedette.Lease, now time.Time) *look {
	return &look{
		s: s, m: s.m, check: s.check,
		region: w.c.Region, token: lease.Token,
		due: s.due.UTC(), started: now.UTC().Truncate(time.Microsecond), began: time.Now(),
	}
}

// result completes what a check saw.
func (l *look) result(r vedette.Result) vedette.Result {
	r.ID = vedette.NewID(l.started)
	r.Monitor, r.Revision = l.m.ID, l.m.Version
	r.Region, r.Token = l.region, l.token
	r.DueAt, r.StartedAt = l.due, l.started
	return r
}

// look lets the check look.
func (w *Watch) look(l *look) vedette.Result {
	check := l.check
	if check == nil {
		check = w.compile(l)
	}
	ctx, cancel := context.WithTimeout(w.looks, timeout(l.m))
	defer cancel()
	r := check(ctx)
	switch well, guard := r.State == vedette.Up || r.State == vedette.Degraded, w.guard.Load(); {
	case !well && errors.Is(context.Cause(ctx), errStopped):
		w.meter.Missed("stop", 1)
		r = ours(vedette.KindMissed, "cut off by the stop of the watcher")
	case !well && l.slept():
		w.meter.Missed("late", 1)
		r = ours(vedette.KindMissed, "this process did not run while the site answered or not")
	case guard != nil:
		guard.judge(w.looks, &r, l.began)
	}
	return l.result(r)
}

// overrun is by how much a look may outlast its time-out. A longer one was made by a process that
// did not run meanwhile: it was stopped, it slept, or it starved.
const overrun = time.Second

// slept reports whether this process did not run while it looked, so that what it missed says
// nothing about the site.
func (l *look) slept() bool {
	now := time.Now()
	took := max(now.Sub(l.began), now.Round(0).Sub(l.began.Round(0)))
	return took > timeout(l.m)+overrun
}

// compile makes the check of the look's monitor. One that cannot be made becomes a check that
// says why.
func (w *Watch) compile(l *look) vedette.Check {
	check, err := w.c.Checker.Compile(*l.m)
	if err != nil {
		w.log.Error("monitor cannot be checked", "monitor", l.m.ID, "origin", l.m.Origin, "err", err)
		text := "monitor cannot be checked: " + err.Error()
		check = func(context.Context) vedette.Result { return ours(vedette.KindInternal, text) }
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if l.s.m == l.m && w.shards[l.s.shard] != nil {
		l.s.check = check
	}
	return check
}

// ours is a result that says nothing of the site, for the fault is ours.
func ours(k vedette.Kind, message string) vedette.Result {
	return vedette.Result{State: vedette.Unknown, Failure: &vedette.Failure{Kind: k, Message: message}}
}

// failed ends a look whose check panicked.
func (w *Watch) failed(s *site, err error) {
	w.mu.Lock()
	l, id, told := s.flight, s.m.ID, s.told
	s.told = true
	w.mu.Unlock()
	var p *pool.Panic
	if errors.As(err, &p) && !told {
		w.log.Error("check panicked", "monitor", id, "stack", string(p.Stack), "err", err)
	}
	if l != nil {
		w.end(l, l.result(ours(vedette.KindInternal, "check ended by "+err.Error())))
	}
}

// end hands on what a look found.
func (w *Watch) end(l *look, r vedette.Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l.s.flight = nil
	w.inFlight--
	w.meter.InFlight(w.inFlight)
	w.pace(l.s, r)
	w.bury(l.s)
	if exhausted(r) {
		w.shrink()
	}
	// Within the lock, so that the results of one site leave in their order.
	w.outbox.add(r)
	w.meter.Looked(r)
}

// pace brings the next look forward while a change is being confirmed.
func (w *Watch) pace(s *site, r vedette.Result) {
	sh := w.shards[s.shard]
	if sh == nil || s.gone || s.m.Paused {
		return
	}
	s.tally, s.looked = verdict.Count(s.m.Confirm, s.tally, r), true
	soon := s.m.RetryInterval
	if !verdict.Confirming(s.tally) || soon <= 0 || soon >= s.every {
		return
	}
	at := w.keeper.Now().Add(soon)
	if next, ok := sh.due.At(s); ok && at.Before(next) {
		s.recheck = true
		w.plan(sh, s, at)
	}
}

// bury forgets a deleted site once nothing refers to it any more.
func (w *Watch) bury(s *site) {
	if s.gone && !s.queued && s.flight == nil {
		delete(w.sites, s.m.ID)
	}
}
