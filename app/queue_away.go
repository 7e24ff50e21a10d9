package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
)

// An away says since when something cannot be reached, and why.
type away struct {
	since time.Time
	err   error
}

// String is "" for nil, which is at hand.
func (a *away) String() string {
	if a == nil {
		return ""
	}
	return fmt.Sprintf("not reached since %s: %v", a.since.UTC().Format(time.RFC3339), a.err)
}

// leaser notes whether l can be reached: members renew their leases there every few seconds,
// whether there are jobs or not.
func (r *readiness) leaser(l vedette.Leaser) vedette.Leaser { return notingLeaser{l, r} }

type notingLeaser struct {
	vedette.Leaser
	ready *readiness
}

func (n notingLeaser) Acquire(ctx context.Context, owner string, ttl time.Duration, names ...string) ([]vedette.Lease, error) {
	held, err := n.Leaser.Acquire(ctx, owner, ttl, names...)
	switch {
	case err == nil:
		n.ready.queue.Store(nil)
	case !errors.Is(ctx.Err(), context.Canceled): // nobody told it to end
		n.ready.queue.CompareAndSwap(nil, &away{time.Now(), err})
	}
	return held, err
}
