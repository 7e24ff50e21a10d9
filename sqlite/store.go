// Package sqlite keeps everything in one SQLite file: it is what opens "sqlite:PATH". One
// process owns the file; others may read it meanwhile and, as guests, make changes of their own.
// What a call has kept is on disk when it returns.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/retry"
)

var (
	_ vedette.Writer = (*Store)(nil)
	_ vedette.Reader = (*Store)(nil)
	_ vedette.Keeper = (*Store)(nil)
)

// Options say how to open a Store. The zero value opens it for reading and writing.
type Options struct {
	// ReadOnly opens a store that another process may own. All that would write reports
	// ErrReadOnly.
	ReadOnly bool
	// Guest opens a store that another process may own, for short changes: of jobs, registries,
	// the feed and small values. What changes results and what follows from them reports
	// ErrReadOnly. The owner and other guests see a change within a quarter of a second.
	Guest bool
	Log   *slog.Logger // nil discards
}

// A Store is a Writer, a Reader and a Keeper, and has registries of monitors and scrapers, a
// Leaser, positions, dead letters, a queue of jobs with their schedules, a feed and small values.
// It is safe for concurrent use.
type Store struct {
	path     string
	readOnly bool
	guest    bool
	log      *slog.Logger
	lock     *os.File

	monitors *registry[vedette.MonitorID, vedette.Monitor]
	scrapers *registry[vedette.ScraperID, vedette.Scraper]
	tails    tails

	readers chan *conn // those that read; nil is one not yet opened
	copier  chan *conn // the one that copies the log into the file; nil is not yet opened
	writer  chan *conn // the one that writes; whoever took it may use what follows
	nums    map[vedette.MonitorID]int64
	hours   map[int64]int64 // by num, the hour that is dirty under a mark that nobody has read
	sweeps  map[string]place
	queues  map[string]int64
	pause   *time.Timer // until the store rests; nil before the first commit
	waiting

	mu     sync.Mutex
	calls  []*call // that wait for a transaction
	once   sync.Once
	closed chan struct{}
}

// Open opens the store at path, and creates it unless it is for reading. It reports ErrInUse if
// another process owns it. All leases end, and the claims of all workers: holding the file proves
// that those who held them are gone.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	s, err := open(ctx, path, o)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	return s, nil
}

func open(ctx context.Context, path string, o Options) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	s := &Store{
		path: path, readOnly: o.ReadOnly, guest: o.Guest && !o.ReadOnly, log: o.Log,
		writer: make(chan *conn, 1), copier: make(chan *conn, 1), readers: make(chan *conn, max(4, runtime.NumCPU())),
		nums: map[vedette.MonitorID]int64{}, hours: map[int64]int64{}, sweeps: map[string]place{},
		queues: map[string]int64{}, closed: make(chan struct{}),
		waiting: waiting{again: retry.Backoff{Min: poll, Max: lateMost}},
	}
	s.monitors, s.scrapers = newMonitors(s), newScrapers(s)
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.writer <- nil
	s.copier <- nil
	for range cap(s.readers) {
		s.readers <- nil
	}
	start := s.begin
	switch {
	case o.ReadOnly:
		start = s.look
	case o.Guest:
		start = s.visit
	}
	if err := start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// look checks that there is a store to read.
func (s *Store) look(ctx context.Context) error {
	if _, err := os.Stat(s.path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no store to read yet: %w", err)
	}
	return s.read(ctx, current)
}

// visit opens a store that another process may own.
func (s *Store) visit(ctx context.Context) error {
	if err := s.look(ctx); err != nil {
		return err
	}
	return s.connect("rw")
}

// connect opens the connection that writes.
func (s *Store) connect(mode string, pragmas ...string) error {
	c, err := connect(s.path, mode, append(pragmas,
		"synchronous = full", "wal_autocheckpoint = 4000", "cache_size = -32768", "temp_store = memory")...)
	if err != nil {
		return err
	}
	<-s.writer
	s.writer <- c
	return nil
}

// begin makes this process the owner.
func (s *Store) begin(ctx context.Context) (err error) {
	if s.lock, err = own(s.path); err != nil {
		return err
	}
	err = s.connect("rwc", "page_size = 4096", "auto_vacuum = incremental", "journal_mode = wal", "journal_size_limit = 67108864")
	if err != nil {
		return err
	}
	c := <-s.writer
	err = migrate(c, s.log)
	s.writer <- c
	if err != nil {
		return err
	}
	return s.update(ctx, func(tx *tx) error {
		_, err := tx.exec("update leases set expires = ?1 where expires > ?1", tx.now)
		if err == nil {
			_, err = tx.exec("update owners set ends = ?1 where ends > ?1", tx.now)
		}
		return err
	})
}

// Monitors returns the registry of monitors.
func (s *Store) Monitors() vedette.Monitors { return s.monitors }

// Scrapers returns the registry of scrapers.
func (s *Store) Scrapers() vedette.Scrapers { return s.scrapers }

// Leases returns the leases.
func (s *Store) Leases() vedette.Leaser { return leases{s} }

// Shards returns the shard count of this store, which is the first one that was wanted.
func (s *Store) Shards(ctx context.Context, want int) (int, error) {
	const stored = "select n from counts where name = 'shards'"
	var got int64
	err := s.read(ctx, func(c *conn) (err error) {
		got, err = c.int(stored)
		return err
	})
	if err == nil && got == 0 && !s.readOnly {
		err = s.update(ctx, func(tx *tx) error {
			if _, err := tx.exec("insert into counts values ('shards', ?) on conflict do nothing", int64(want)); err != nil {
				return err
			}
			got, err = tx.int(stored)
			return err
		})
	}
	if err != nil {
		return 0, fmt.Errorf("read shard count: %w", err)
	}
	if got == 0 {
		return want, nil
	}
	return int(got), nil
}

// Close waits for calls in progress and gives the store to the next owner. Later calls report
// fs.ErrClosed.
func (s *Store) Close() (err error) {
	s.once.Do(func() {
		close(s.closed)
		for range cap(s.readers) {
			err = errors.Join(err, shut(<-s.readers))
		}
		w := <-s.writer
		s.abandon()
		err = errors.Join(err, shut(<-s.copier), shut(w))
		if s.lock != nil {
			err = errors.Join(err, s.lock.Close())
		}
	})
	return err
}

func shut(c *conn) error {
	if c == nil {
		return nil
	}
	for _, stmt := range c.stmts {
		_ = stmt.(interface{ Close() error }).Close()
	}
	return c.Close()
}
