package worker

import (
	"context"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
)

// The lease may run out between the look whether it may be trusted and the begin of what it claimed.
func TestClaimOfABuriedLifeIsNotHeldForEver(t *testing.T) {
	s := memory.New()
	w, err := New(Config{Queue: s.Queue(), Feed: s.Feed(), KV: s.KV(), Owner: "w", Handlers: map[string]vedette.Handler{}})
	if err != nil {
		t.Fatal(err)
	}
	l := &life{owner: "w", values: t.Context()}
	l.ctx, l.end = context.WithCancelCause(t.Context())
	runs := []*run{w.newRun(l, vedette.Job{ID: vedette.NewID(time.Now()), Handler: "h", Timeout: time.Hour}, time.Now())}
	w.running = len(runs) // as reserve counted them
	w.over(l)
	w.bury(l)
	if w.begin(l, runs) || len(w.held) != 0 || w.Running() != 0 {
		t.Errorf("%d held, %d running, want nothing of it begun", len(w.held), w.Running())
	}
	if runs[0].ctx.Err() == nil {
		t.Error("its time-out still waits")
	}
}
