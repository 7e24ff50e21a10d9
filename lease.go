package vedette

import (
	"context"
	"time"
)

// A Lease is the right to do one thing alone until it expires, by the store's clock.
type Lease struct {
	Name  string `json:"name"`
	Owner string `json:"owner"` // a random id, one a process
	// Token orders owners: it grows with every change of owner and never shrinks, not even
	// after a restore, since it is at least the store's time in microseconds.
	Token   int64     `json:"token"`
	Expires time.Time `json:"expires"`
	// At is the store's time at which this was read or granted.
	At time.Time `json:"at"`
}

// A Leaser grants leases. It is safe for concurrent use. Members of a group are leases too
// ("member/REGION/OWNER"), so that "how many are alive" is one List.
type Leaser interface {
	// Acquire takes or renews leases for ttl from now by the store's clock, and returns those
	// that owner holds, in the order of names; one that another holds is left out. Renewing keeps
	// the Token; taking gives it max(old + 1, store's microseconds).
	Acquire(ctx context.Context, owner string, ttl time.Duration, names ...string) (held []Lease, err error)
	// Release ends leases now, so that others need not wait. One that is no longer
	// held under its Owner and Token is left alone.
	Release(ctx context.Context, leases ...Lease) error
	// List returns the live leases whose names begin with prefix, by name.
	List(ctx context.Context, prefix string) ([]Lease, error)
}
