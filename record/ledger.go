package record

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/retry"
)

// A ledger folds results into statuses and writes both in one transaction. It remembers the
// statuses; the store refuses what was derived from one that somebody else has changed. One
// goroutine uses it at a time.
type ledger struct {
	record *Record
	defs   *definitions
	// all says that statuses holds every one there is. Otherwise it holds those that were
	// needed so far, and an empty one for a monitor that has none.
	all      bool
	statuses map[vedette.MonitorID]vedette.Status
	// results is the memory for those of a draft, where News are done with when Told returns.
	results []vedette.Result
	defined []*definition // that for what ready returns
	lately  int           // how many statuses the last draft had
}

func (r *Record) newLedger(all bool) *ledger {
	return &ledger{record: r, defs: r.defs, all: all, statuses: make(map[vedette.MonitorID]vedette.Status)}
}

// readAll reads every status there is.
func (l *ledger) readAll(ctx context.Context) error {
	statuses, err := l.record.cfg.Reader.Latest(ctx)
	if err != nil {
		return fmt.Errorf("read statuses: %w", err)
	}
	clear(l.statuses)
	for _, s := range statuses {
		l.statuses[s.Monitor] = s
	}
	return nil
}

// commit writes what fold drafts. When a status was changed by somebody else meanwhile, or by a
// commit of ours whose answer was lost, it reads that status again and drafts anew.
func (l *ledger) commit(ctx context.Context, fold func(*draft) error) error {
	pause := retry.Backoff{Min: 5 * time.Millisecond, Max: 100 * time.Millisecond}
	for attempt := 1; ; attempt++ {
		d := &draft{ledger: l, statuses: make(map[vedette.MonitorID]vedette.Status, l.lately)}
		d.batch.Results = l.results[:0]
		if err := fold(d); err != nil {
			return err
		}
		if d.empty() {
			return nil
		}
		err := l.record.cfg.Writer.Write(ctx, d.finish())
		if err == nil {
			d.adopt()
			l.keepMemory(d)
			return nil
		}
		if !errors.Is(err, vedette.ErrConflict) || attempt > maxConflicts {
			return fmt.Errorf("write %d results: %w", len(d.batch.Results), err)
		}
		if attempt > 1 && pause.Wait(ctx) != nil { // so that those who met do not meet again
			return err
		}
		if err := l.reread(ctx, slices.Collect(maps.Keys(d.statuses))); err != nil {
			return err
		}
	}
}

// keepMemory lets the next draft have the memory of this one, which is of about its size.
func (l *ledger) keepMemory(d *draft) {
	l.lately = len(d.statuses)
	if !l.all {
		l.results = d.batch.Results[:0]
	}
}

// maxConflicts is how often a batch is drafted anew: each time means that another writer got
// ahead, so that more are no accident.
const maxConflicts = 8

// reread replaces what is remembered of these monitors by what the store holds.
func (l *ledger) reread(ctx context.Context, ids []vedette.MonitorID) error {
	for page := range slices.Chunk(ids, 10*pageSize) {
		now, err := l.record.cfg.Reader.Latest(ctx, page...)
		if err != nil {
			return fmt.Errorf("read statuses: %w", err)
		}
		for _, id := range page {
			delete(l.statuses, id)
			if !l.all {
				l.statuses[id] = vedette.Status{Monitor: id}
			}
		}
		for _, s := range now {
			l.statuses[s.Monitor] = s
		}
	}
	return nil
}

// ready makes sure that what folding these results takes is at hand, and returns the definitions
// of their monitors, nil for one that is gone, until it is called again.
func (l *ledger) ready(ctx context.Context, results []vedette.Result) ([]*definition, error) {
	defs := slices.Grow(l.defined[:0], len(results))[:len(results)]
	l.defined = defs
	var ask []vedette.MonitorID
	for i := range results {
		r := &results[i]
		def, err := l.defs.of(ctx, r)
		if errors.Is(err, vedette.ErrNotFound) {
			defs[i] = nil
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read monitor %q: %w", r.Monitor, err)
		}
		defs[i] = def
		if _, known := l.statuses[r.Monitor]; !known && !l.all {
			ask = append(ask, r.Monitor)
		}
		if r.State == vedette.Down && l.record.cfg.Shared {
			ask = append(ask, def.DependsOn...) // others may have found out how its parents do
		}
	}
	if len(ask) == 0 {
		return defs, nil
	}
	slices.Sort(ask)
	return defs, l.reread(ctx, slices.Compact(ask))
}
