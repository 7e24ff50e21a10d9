// Package record writes down what was found and what follows from it. A [Record] is a Sink: it
// folds each result into the status of its monitor with package verdict and writes results,
// statuses and incidents in one transaction, so that the verdict never differs from the
// rows it was drawn from. Besides, it follows the definitions (a paused monitor's incident
// closes), makes silence visible, and keeps history within its bounds. A [Stream] does the
// same with what comes out of a broker, exactly once.
//
// Read on in this order: ledger.go and draft.go (one transaction), define.go (of what), stream.go
// and load.go (from a broker), lead.go, sweep.go, keep.go and relay.go (what one of many does).
package record

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/hold"
)

// A Config holds what a record needs. Monitors, Writer, Reader and Keeper are required.
type Config struct {
	Monitors  vedette.Monitors
	Writer    vedette.Writer
	Reader    vedette.Reader
	Keeper    vedette.Keeper
	Retention vedette.Retention // zero keeps everything; see also [Record.Retain]
	// Leaser, with Owner, makes sure that one process alone sweeps and keeps; nil means that
	// there is no other.
	Leaser vedette.Leaser
	Owner  string
	// Shared says that others write statuses too, so that what is remembered of them is
	// read again where that matters.
	Shared bool
	// Through says up to when all results have come; silence is judged as of then. nil is now.
	Through func(context.Context) (time.Time, error)
	// Letters are sent to Dead, under the topic DeadTopic. With nil they stay where they are.
	Letters   vedette.DeadLetters
	Dead      vedette.Publisher
	DeadTopic string
	// Told is called after each commit, in order, with what has become so. It must be quick: the
	// next commit waits for it. nil is nobody.
	Told func(News)
	// Sized is called every 15 s with what the store holds. nil is nobody.
	Sized func(vedette.Size)
	Sweep time.Duration // how often to look for silence; 0 means 2s
	Log   *slog.Logger  // nil discards
}

// News is what one commit made so. Its slices are not to be kept after Told has returned.
type News struct {
	Results   []vedette.Result
	Statuses  []vedette.Status
	Incidents []vedette.Incident // opened, or closed if Closed is set
}

// A Record is a Sink that keeps results with their verdicts. Make it with [New].
type Record struct {
	cfg Config
	// lock guards what follows. It is a channel, so that who waits for it can be told to stop.
	lock   chan struct{}
	loaded bool
	ledger *ledger   // of all statuses
	asked  time.Time // when statuses that were not there were asked for last
	hitch  time.Time // when results were last held up on their way, see heed

	defs      *definitions
	lease     *hold.Keeper // nil without a Leaser
	telling   sync.Mutex   // one call of Told at a time
	retention atomic.Pointer[vedette.Retention]
}

var _ vedette.Sink = (*Record)(nil)

// New returns a record that reads what it must know at its first use.
func New(cfg Config) (*Record, error) {
	switch {
	case cfg.Monitors == nil:
		return nil, errors.New("record: Config.Monitors is required")
	case cfg.Writer == nil, cfg.Reader == nil, cfg.Keeper == nil:
		return nil, errors.New("record: Config.Writer, Reader and Keeper are required")
	case cfg.Leaser != nil && cfg.Owner == "":
		return nil, errors.New("record: Config.Leaser wants an Owner")
	}
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	cfg.Sweep = cmp.Or(cfg.Sweep, 2*time.Second)
	r := &Record{cfg: cfg, lock: make(chan struct{}, 1), defs: newDefinitions(cfg.Monitors, cfg.Log)}
	r.ledger = r.newLedger(true)
	r.Retain(cfg.Retention)
	if cfg.Leaser == nil {
		return r, nil
	}
	var err error
	if r.lease, err = r.newLease(); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	return r, nil
}

// Now is the store's time once [Record.Run] has asked for it, and ours before that and without a
// Leaser. What is looked at bears the store's time, so all that is reckoned by it must.
func (r *Record) Now() time.Time {
	if r.lease == nil {
		return time.Now()
	}
	return r.lease.Now()
}

// Retain sets for how long to keep what, from the next time on that history is cut. It is safe
// for concurrent use.
func (r *Record) Retain(keep vedette.Retention) { r.retention.Store(&keep) }

// Send keeps results and what follows from them. Results of one monitor must come in the order
// of their looks; one that does not is kept as history and changes nothing. It is safe for
// concurrent use; one batch is written at a time.
func (r *Record) Send(ctx context.Context, f vedette.Found) error {
	began := time.Now()
	return r.exclusively(ctx, func() error {
		err := r.ledger.commit(ctx, func(d *draft) error {
			d.batch.Resent = f.Resent
			return d.fold(ctx, f.Results...)
		})
		r.heed(f, began, err)
		return err
	})
}

// exclusively runs f while nobody else changes or reads the record, after what the store
// holds has been read.
func (r *Record) exclusively(ctx context.Context, f func() error) error {
	select {
	case r.lock <- struct{}{}:
		defer func() { <-r.lock }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if !r.loaded {
		if err := r.load(ctx); err != nil {
			return err
		}
	}
	return f()
}

// load reads the definitions and statuses, and settles what changed while nobody was here.
func (r *Record) load(ctx context.Context) error {
	if err := r.defs.load(ctx); err != nil {
		return err
	}
	if err := r.ledger.readAll(ctx); err != nil {
		return err
	}
	if err := r.settle(ctx, slices.Collect(maps.Keys(r.ledger.entries))); err != nil {
		return err
	}
	r.loaded = true
	return nil
}

// tell spreads the news of a commit.
func (r *Record) tell(n News) {
	if r.cfg.Told == nil {
		return
	}
	r.telling.Lock()
	defer r.telling.Unlock()
	r.cfg.Told(n)
}
