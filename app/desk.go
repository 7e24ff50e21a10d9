package app

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/vedettehq/vedette"
)

// A Desk is where people look at scrapers and jobs, and change them. Make it with [OpenDesk]. It
// is safe for concurrent use.
type Desk struct {
	store *store
	// What refuses changes where people may make none, see [DeskConfig].
	scrapers vedette.Scrapers
	jobs     vedette.Jobs
	queues   vedette.Queues
}

// A DeskConfig says what to open.
type DeskConfig struct {
	Store, Queue string // URLs; an empty Queue is the store
	// Change opens them for changes, beside the process that owns them.
	Change bool
	// ReadOnly says, by the name of the file, that people change nothing: with Change OpenDesk
	// reports [vedette.ErrReadOnly].
	ReadOnly string
	Log      *slog.Logger // nil discards
}

// OpenDesk opens a store, and its queue, beside the processes that run on them.
func OpenDesk(ctx context.Context, c DeskConfig) (*Desk, error) {
	as := look
	if c.Change {
		as = visit
	}
	if c.Change && c.ReadOnly != "" {
		return nil, refusal{c.ReadOnly}.err()
	}
	s, err := openBoth(ctx, c.Store, c.Queue, as, c.Log)
	if err != nil {
		return nil, err
	}
	return newDesk(s, c.ReadOnly), nil
}

// Desk is that of the app's own store. It makes no changes where the file says read_only.
func (a *App) Desk() *Desk {
	file := ""
	if f := a.file.Load(); f != nil && f.ReadOnly {
		file = a.cfg.File
	}
	return newDesk(a.store, file)
}

func newDesk(s *store, readOnly string) *Desk {
	d := &Desk{store: s, scrapers: s.scrapers, jobs: s.queue.jobs, queues: s.queue.queues}
	if readOnly != "" {
		r := refusal{readOnly}
		d.scrapers, d.jobs, d.queues = readOnlyScrapers{d.scrapers, r}, readOnlyJobs{d.jobs, r}, r
	}
	return d
}

// Close closes the store and the queue.
func (d *Desk) Close() error { return d.store.close() }

// A refusal is what people meet who change what the file says is read-only.
type refusal struct{ file string }

func (r refusal) err() error {
	return fmt.Errorf("%s says read_only: true: %w", r.file, vedette.ErrReadOnly)
}

// Pause implements [vedette.Queues].
func (r refusal) Pause(context.Context, ...string) error { return r.err() }

// Resume implements [vedette.Queues].
func (r refusal) Resume(context.Context, ...string) error { return r.err() }

type readOnlyJobs struct {
	vedette.Jobs
	refusal
}

func (r readOnlyJobs) Push(context.Context, ...vedette.Job) ([]vedette.ID, error) {
	return nil, r.err()
}
func (r readOnlyJobs) Cancel(context.Context, string, ...vedette.ID) error { return r.err() }

type readOnlyScrapers struct {
	vedette.Scrapers
	refusal
}

func (r readOnlyScrapers) Put(context.Context, ...vedette.Scraper) error    { return r.err() }
func (r readOnlyScrapers) Delete(context.Context, ...vedette.Scraper) error { return r.err() }
