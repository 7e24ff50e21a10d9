// Package watch keeps every monitor's checks on time.
//
// The monitors of a region are cut into shards. A [Watch] holds leases of some shards, or of all
// while it is alone, and keeps one heap of due times for each; nothing of a look passes through
// a store before it is made. A monitor is due at a phase of its interval that follows from its
// id, so the looks of many spread evenly, and keep their beat over restarts and hand-overs.
// There is a goroutine for each look in flight and none for a monitor that waits.
//
// Read on in this order: loop.go (when), look.go (what), shards.go and follow.go (of which),
// outbox.go (where to), guard.go and limit.go (our own faults).
package watch

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/due"
	"github.com/vedettehq/vedette/internal/hold"
	"github.com/vedettehq/vedette/internal/pool"
)

// errStopped is why looks end that outlast the grace period.
var errStopped = errors.New("the watcher stops")

// A Config holds what a Watch needs. Monitors, Leaser, Checker and Sink are required.
type Config struct {
	Monitors vedette.Monitors
	Leaser   vedette.Leaser
	Checker  vedette.Checker
	Sink     vedette.Sink
	// Reader tells, when a shard is taken over, which monitors were about to change their
	// state, so that their rechecks go on. Without it they begin anew.
	Reader vedette.Reader

	// Region is where we look from: at the monitors that name it among their Regions, or none.
	Region string
	Owner  string // a random id, one a process; empty means one is made
	Shards int    // how many shards the region has, the same for all its watchers; 0 means 64
	// Guard tells our own lost connectivity from a site that is down; nil means off. See also
	// [Watch.SetGuard].
	Guard *Guard

	// MaxInFlight bounds the looks at one time; 0 takes it from the limit of open files.
	MaxInFlight int
	// BlindFor is how long to go on while the leases' store cannot be reached; 0 means 10m.
	BlindFor time.Duration
	// Grace is how long looks in flight may go on after the stop, and then how long it may take
	// to deliver what was found; 0 means 10s.
	Grace time.Duration

	// Since is when the process began. Beats that passed since then, while it was starting, are
	// made up for, so that each site is looked at within one interval of Since. Zero makes up
	// for none.
	Since time.Time

	Meter Meter        // nil counts nothing
	Log   *slog.Logger // nil discards
}

// A Watch looks at the sites of the shards that it holds. It implements [vedette.Part].
type Watch struct {
	c      Config
	log    *slog.Logger
	meter  Meter
	keeper *hold.Keeper
	pool   *pool.Pool[*site]
	outbox *outbox
	guard  atomic.Pointer[Guard]
	names  []string // of the shards' leases, by shard
	wall   func() time.Time

	looks context.Context // parent of all looks, outlives Run's by the grace period
	wake  chan struct{}   // tells the loop that something is due sooner than it thinks

	mu       sync.Mutex
	sites    map[vedette.MonitorID]*site
	shards   []*shard         // by number, nil where not held
	first    due.Heap[*shard] // shards by their first due site
	armed    time.Time        // for when the loop has set its timer
	awake    time.Time        // the same moment by our own clock
	inFlight int
	limit    limit
	stalled  bool   // the outbox is full
	begun    bool   // shards were held already
	short    seldom // a look got no slot
	late     seldom // the loop did not run
}

var _ vedette.Part = (*Watch)(nil)

// New returns a Watch, which starts nothing before Run.
func New(c Config) (*Watch, error) {
	if c.Monitors == nil || c.Leaser == nil || c.Checker == nil || c.Sink == nil {
		return nil, errors.New("watch: Monitors, Leaser, Checker and Sink are required")
	}
	if c.Shards < 0 || c.MaxInFlight < 0 {
		return nil, fmt.Errorf("watch: %d shards and %d looks in flight make no sense", c.Shards, c.MaxInFlight)
	}
	c.Owner = cmp.Or(c.Owner, rand.Text())
	c.Shards = cmp.Or(c.Shards, 64)
	c.Grace = cmp.Or(c.Grace, 10*time.Second)
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	if c.Meter == nil {
		c.Meter = noMeter{}
	}
	w := &Watch{
		c: c, log: c.Log, meter: c.Meter,
		names:  make([]string, c.Shards),
		shards: make([]*shard, c.Shards),
		sites:  map[vedette.MonitorID]*site{},
		wake:   make(chan struct{}, 1),
	}
	for i := range w.names {
		w.names[i] = fmt.Sprintf("shard/%s/%02d", c.Region, i)
	}
	w.SetGuard(c.Guard)
	return w, nil
}

// SetGuard replaces the guard, or turns it off with nil, from the looks on that end next. It is
// safe for concurrent use.
func (w *Watch) SetGuard(g *Guard) { w.guard.Store(g) }

// Run watches until ctx ends. Then it begins no look any more, waits for those in flight,
// delivers what they found and gives back its leases. It returns an error if it could not
// deliver everything in time. It is called once.
func (w *Watch) Run(ctx context.Context) error {
	if err := w.open(); err != nil {
		return err
	}
	rev, err := w.list(ctx)
	if err != nil {
		return nil // stopped before there was anything to look at
	}
	base := context.WithoutCancel(ctx)
	looks, cut := context.WithCancelCause(base)
	defer cut(nil)
	w.looks = looks

	var holding, following sync.WaitGroup
	hold, release := context.WithCancel(base)
	holding.Go(func() { _ = w.keeper.Run(hold) }) // it always returns nil
	sending, abandon := context.WithCancel(base)
	defer abandon()
	sent := make(chan error, 1)
	go func() { sent <- w.outbox.run(sending) }()

	following.Go(func() { w.follow(ctx, rev) })
	w.loop(ctx, &following)
	following.Wait()
	w.drain(base, cut)
	w.outbox.queue.Close()
	late := time.AfterFunc(w.c.Grace, abandon)
	defer late.Stop()
	err = <-sent
	release()
	holding.Wait()
	return err
}

// open makes the parts that run.
func (w *Watch) open() (err error) {
	w.keeper, err = hold.New(hold.Config{
		Leaser: w.c.Leaser, Owner: w.c.Owner, Names: w.names,
		Members: "member/" + w.c.Region + "/", Prefix: "shard/" + w.c.Region + "/",
		BlindFor: w.c.BlindFor, Wall: w.wall, Log: w.log,
	})
	size := w.c.MaxInFlight
	if size == 0 {
		size = fit(descriptors())
		w.log.Info("looks in flight are bound by the limit of open files", "max_in_flight", size)
	}
	w.limit = limit{max: size, now: size}
	w.pool = pool.New(size, w.run, w.failed)
	w.outbox = newOutbox(w.c.Sink, w.meter, w.log)
	return err
}

// drain waits for the looks in flight, and cuts off those that outlast the grace period.
func (w *Watch) drain(ctx context.Context, cut context.CancelCauseFunc) {
	grace, cancel := context.WithTimeout(ctx, w.c.Grace)
	defer cancel()
	if w.pool.Drain(grace) == nil {
		return
	}
	cut(errStopped)
	last, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if w.pool.Drain(last) != nil {
		w.log.Error("checks do not end when told to, leaving them behind", "in_flight", w.pool.Running())
	}
}
