// Package postgres keeps everything in a PostgreSQL database (14 or later): it is what opens
// "postgres://USER:PASSWORD@HOST:PORT/DATABASE". Any number of processes may use one store. The
// tables are made for people too: results, statuses, incidents and rollups can be read with SQL.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

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
	// ReadOnly opens a store that is there already. All that would write reports ErrReadOnly.
	ReadOnly bool
	// Owner is shown in pg_stat_activity behind "vedette"; "" is the number of the process.
	Owner string
	Log   *slog.Logger // nil discards
}

// A Store is a Writer, a Reader and a Keeper, and has registries of monitors and scrapers, a
// Leaser, positions, dead letters, a queue of jobs with their schedules, a feed and small values. It is safe for concurrent use. While the server is away its calls report
// errors; they work again once it is back.
type Store struct {
	pool     *pgxpool.Pool
	readOnly bool
	log      *slog.Logger
	slots    marked
	schema   string // where the tables lie

	bells  bells
	herald *herald
	spots  spots
	ledger ledger
	desks  desks
	shared shared
	ripe   ripe
	round  round
	life   context.Context // ends with Close
	stop   context.CancelFunc
	closed atomic.Bool
}

// Open opens the store at url, a connection string of libpq's form, and makes its tables unless
// it is for reading. The tables lie in the first schema of search_path.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	cfg, err := config(url, o)
	if err != nil {
		return nil, err
	}
	s := &Store{readOnly: o.ReadOnly, log: o.Log}
	s.share()
	begin := s.begin
	if o.ReadOnly {
		begin = current
	}
	if err := once(ctx, cfg.ConnConfig, func(ctx context.Context, c *pgx.Conn) error {
		if err := begin(ctx, c); err != nil {
			return err
		}
		return c.QueryRow(ctx, "select current_schema()").Scan(&s.schema)
	}); err != nil {
		return nil, explain(cfg.ConnConfig, err)
	}
	s.life, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.herald = &herald{s: s, id: vedette.NewID(time.Now()).String(), pending: map[bell]ring{}}
	if s.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return nil, explain(cfg.ConnConfig, err)
	}
	return s, nil
}

// once runs f on a connection of its own.
func once(ctx context.Context, cfg *pgx.ConnConfig, f func(context.Context, *pgx.Conn) error) error {
	c, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(f(ctx, c), c.Close(ctx))
}

// begin makes the tables, and those of the days that results may come for.
func (s *Store) begin(ctx context.Context, c *pgx.Conn) error {
	if err := migrate(ctx, c, s.log); err != nil {
		return err
	}
	if err := results.addDaysAhead(ctx, c, time.Now()); err != nil {
		return err
	}
	return jobHistory.addDaysAhead(ctx, c, time.Now())
}

// Close waits for calls in progress. Later calls report fs.ErrClosed.
func (s *Store) Close() error {
	if !s.closed.Load() {
		s.herald.close()
		s.closed.Store(true)
		s.bells.ringAll() // those who wait learn of it
		s.pool.Close()
	}
	return nil
}

// use runs f on a connection of the pool. When one breaks, the idle ones are let go too, since
// what broke it is mostly a restart of the server.
func (s *Store) use(ctx context.Context, f func(*pgx.Conn) error) error {
	if s.closed.Load() {
		return fmt.Errorf("store: %w", fs.ErrClosed)
	}
	c, err := s.pool.Acquire(ctx)
	if err != nil {
		return explain(s.pool.Config().ConnConfig, err)
	}
	defer c.Release()
	err = f(c.Conn())
	if c.Conn().IsClosed() && ctx.Err() == nil {
		s.pool.Reset()
	}
	return err
}

// update runs f, which is a transaction or begins one and ends it, on a connection. It runs f
// again when the server chose it as the victim of a deadlock.
func (s *Store) update(ctx context.Context, f func(*pgx.Conn) error) error {
	if s.readOnly {
		return fmt.Errorf("store was opened for reading: %w", vedette.ErrReadOnly)
	}
	wait := retry.Backoff{Min: 5 * time.Millisecond, Max: 200 * time.Millisecond}
	for tries := 1; ; tries++ {
		err := s.use(ctx, func(c *pgx.Conn) error {
			err := f(c)
			if err != nil {
				rollback(ctx, c)
			}
			if codeOf(err) == checkViolation {
				// One that learned of the days while another attached one may never see that.
				_ = c.Close(ctx)
			}
			return err
		})
		if code := codeOf(err); code != serialization && code != deadlock || tries == 8 || wait.Wait(ctx) != nil {
			return err
		}
	}
}

// rollback ends what an error has left open. Its own error tells nothing: the pool closes a
// connection that is still in a transaction.
func rollback(ctx context.Context, c *pgx.Conn) {
	if c.IsClosed() || c.PgConn().TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, _ = c.Exec(ctx, "rollback")
}

// Shards returns the shard count of this store, which is the first one that was wanted.
func (s *Store) Shards(ctx context.Context, want int) (int, error) {
	var got *int
	err := s.use(ctx, func(c *pgx.Conn) error {
		return c.QueryRow(ctx, "select shards from settings").Scan(&got)
	})
	if err == nil && got == nil && !s.readOnly {
		err = s.update(ctx, func(c *pgx.Conn) error {
			return c.QueryRow(ctx, "update settings set shards = coalesce(shards, $1) returning shards", want).Scan(&got)
		})
	}
	if err != nil {
		return 0, fmt.Errorf("read shard count: %w", err)
	}
	if got == nil {
		return want, nil
	}
	return *got, nil
}

// Codes of errors, as PostgreSQL's appendix A has them.
const (
	uniqueViolation = "23505"
	checkViolation  = "23514" // also: no partition for a row
	serialization   = "40001"
	deadlock        = "40P01"
	lockTimeout     = "55P03"
	undefinedTable  = "42P01"
)

// codeOf returns the code of a server's error, or "".
func codeOf(err error) string {
	if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// refused marks errors that say that the data are wrong: they would be the same next time.
func refused(err error) error {
	code := codeOf(err)
	if code == "" {
		return err
	}
	switch code[:2] {
	case "22", "23", "54": // data exception, integrity violation, limit of the program
		return fmt.Errorf("%w: %w", vedette.ErrRefused, err)
	}
	return err
}
