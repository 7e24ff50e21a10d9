package record_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/record"
	"github.com/vedettehq/vedette/verdict"
)

// behind is a store whose clock is behind ours, which is the same as ours being ahead.
type behind struct {
	vedette.Leaser
	by time.Duration
}

func (b behind) Acquire(ctx context.Context, owner string, ttl time.Duration, names ...string) ([]vedette.Lease, error) {
	held, err := b.Leaser.Acquire(ctx, owner, ttl, names...)
	for i := range held {
		held[i].At, held[i].Expires = held[i].At.Add(-b.by), held[i].Expires.Add(-b.by)
	}
	return held, err
}

// Looks bear the store's time. A recorder whose own clock is two days ahead takes none of them for
// too old and no site for silent, but the one that is.
func TestRecorderWhoseClockIsAheadGoesByTheStores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ahead = 48 * time.Hour
		p := newPipe(t, monitor("a"), monitor("b"))
		for _, owner := range []string{"one", "two"} { // the second does not sweep
			stop := p.recorder(t, owner, func(c *record.Config, s *record.StreamConfig) {
				c.Leaser, c.Retention.Results, s.Lanes = behind{c.Leaser, ahead}, 24*time.Hour, 2
			})
			defer stop()
			time.Sleep(time.Second)
		}
		for range 12 {
			p.send(t, look("a", time.Now().Add(-ahead), vedette.Up))
			p.send(t, look("b", time.Now().Add(-ahead), vedette.Up))
			time.Sleep(10 * time.Second)
		}
		p.check(t)
		for range 6 {
			p.send(t, look("a", time.Now().Add(-ahead), vedette.Up))
			time.Sleep(10 * time.Second)
		}
		if a, b := status(t, p.store, "a"), status(t, p.store, "b"); a.State != vedette.Up || b.State != vedette.Unknown {
			t.Errorf("a, which was looked at, is %s, and b, which was not, is %s", a.State, b.State)
		}
		history, err := p.store.History(t.Context(), "a", vedette.Span{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range history {
			if verdict.Stale(r) {
				t.Errorf("a was taken for silent at %s", r.StartedAt)
			}
		}
	})
}
