package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// An asynqQueue is Asynq in a queue of its own. It knows no batches: each task is a call.
type asynqQueue struct {
	nothing
	opt     asynq.RedisClientOpt
	name    string
	workers int
	client  *asynq.Client
	redis   *redis.Client
}

func asynqRedis(workers int) func(context.Context) (queue, error) {
	return func(context.Context) (queue, error) {
		o, err := redis.ParseURL(os.Getenv(redisURL))
		if err != nil {
			return nil, err
		}
		opt := asynq.RedisClientOpt{Addr: o.Addr, Username: o.Username, Password: o.Password, DB: o.DB, TLSConfig: o.TLSConfig}
		return &asynqQueue{opt: opt, name: unique(), workers: workers, client: asynq.NewClient(opt), redis: redis.NewClient(o)}, nil
	}
}

func (q *asynqQueue) server(ctx context.Context) (time.Duration, error) {
	return redisCPU(ctx, q.redis)
}

func (q *asynqQueue) add(ctx context.Context, payload []byte) error {
	_, err := q.client.EnqueueContext(ctx, asynq.NewTask("note", payload), asynq.Queue(q.name))
	return err
}

func (q *asynqQueue) insert(ctx context.Context, n int) error {
	return each(ctx, n, func(ctx context.Context) error { return q.add(ctx, []byte(`{"at":0}`)) })
}

func (q *asynqQueue) wake(ctx context.Context) error {
	return q.add(ctx, []byte(`{"at":`+strconv.FormatInt(time.Now().UnixNano(), 10)+`}`))
}

func (q *asynqQueue) work(_ context.Context, handle func(time.Time)) (func() error, error) {
	s := asynq.NewServer(q.opt, asynq.Config{
		Concurrency: q.workers, Queues: map[string]int{q.name: 1}, LogLevel: asynq.ErrorLevel,
	})
	err := s.Start(asynq.HandlerFunc(func(_ context.Context, t *asynq.Task) error {
		var n note
		if err := json.Unmarshal(t.Payload(), &n); err != nil {
			return err
		}
		var at time.Time
		if n.At > 0 {
			at = time.Unix(0, n.At)
		}
		handle(at)
		return nil
	}))
	return func() error { s.Shutdown(); return nil }, err
}

func (q *asynqQueue) claim(context.Context, int) error {
	return errNoClaim // its server alone claims
}

func (q *asynqQueue) close() error {
	i := asynq.NewInspector(q.opt)
	defer i.Close()
	if err := i.DeleteQueue(q.name, true); err != nil {
		return fmt.Errorf("delete queue: %w", err)
	}
	return errors.Join(q.client.Close(), q.redis.Close())
}
