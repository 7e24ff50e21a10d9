package redis

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

var _ vedette.Leaser = leases{}

// leases keeps a lease for good once it was taken, so that its token only grows.
type leases struct{ s *Store }

func (l leases) Acquire(ctx context.Context, owner string, ttl time.Duration, names ...string) (held []vedette.Lease, err error) {
	sorted := slices.Compact(slices.Sorted(slices.Values(names)))
	for some := range slices.Chunk(sorted, pieceJobs) {
		part, err := l.acquire(ctx, owner, ttl, some)
		if err != nil {
			return nil, fmt.Errorf("acquire leases: %w", err)
		}
		held = append(held, part...)
	}
	return held, nil
}

func (l leases) acquire(ctx context.Context, owner string, ttl time.Duration, names []string) (held []vedette.Lease, err error) {
	args := []any{owner, ttl.Microseconds()}
	for _, name := range names {
		args = append(args, name)
	}
	got, err := l.s.call(ctx, "acquire", args...)
	if err != nil {
		return nil, err
	}
	a := answerOf(got)
	list := a.list()
	ends, now := pack.TimeOf(a.int()), pack.TimeOf(a.int())
	for list.more() {
		held = append(held, vedette.Lease{Name: list.text(), Owner: owner, Token: list.int(), Expires: ends, At: now})
	}
	a.fail(list.err)
	return held, a.err
}

func (l leases) Release(ctx context.Context, leases ...vedette.Lease) error {
	for some := range slices.Chunk(leases, pieceJobs) {
		var args []any
		for _, lease := range some {
			args = append(args, leaseArgs(lease)...)
		}
		if _, err := l.s.call(ctx, "release", args...); err != nil {
			return fmt.Errorf("release leases: %w", err)
		}
	}
	return nil
}

func (l leases) List(ctx context.Context, prefix string) (live []vedette.Lease, err error) {
	from := "[" + prefix
	for {
		pairs, now, err := l.s.page(ctx, "leases", "lease", from, behind(prefix), pieceJobs)
		if err != nil {
			return nil, fmt.Errorf("list leases: %w", err)
		}
		for i := 0; i+1 < len(pairs); i += 2 {
			r := reader{rest: pairs[i+1]}
			lease := vedette.Lease{Name: pairs[i], Token: r.int(8), Expires: r.time(), Owner: r.rest, At: now}
			if lease.Expires.After(now) {
				live = append(live, lease)
			}
			from = "(" + pairs[i]
		}
		if len(pairs) < 2*pieceJobs {
			return live, nil
		}
	}
}

// behind returns the end of what begins with prefix, as ZRANGEBYLEX has it.
func behind(prefix string) string {
	b := []byte(prefix)
	for len(b) > 0 && b[len(b)-1] == 0xff {
		b = b[:len(b)-1]
	}
	if len(b) == 0 {
		return "+"
	}
	b[len(b)-1]++
	return "(" + string(b)
}
