// Package record writes down what was found and what follows from it. A [Record] is a Sink: it
// folds each result into the status of its monitor with package verdict and writes results,
// statuses and incidents in one transaction, so that the verdict never differs from the
// rows it was drawn from. Besides, it follows the definitions (a paused monitor's incident
// closes), makes silence visible, and keeps history within its bounds.
package record

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/vedettehq/vedette"
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
	// Told is called after each commit, in order, with what has become so. It must be quick: the
	// next commit waits for it. nil is nobody.
	Told func(News)
	// Sized is called every 15 s with what the store holds. nil is nobody.
	Sized func(vedette.Size)
	Sweep time.Duration // how often to look for silence; 0 means 2s
	Log   *slog.Logger  // nil discards
}

// News is what one commit made so.
type News struct {
	Results   []vedette.Result
	Statuses  []vedette.Status
	Incidents []vedette.Incident // opened, or closed if Closed is set
}

// A Record is a Sink that keeps results with their verdicts. Make it with [New].
type Record struct {
	cfg Config
	// lock guards what follows. It is a channel, so that who waits for it can be told to stop.
	lock     chan struct{}
	loaded   bool
	rev      int64 // of the registry, that defs are of
	defs     map[vedette.MonitorID]*definition
	statuses map[vedette.MonitorID]vedette.Status
	hitch    time.Time // when results were last held up on their way, see heed

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
	r := &Record{cfg: cfg, lock: make(chan struct{}, 1)}
	r.Retain(cfg.Retention)
	return r, nil
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
		err := r.commit(ctx, func(d *draft) error {
			d.batch.Resent = f.Resent
			for _, one := range f.Results {
				if err := d.fold(ctx, one); err != nil {
					return err
				}
			}
			return nil
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

// commit writes what fold drafts. When a status was changed by somebody else meanwhile, or by a
// commit of ours whose answer was lost, it reads that status again and drafts anew.
func (r *Record) commit(ctx context.Context, fold func(*draft) error) error {
	for attempt := 0; ; attempt++ {
		d := &draft{record: r, statuses: make(map[vedette.MonitorID]vedette.Status)}
		if err := fold(d); err != nil {
			return err
		}
		if d.empty() {
			return nil
		}
		err := r.cfg.Writer.Write(ctx, d.finish())
		if err == nil {
			d.adopt()
			return nil
		}
		if !errors.Is(err, vedette.ErrConflict) || attempt == maxConflicts {
			return fmt.Errorf("write %d results: %w", len(d.batch.Results), err)
		}
		if err := r.reread(ctx, d.statuses); err != nil {
			return err
		}
	}
}

// maxConflicts is how often a batch is drafted anew: each time means that another writer got
// ahead, so that more are no accident.
const maxConflicts = 8

// reread replaces what is remembered of these monitors by what the store holds.
func (r *Record) reread(ctx context.Context, touched map[vedette.MonitorID]vedette.Status) error {
	ids := make([]vedette.MonitorID, 0, len(touched))
	for id := range touched {
		ids = append(ids, id)
		delete(r.statuses, id)
	}
	if len(ids) == 0 {
		return nil
	}
	now, err := r.cfg.Reader.Latest(ctx, ids...)
	if err != nil {
		return fmt.Errorf("read statuses: %w", err)
	}
	for _, s := range now {
		r.statuses[s.Monitor] = s
	}
	return nil
}
