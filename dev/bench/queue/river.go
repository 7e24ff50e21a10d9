package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"golang.org/x/sync/errgroup"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// A tuning is how River is set.
type tuning struct {
	workers  int
	clients  int
	cooldown time.Duration // 0 is River's
	poll     time.Duration
	batch    int // to insert at once
}

// tunedRiver has what River's own benchmark command sets.
func tunedRiver() tuning {
	return tuning{workers: 2000, clients: 1, cooldown: 2 * time.Millisecond, poll: 20 * time.Millisecond, batch: 5000}
}

func defaultRiver() tuning { return tuning{workers: 100, clients: 1, batch: 1000} }

func singleRiver() tuning {
	return tuning{workers: 1, clients: 4, cooldown: time.Millisecond, poll: time.Millisecond, batch: 1}
}

type note struct {
	At int64 `json:"at"`
}

func (note) Kind() string { return "note" }

// A riverQueue is River over one of its drivers.
type riverQueue[T any] struct {
	driver riverdriver.Driver[T]
	adder  *river.Client[T]
	t      tuning
}

func newRiver[T any](ctx context.Context, d riverdriver.Driver[T], t tuning) (*riverQueue[T], error) {
	migrator, err := rivermigrate.New(d, nil)
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	adder, err := river.NewClient(d, &river.Config{})
	return &riverQueue[T]{d, adder, t}, err
}

func (q *riverQueue[T]) insert(ctx context.Context, n int) error {
	if q.t.batch == 1 {
		return each(ctx, n, func(ctx context.Context) error {
			_, err := q.adder.Insert(ctx, note{}, nil)
			return err
		})
	}
	batch := make([]river.InsertManyParams, 0, q.t.batch)
	for n > 0 {
		batch = batch[:0]
		for range min(n, q.t.batch) {
			batch = append(batch, river.InsertManyParams{Args: note{}})
		}
		if _, err := q.adder.InsertManyFast(ctx, batch); err != nil {
			return err
		}
		n -= len(batch)
	}
	return nil
}

// each does n calls, 8 side by side.
func each(ctx context.Context, n int, call func(context.Context) error) error {
	const side = 8
	g, ctx := errgroup.WithContext(ctx)
	for i := range side {
		g.Go(func() error {
			for range (n + i) / side {
				if err := call(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (q *riverQueue[T]) wake(ctx context.Context) error {
	_, err := q.adder.Insert(ctx, note{time.Now().UnixNano()}, nil)
	return err
}

type noteWorker struct {
	river.WorkerDefaults[note]
	handle func(time.Time)
}

func (w *noteWorker) Work(_ context.Context, j *river.Job[note]) error {
	var at time.Time
	if j.Args.At > 0 {
		at = time.Unix(0, j.Args.At)
	}
	w.handle(at)
	return nil
}

func (q *riverQueue[T]) work(ctx context.Context, handle func(time.Time)) (func() error, error) {
	var clients []*river.Client[T]
	stop := func() error {
		var all error
		for _, c := range clients {
			all = errors.Join(all, c.Stop(context.WithoutCancel(ctx)))
		}
		return all
	}
	for range q.t.clients {
		workers := river.NewWorkers()
		river.AddWorker(workers, &noteWorker{handle: handle})
		c, err := river.NewClient(q.driver, &river.Config{
			Queues:        map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: q.t.workers}},
			Workers:       workers,
			FetchCooldown: q.t.cooldown, FetchPollInterval: q.t.poll,
		})
		if err != nil {
			return nil, errors.Join(err, stop())
		}
		if err := c.Start(ctx); err != nil {
			return nil, errors.Join(err, stop())
		}
		clients = append(clients, c)
	}
	return stop, nil
}

// claim asks River's driver for what its producer asks.
func (q *riverQueue[T]) claim(ctx context.Context, n int) error {
	if n == 0 {
		return nil
	}
	got, err := q.driver.GetExecutor().JobGetAvailable(ctx, &riverdriver.JobGetAvailableParams{
		ClientID: "bench", MaxAttemptedBy: 100, MaxToLock: n, Queue: river.QueueDefault,
	})
	if err != nil {
		return err
	}
	if len(got.Jobs) != n {
		return fmt.Errorf("claimed %d, want %d", len(got.Jobs), n)
	}
	return nil
}

// riverOnPostgres is River in a schema of its own.
type riverOnPostgres struct {
	*riverQueue[pgx.Tx]
	*schema
	pool *pgxpool.Pool
}

func (q riverOnPostgres) close() error {
	q.pool.Close()
	return q.drop()
}

func riverPostgres(t func() tuning) func(context.Context) (queue, error) {
	return func(ctx context.Context) (queue, error) {
		s, err := newSchema(ctx)
		if err != nil {
			return nil, err
		}
		pool, err := pgxpool.New(ctx, s.url+"&pool_max_conns=10")
		if err != nil {
			return nil, err
		}
		q, err := newRiver(ctx, riverpgxv5.New(pool), t())
		return riverOnPostgres{q, s, pool}, err
	}
}

// riverOnSQLite is River in a file, as safe against a loss of power as ours.
type riverOnSQLite struct {
	*riverQueue[*sql.Tx]
	nothing
	db  *sql.DB
	dir string
}

func (q riverOnSQLite) close() error { return errors.Join(q.db.Close(), os.RemoveAll(q.dir)) }

func riverSQLite(t func() tuning) func(context.Context) (queue, error) {
	return func(ctx context.Context) (queue, error) {
		dir, err := os.MkdirTemp("", "bench")
		if err != nil {
			return nil, err
		}
		db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "river.db")+
			"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)")
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(1)
		q, err := newRiver(ctx, riversqlite.New(db), t())
		return riverOnSQLite{q, nothing{}, db, dir}, err
	}
}
