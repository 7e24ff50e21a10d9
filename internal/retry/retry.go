// Package retry says how long to wait before trying again.
package retry

import (
	"context"
	"math/rand/v2"
	"time"
)

// A Backoff doubles its waits from Min to Max, each cut by a random part of up to a half, so
// that those who failed together do not come back together. It is not safe for concurrent use.
type Backoff struct {
	Min, Max time.Duration // both above 0
	next     time.Duration
}

// Next returns how long to wait now.
func (b *Backoff) Next() time.Duration {
	d := min(max(b.next, b.Min), b.Max)
	b.next = min(2*d, b.Max)
	return d - rand.N(d/2+1)
}

// Reset begins anew at Min: what was tried has worked.
func (b *Backoff) Reset() { b.next = 0 }

// Wait waits as long as Next says, or until ctx ends, and returns ctx's error then.
func (b *Backoff) Wait(ctx context.Context) error {
	t := time.NewTimer(b.Next())
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
