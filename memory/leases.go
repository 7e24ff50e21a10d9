package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
)

// leases keeps a lease for good once it was taken, so that its token only grows.
type leases struct {
	mu   sync.Mutex
	held map[string]vedette.Lease
}

func (l *leases) Acquire(_ context.Context, owner string, ttl time.Duration, names ...string) ([]vedette.Lease, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	var held []vedette.Lease
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		old := l.held[name]
		live := old.Expires.After(now)
		if live && old.Owner != owner {
			continue
		}
		next := vedette.Lease{Name: name, Owner: owner, Token: old.Token, Expires: now.Add(ttl), At: now}
		if !live {
			next.Token = max(old.Token+1, now.UnixMicro())
		}
		l.held[name] = next
		held = append(held, next)
	}
	return held, nil
}

// holds reports whether lease is held at now.
func (l *leases) holds(lease vedette.Lease, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := l.held[lease.Name]
	return held.Token == lease.Token && held.Owner == lease.Owner && held.Expires.After(now)
}

func (l *leases) Release(_ context.Context, leases ...vedette.Lease) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for _, lease := range leases {
		old := l.held[lease.Name]
		if old.Owner == lease.Owner && old.Token == lease.Token && old.Expires.After(now) {
			old.Expires = now
			l.held[lease.Name] = old
		}
	}
	return nil
}

func (l *leases) List(_ context.Context, prefix string) ([]vedette.Lease, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	var live []vedette.Lease
	for lease := range maps.Values(l.held) {
		if strings.HasPrefix(lease.Name, prefix) && lease.Expires.After(now) {
			lease.At = now
			live = append(live, lease)
		}
	}
	slices.SortFunc(live, func(a, b vedette.Lease) int { return cmp.Compare(a.Name, b.Name) })
	return live, nil
}
