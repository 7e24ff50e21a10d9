package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/postgres"
	"github.com/vedettehq/vedette/redis"
	"github.com/vedettehq/vedette/sqlite"
	"github.com/vedettehq/vedette/worker"
)

// A store is what a worker works with.
type store interface {
	Jobs() vedette.Jobs
	Queue() vedette.Queue
	Feed() vedette.Feed
	KV() vedette.KV
	Close() error
}

// A place is an opened store on its server.
type place struct {
	store
	server func(context.Context) (time.Duration, error)
	hold   func(context.Context) (func(), error)
	drop   func() error
}

// An oursQueue is Vedette's worker on one of its stores.
type oursQueue struct {
	place
	concurrency int // 0 is the worker's own
	batch       int // to insert at once
}

func ours(open func(context.Context) (place, error), concurrency int) func(context.Context) (queue, error) {
	return func(ctx context.Context) (queue, error) {
		p, err := open(ctx)
		batch := 5000
		if concurrency == 0 {
			batch = 1000
		}
		return &oursQueue{p, concurrency, batch}, err
	}
}

func (q *oursQueue) server(ctx context.Context) (time.Duration, error) { return q.place.server(ctx) }

func (q *oursQueue) hold(ctx context.Context) (func(), error) { return q.place.hold(ctx) }

func (q *oursQueue) close() error { return errors.Join(q.Close(), q.drop()) }

// fresh returns n jobs that note when they were made, if asked for.
func fresh(n int, at int64) []vedette.Job {
	now, params := time.Now(), vedette.Raw(fmt.Sprintf(`{"at":%d}`, at))
	jobs := make([]vedette.Job, n)
	for i := range jobs {
		jobs[i] = vedette.Job{ID: vedette.NewID(now), Handler: "note", Params: params, MaxAttempts: 25}
	}
	return jobs
}

func (q *oursQueue) insert(ctx context.Context, n int) error {
	if q.batch == 1 {
		return each(ctx, n, func(ctx context.Context) error { return q.push(ctx, 1, 0) })
	}
	for n > 0 {
		k := min(n, q.batch)
		if err := q.push(ctx, k, 0); err != nil {
			return err
		}
		n -= k
	}
	return nil
}

func (q *oursQueue) push(ctx context.Context, n int, at int64) error {
	refused, err := q.Jobs().Push(ctx, fresh(n, at)...)
	if err == nil && len(refused) > 0 {
		return fmt.Errorf("%d jobs are refused", len(refused))
	}
	return err
}

func (q *oursQueue) wake(ctx context.Context) error { return q.push(ctx, 1, time.Now().UnixNano()) }

// noted returns what wake noted in j.
func noted(j vedette.Job) (time.Time, error) {
	var n note
	if err := json.Unmarshal(j.Params, &n); err != nil || n.At == 0 {
		return time.Time{}, err
	}
	return time.Unix(0, n.At), nil
}

func (q *oursQueue) work(ctx context.Context, handle func(time.Time)) (func() error, error) {
	w, err := worker.New(worker.Config{
		Queue: q.Queue(), Feed: q.Feed(), KV: q.KV(), Owner: unique(), Concurrency: q.concurrency,
		Handlers: map[string]vedette.Handler{
			"note": vedette.HandlerFunc(func(_ context.Context, t *vedette.Task) (string, error) {
				at, err := noted(t.Job)
				handle(at)
				return "", err
			}),
		},
	})
	if err != nil {
		return nil, err
	}
	return part(ctx, w), nil
}

// part runs a part until it is stopped.
func part(ctx context.Context, p vedette.Part) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	return sync.OnceValue(func() error { cancel(); return <-done })
}

