package record

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	// all says that entries holds every status there is. Otherwise it holds those that were
	// needed so far.
	all     bool
	entries map[vedette.MonitorID]*entry
	results []vedette.Result // memory for those of a draft, where News are done with when Told returns
	turn    int64            // counts drafts
}

// An entry is what is remembered of a monitor, and what the present draft makes of it.
type entry struct {
	status vedette.Status // as it is kept; Version 0 if none is
	read   bool           // status was read, or written by us

	turn  int64          // that of the draft that what follows is of
	next  vedette.Status // as it will be
	def   *definition    // nil if the monitor is gone
	list  []int32        // the results of the draft's fold that are of this monitor
	fresh bool           // next differs from status
}

func (r *Record) newLedger(all bool) *ledger {
	return &ledger{record: r, defs: r.defs, all: all, entries: make(map[vedette.MonitorID]*entry)}
}

// entry returns that of a monitor, and adds it if it is new.
func (l *ledger) entry(id vedette.MonitorID) *entry {
	e := l.entries[id]
	if e == nil {
		e = &entry{status: vedette.Status{Monitor: id}, read: l.all}
		l.entries[id] = e
	}
	return e
}

// status returns what is kept of a monitor, and whether there is something.
func (l *ledger) status(id vedette.MonitorID) (vedette.Status, bool) {
	if e := l.entries[id]; e != nil {
		return e.status, e.status.Version > 0
	}
	return vedette.Status{Monitor: id}, false
}

// readAll reads every status there is.
func (l *ledger) readAll(ctx context.Context) error {
	statuses, err := l.record.cfg.Reader.Latest(ctx)
	if err != nil {
		return fmt.Errorf("read statuses: %w", err)
	}
	clear(l.entries)
	for _, s := range statuses {
		l.entries[s.Monitor] = &entry{status: s, read: true}
	}
	return nil
}

// commit writes what fold drafts. When a status was changed by somebody else meanwhile, or by a
// commit of ours whose answer was lost, it reads that status again and drafts anew.
func (l *ledger) commit(ctx context.Context, fold func(*draft) error) error {
	pause := retry.Backoff{Min: 5 * time.Millisecond, Max: 100 * time.Millisecond}
	for attempt := 1; ; attempt++ {
		l.turn++
		d := &draft{ledger: l, turn: l.turn}
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
			return nil
		}
		if !errors.Is(err, vedette.ErrConflict) || attempt > maxConflicts {
			return fmt.Errorf("write %d results: %w", len(d.batch.Results), err)
		}
		if attempt > 1 && pause.Wait(ctx) != nil { // so that those who met do not meet again
			return err
		}
		if err := l.reread(ctx, d.touched()); err != nil {
			return err
		}
	}
}

// maxConflicts is how often a batch is drafted anew. Each time another writer got ahead: of ten who
// write the same monitors at once the last one tries ten times and more.
const maxConflicts = 32

// reread replaces what is remembered of these monitors by what the store holds.
func (l *ledger) reread(ctx context.Context, ids []vedette.MonitorID) error {
	for page := range slices.Chunk(ids, 10*pageSize) {
		now, err := l.record.cfg.Reader.Latest(ctx, page...)
		if err != nil {
			return fmt.Errorf("read statuses: %w", err)
		}
		for _, id := range page {
			e := l.entry(id)
			e.status, e.read = vedette.Status{Monitor: id}, true
		}
		for _, s := range now {
			l.entry(s.Monitor).status = s
		}
	}
	return nil
}

// ready makes sure that what it takes to fold these results is at hand, and returns the entries
// that they are of, in the order of their monitors.
func (l *ledger) ready(ctx context.Context, d *draft, results []vedette.Result) ([]*entry, error) {
	var touched []*entry
	var ask []vedette.MonitorID
	for i := range results {
		r := &results[i]
		e := l.entry(r.Monitor)
		if e.turn != d.turn {
			e.begin(d)
		}
		if len(e.list) == 0 {
			touched = append(touched, e)
			if !e.read {
				ask = append(ask, r.Monitor)
			}
		}
		e.list = append(e.list, int32(i)) //nolint:gosec // a batch is smaller
		if e.def == nil || e.def.Version < r.Revision {
			var err error
			if e.def, err = l.defs.of(ctx, r); err != nil && !errors.Is(err, vedette.ErrNotFound) {
				return nil, fmt.Errorf("read monitor %q: %w", r.Monitor, err)
			}
		}
		if r.State == vedette.Down && e.def != nil && l.record.cfg.Shared {
			ask = append(ask, e.def.DependsOn...) // others may have found out how its parents do
		}
	}
	slices.SortFunc(touched, func(a, b *entry) int {
		return strings.Compare(string(a.status.Monitor), string(b.status.Monitor))
	})
	if len(ask) == 0 {
		return touched, nil
	}
	slices.Sort(ask)
	return touched, l.reread(ctx, slices.Compact(ask))
}

// begin makes the entry one of d.
func (e *entry) begin(d *draft) {
	e.turn, e.fresh, e.def, e.list = d.turn, false, nil, e.list[:0]
}
