package watch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
)

// A Guard tells a site that is down from our own connectivity that is lost. Before a look that
// failed for want of a network is believed, it looks at targets that are hardly ever down all
// at once. It is safe for concurrent use, and one Guard can serve several parts.
type Guard struct {
	looks []vedette.Check
	log   *slog.Logger
	turn  chan struct{} // whoever takes it asks the targets; the others wait for the answer

	mu     sync.Mutex
	asked  time.Time // when the targets answered or not
	lost   bool      // none answered then
	lostAt time.Time // when last none had answered
}

// NewGuard returns a Guard that looks at its targets with looks. If any of them gets an answer,
// of whatever kind, we are connected. Without looks it returns nil, which is off. A nil log
// discards.
func NewGuard(looks []vedette.Check, log *slog.Logger) *Guard {
	if len(looks) == 0 {
		return nil
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Guard{looks: looks, log: log, turn: make(chan struct{}, 1)}
}

const (
	// asOf is for how long an answer holds.
	asOf = time.Second
	// briefly is for how long we are taken as connected by looks that began after the answer.
	// It bounds how often the targets are asked while some site is down, and how long after
	// the network is lost a failure may still be blamed on a site.
	briefly = 250 * time.Millisecond
	// patience is how long a target may take.
	patience = 2 * time.Second
)

// judge makes a failure that our own connectivity explains a result of state unknown. The look
// began at the time began.
func (g *Guard) judge(ctx context.Context, r *vedette.Result, began time.Time) {
	failed := r.State == vedette.Down && r.Failure != nil && network(r.Failure.Kind)
	if !failed && !g.isLost() {
		return
	}
	// A look that did not fail asks as well, while we are lost: it brings the news that we are
	// not any more.
	g.ask(ctx, began)
	if failed && ctx.Err() == nil && g.lostSince(began) {
		f := *r.Failure
		f.Message = "own connectivity lost: " + f.Message
		r.State, r.Failure = vedette.Unknown, &f
	}
}

// network reports whether failures of this kind can have their cause on our side.
func network(k vedette.Kind) bool {
	switch k {
	case vedette.KindDNS, vedette.KindRefused, vedette.KindUnreachable, vedette.KindReset,
		vedette.KindTimeout, vedette.KindTLS:
		return true
	}
	return false
}

func (g *Guard) isLost() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lost
}

// lostSince reports whether we were not connected at some time since then: a look that timed
// out may have failed earlier than it ended.
func (g *Guard) lostSince(began time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lost || g.lostAt.After(began)
}

// ask sees to it that the answer is fresh enough for a look that began then, or that ctx has
// ended.
func (g *Guard) ask(ctx context.Context, began time.Time) {
	select {
	case g.turn <- struct{}{}:
		defer func() { <-g.turn }()
	case <-ctx.Done():
		return
	}
	if g.fresh(began) {
		return
	}
	connected := g.look(ctx)
	if ctx.Err() == nil {
		g.note(!connected)
	}
}

// fresh reports whether the last answer will do. That we were connected before a look began does
// not say that we were while it lasted.
func (g *Guard) fresh(began time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	age := time.Since(g.asked)
	return age < briefly || age < asOf && (g.lost || g.asked.After(began))
}

func (g *Guard) note(lost bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	was := g.lost
	g.asked, g.lost = time.Now(), lost
	if lost {
		g.lostAt = g.asked
	}
	switch {
	case lost && !was:
		g.log.Error("own connectivity lost, no target answers", "targets", len(g.looks))
	case was && !lost:
		g.log.Info("own connectivity is back")
	}
}

// look asks all targets at once, and reports whether one answered.
func (g *Guard) look(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answers := make(chan bool, len(g.looks))
	for _, check := range g.looks {
		go func() { answers <- answered(check(ctx)) }()
	}
	connected := false
	for range g.looks {
		if <-answers {
			connected = true
			cancel() // the others are waited for all the same: a check must not run twice at once
		}
	}
	return connected
}

func answered(r vedette.Result) bool {
	return r.State != vedette.Unknown && (r.Failure == nil || !network(r.Failure.Kind))
}
