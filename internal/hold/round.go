package hold

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
)

// round renews what is held and takes or gives what the fair share asks for.
func (k *Keeper) round(ctx context.Context) {
	for again := true; again; {
		k.mu.Lock()
		start := k.look()
		jumped := k.jumped
		k.mu.Unlock()
		if jumped {
			k.c.Log.Warn("clocks moved apart, taking leases anew")
			k.drop()
		}
		stepped, err := k.renew(ctx, start)
		if err != nil {
			if ctx.Err() == nil {
				k.failed(start, err)
			}
			return
		}
		// The store's clock is the measure of leases: when it is set, all starts anew.
		if again = stepped; again {
			k.c.Log.Warn("the store's clock was set, taking leases anew")
			k.drop()
		}
	}
}

// drop ends the work on everything that is held. The next round ends the leases themselves, so
// that taking them again gives new tokens.
func (k *Keeper) drop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.leaving = slices.AppendSeq(k.leaving, maps.Values(k.held))
	clear(k.held)
	k.jumped = false
	poke(k.changed)
}

// renew does a round's work with the store, and tells whether the store's clock was set.
func (k *Keeper) renew(ctx context.Context, start stamp) (stepped bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, k.c.Renew)
	defer cancel()
	if len(k.leaving) > 0 {
		if err := k.c.Leaser.Release(ctx, k.leaving...); err != nil {
			return false, fmt.Errorf("release leases: %w", err)
		}
		k.leaving = nil
	}
	shared := k.c.Members != ""
	names := k.names(shared)
	stepped, err = k.acquire(ctx, start, names)
	if err != nil || stepped {
		return stepped, err
	}
	k.worked(start)
	if !shared {
		return false, nil
	}
	return k.share(ctx, start)
}

// names lists what to ask for: what is held and, with nobody to share with, all the rest.
func (k *Keeper) names(shared bool) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case shared:
		return append(slices.Sorted(maps.Keys(k.held)), k.member())
	case time.Now().Before(k.calm) || k.blind:
		return slices.Sorted(maps.Keys(k.held))
	default:
		return k.c.Names
	}
}

// acquire asks for names and takes note of the answer. It tells whether the store's clock was
// set while something was held.
func (k *Keeper) acquire(ctx context.Context, start stamp, names []string) (stepped bool, err error) {
	if len(names) == 0 {
		// An outage ends with an answer, whatever was asked.
		_, err := k.c.Leaser.List(ctx, k.c.Names[0])
		return false, err
	}
	began := time.Now()
	got, err := k.c.Leaser.Acquire(ctx, k.c.Owner, k.c.TTL, names...)
	if err != nil {
		return false, fmt.Errorf("acquire leases: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	held := len(k.held) > 0
	k.granted, k.tried = start, start
	k.note(names, got)
	if len(got) == 0 || got[0].At.IsZero() {
		return false, nil
	}
	return k.clock.learn(began, time.Now(), got[0].At).Abs() > maxApart && held, nil
}

// note keeps what was granted of names and forgets what was refused.
func (k *Keeper) note(names []string, got []vedette.Lease) {
	granted := make(map[string]vedette.Lease, len(got))
	for _, l := range got {
		granted[l.Name] = l
	}
	for _, name := range names {
		old, had := k.held[name]
		l, ok := granted[name]
		switch {
		case name == k.member():
			k.me = l
			continue
		case ok:
			k.held[name] = l
		case had:
			delete(k.held, name)
			k.c.Log.Warn("lease lost to another", "lease", name, "token", old.Token)
		}
		if had != ok || old.Token != l.Token {
			poke(k.changed)
		}
	}
}

// failed notes that the store could not be reached.
func (k *Keeper) failed(start stamp, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.blind {
		k.c.Log.Warn("leases not renewed, going on for a while without the store", "blind_for", k.c.BlindFor, "err", err)
	}
	k.blind, k.tried = true, start
	if len(k.held) > 0 && start.since(k.granted) >= k.c.BlindFor {
		k.c.Log.Error("store out of reach for too long, stopping", "leases", len(k.held), "err", err)
		clear(k.held)
		poke(k.changed)
	}
}

// worked notes that the store answered. After an outage nothing new is taken for one ttl, so
// that those who went on without the store find what they held.
func (k *Keeper) worked(start stamp) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.blind {
		k.c.Log.Info("leases renewed again", "leases", len(k.held))
		k.blind, k.calm = false, start.mono.Add(k.c.TTL)
	}
}