func (q *oursQueue) claim(ctx context.Context, n int) error {
	if _, err := q.Queue().Beat(ctx, "claimer", time.Hour); err != nil || n == 0 {
		return err
	}
	got, err := q.Queue().Claim(ctx, "claimer", n, vedette.Want{Queue: vedette.DefaultQueue})
	if err == nil && len(got) != n {
		return fmt.Errorf("claimed %d, want %d", len(got), n)
	}
	return err
}

// A single claims and finishes one job with each call, from 50 goroutines.
type single struct{ *oursQueue }

func oursSingle(open func(context.Context) (place, error)) func(context.Context) (queue, error) {
	return func(ctx context.Context) (queue, error) {
		p, err := open(ctx)
		return single{&oursQueue{p, 0, 1}}, err
	}
}

func (q single) work(ctx context.Context, handle func(time.Time)) (func() error, error) {
	const side = 50
	owner := unique()
	if _, err := q.Queue().Beat(ctx, owner, time.Hour); err != nil {
		return nil, err
	}
	return part(ctx, vedette.PartFunc(func(ctx context.Context) error {
		g, ctx := errgroup.WithContext(ctx)
		for range side {
			g.Go(func() error {
				for {
					jobs, err := q.Queue().Claim(ctx, owner, 1, vedette.Want{Queue: vedette.DefaultQueue})
					if ctx.Err() != nil {
						return nil
					}
					if err != nil {
						return err
					}
					if err := q.end(context.WithoutCancel(ctx), jobs, handle); err != nil {
						return err
					}
				}
			})
		}
		return g.Wait()
	})), nil
}

// end handles jobs and says that they succeeded.
func (q single) end(ctx context.Context, jobs []vedette.Job, handle func(time.Time)) error {
	for _, j := range jobs {
		at, err := noted(j)
		if err != nil {
			return err
		}
		stale, err := q.Queue().Finish(ctx, vedette.End{Ref: j.Ref(), State: vedette.JobSucceeded})
		if err != nil || len(stale) > 0 {
			return cmp.Or(err, fmt.Errorf("%d ends are stale", len(stale)))
		}
		handle(at)
	}
	return nil
}

func openMemory(context.Context) (place, error) {
	return place{memory.New(), nothing{}.server, nothing{}.hold, func() error { return nil }}, nil
}

func openSQLite(ctx context.Context) (place, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return place{}, err
	}
	s, err := sqlite.Open(ctx, filepath.Join(dir, "vedette.db"), sqlite.Options{})
	return place{s, nothing{}.server, nothing{}.hold, func() error { return os.RemoveAll(dir) }}, err
}

func openPostgres(ctx context.Context) (place, error) {
	in, err := newSchema(ctx)
	if err != nil {
		return place{}, err
	}
	s, err := postgres.Open(ctx, in.url, postgres.Options{})
	return place{s, in.server, in.hold, in.drop}, err
}

func openRedis(ctx context.Context) (place, error) {
	u, err := url.Parse(os.Getenv(redisURL))
	if err != nil {
		return place{}, err
	}
	prefix := unique()
	q := u.Query()
	q.Set("prefix", prefix)
	u.RawQuery = q.Encode()
	o, err := goredis.ParseURL(os.Getenv(redisURL))
	if err != nil {
		return place{}, err
	}
	admin := goredis.NewClient(o)
	s, err := redis.Open(ctx, u.String(), redis.Options{})
	return place{
		store:  s,
		server: func(ctx context.Context) (time.Duration, error) { return redisCPU(ctx, admin) },
		hold:   nothing{}.hold,
		drop:   func() error { return errors.Join(dropKeys(admin, prefix), admin.Close()) },
	}, err
}

// dropKeys removes all keys of a prefix.
func dropKeys(c *goredis.Client, prefix string) error {
	ctx := context.Background()
	for cursor := uint64(0); ; {
		keys, next, err := c.Scan(ctx, cursor, "*"+prefix+"*", 10_000).Result()
		if err != nil {
			return err
		}
		if len(keys) > 0 {
			if err := c.Unlink(ctx, keys...).Err(); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}
