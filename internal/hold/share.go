package hold

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
)

// share gives away what is more than this member's share, and takes what is missing to it. It
// tells whether the store's clock was set meanwhile.
func (k *Keeper) share(ctx context.Context, start stamp) (stepped bool, err error) {
	members, err := k.c.Leaser.List(ctx, k.c.Members)
	if err != nil {
		return false, fmt.Errorf("list members: %w", err)
	}
	n := max(len(members), 1)
	goal := (len(k.c.Names) + n - 1) / n
	surplus, held := k.give(goal)
	if len(surplus) > 0 {
		k.leaving = append(k.leaving, surplus...)
		if err := k.c.Leaser.Release(ctx, k.leaving...); err != nil {
			return false, fmt.Errorf("release leases: %w", err)
		}
		k.leaving = nil
		k.c.Log.Info("gave leases to other members", "leases", len(surplus), "members", n)
	}
	if held >= goal || time.Now().Before(k.calm) {
		return false, nil
	}
	names, err := k.free(ctx)
	if err != nil || len(names) == 0 {
		return false, err
	}
	return k.acquire(ctx, start, names[:min(goal-held, len(names))])
}

// give stops the work on what is more than goal, from the end of the order, and returns it with
// how many are held then.
func (k *Keeper) give(goal int) (surplus []vedette.Lease, held int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, name := range slices.Backward(k.order) {
		l, ok := k.held[name]
		if len(k.held) <= goal {
			break
		}
		if ok {
			delete(k.held, name)
			surplus = append(surplus, l)
		}
	}
	if len(surplus) > 0 {
		poke(k.changed)
	}
	return surplus, len(k.held)
}

// free lists what nobody holds, in the order in which to take it.
func (k *Keeper) free(ctx context.Context) ([]string, error) {
	live, err := k.c.Leaser.List(ctx, k.c.Prefix)
	if err != nil {
		return nil, fmt.Errorf("list leases: %w", err)
	}
	taken := make(map[string]bool, len(live))
	for _, l := range live {
		taken[l.Name] = true
	}
	return slices.DeleteFunc(slices.Clone(k.order), func(name string) bool { return taken[name] }), nil
}
