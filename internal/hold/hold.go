// Package hold keeps leases: it takes this process's fair share of them, renews them, knows
// until when they may be trusted, and learns the store's time on the way.
//
// A lease is trusted only until it would have ended by the slower of our clocks and the
// store's, whether or not this process could run meanwhile. A refused renewal ends it at once.
// A store that cannot be reached does not, for a while: what is done under an old token is
// told from what a successor does by the token.
package hold

import (
	"cmp"
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
)

// margin is how much sooner than its end a lease is distrusted: clocks differ in pace, and what
// was begun needs to be told.
const margin = time.Second

// A Config says which leases to keep. Leaser, Owner and Names are required.
type Config struct {
	Leaser vedette.Leaser
	Owner  string // a random id, one a process
	Names  []string

	// Members is the prefix of the leases by which those who share Names know each other, and
	// Prefix is that of all Names. With Members empty nothing is shared: all of Names that
	// nobody else holds are taken.
	Members string
	Prefix  string

	TTL      time.Duration // of a lease; 0 means 10s
	Renew    time.Duration // how often to renew; 0 means 3s
	BlindFor time.Duration // how long to go on while the store cannot be reached; 0 means 10m
	// Look is how often to look, between renewals, whether a lease that another held is free; 0
	// is never. It is for Names that are not shared.
	Look time.Duration

	Wall func() time.Time // the wall clock; nil means time.Now, tests make it jump
	Log  *slog.Logger     // nil discards
}

// A Keeper holds leases while it runs. It is safe for concurrent use.
type Keeper struct {
	c       Config
	order   []string // Names, from where this owner begins to take
	changed chan struct{}
	wake    chan struct{}

	// Run's own.
	leaving []vedette.Lease // to be ended before anything is taken again
	calm    time.Time       // until then nothing new is taken
	me      vedette.Lease   // that of this member

	mu      sync.Mutex
	held    map[string]vedette.Lease
	clock   clock
	looked  stamp // when we last looked at the clocks
	jumped  bool  // they disagreed: nothing is trusted until all is taken anew
	granted stamp // when the last renewal that worked was begun
	tried   stamp // when the last one was begun
	blind   bool  // the last one failed
}

// New returns a Keeper that holds nothing yet.
func New(c Config) (*Keeper, error) {
	if c.Leaser == nil || c.Owner == "" || len(c.Names) == 0 {
		return nil, errors.New("hold: Leaser, Owner and Names are required")
	}
	c.TTL = cmp.Or(c.TTL, 10*time.Second)
	c.Renew = cmp.Or(c.Renew, 3*time.Second)
	c.BlindFor = cmp.Or(c.BlindFor, 10*time.Minute)
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	return &Keeper{
		c: c, order: rotate(c.Names, c.Owner),
		changed: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		held: map[string]vedette.Lease{}, clock: clock{base: time.Now()},
	}, nil
}

// rotate lets every owner begin at another name, so that those who take at the same time rarely
// want the same ones.
func rotate(names []string, owner string) []string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(owner)) // a hash takes everything
	i := int(h.Sum32() % uint32(len(names)))
	return slices.Concat(names[i:], names[:i])
}

// Run takes and renews leases until ctx ends, then gives them back and returns nil.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(k.c.Renew)
	defer tick.Stop()
	var look <-chan time.Time
	if k.c.Look > 0 {
		looks := time.NewTicker(k.c.Look)
		defer looks.Stop()
		look = looks.C
	}
	for free := true; ; {
		if free {
			k.round(ctx)
		}
		select {
		case <-tick.C:
			free = true
		case <-k.wake:
			free = true
		case <-look:
			free = k.vacant(ctx)
		case <-ctx.Done():
			k.resign(context.WithoutCancel(ctx))
			return nil
		}
	}
}

// vacant reports whether a lease can be had that another held: one that was given back is not to
// wait until the next renewal.
func (k *Keeper) vacant(ctx context.Context) bool {
	k.mu.Lock()
	asks := !k.blind && !time.Now().Before(k.calm) && len(k.held) < len(k.c.Names)
	held := maps.Clone(k.held)
	k.mu.Unlock()
	if !asks {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, k.c.Renew)
	defer cancel()
	for _, name := range k.c.Names {
		if _, ours := held[name]; ours {
			continue
		}
		live, err := k.c.Leaser.List(ctx, name)
		taken := slices.ContainsFunc(live, func(l vedette.Lease) bool { return l.Name == name })
		if err != nil || !taken {
			return true // what is wrong is found out by asking for it
		}
	}
	return false
}

// Lease returns the lease of this name if it is held and may be trusted right now.
func (k *Keeper) Lease(name string) (vedette.Lease, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	l, ok := k.held[name]
	return l, ok && k.trusted(k.look())
}

// trusted reports whether what is held may be worked on: somebody else can have it only from
// ttl after the last renewal was begun. While the store cannot be reached, that we tried of
// late shows that we did not sleep.
func (k *Keeper) trusted(now stamp) bool {
	return !k.jumped && now.since(k.tried) < k.c.TTL-margin &&
		(!k.blind || now.since(k.granted) < k.c.BlindFor)
}

// Held returns what is held, trusted or not, in the order of names.
func (k *Keeper) Held() []vedette.Lease {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.SortedFunc(maps.Values(k.held), func(a, b vedette.Lease) int {
		return cmp.Compare(a.Name, b.Name)
	})
}

// Changed gets a value after Held has changed.
func (k *Keeper) Changed() <-chan struct{} { return k.changed }

// Now returns the store's time, and our own before the store was first asked.
func (k *Keeper) Now() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.clock.now()
}

// look reads the clocks. If they have moved apart since the last time, one was set or the
// machine slept, and nothing that was reckoned by them holds.
func (k *Keeper) look() stamp {
	now := stamp{mono: time.Now()}
	now.wall = now.mono.Round(0)
	if k.c.Wall != nil {
		now.wall = k.c.Wall().Round(0)
	}
	if !k.looked.mono.IsZero() && now.apart(k.looked) > maxApart {
		k.jumped = true
		poke(k.wake)
	}
	k.looked = now
	return now
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// resign ends everything, so that others need not wait.
func (k *Keeper) resign(ctx context.Context) {
	k.drop()
	ctx, cancel := context.WithTimeout(ctx, k.c.Renew)
	defer cancel()
	if k.me.Name != "" {
		k.leaving = append(k.leaving, k.me)
	}
	if err := k.c.Leaser.Release(ctx, k.leaving...); err != nil {
		k.c.Log.Warn("leases not given back, others wait until they end", "leases", len(k.leaving), "err", err)
	}
}

func (k *Keeper) member() string { return k.c.Members + k.c.Owner }
