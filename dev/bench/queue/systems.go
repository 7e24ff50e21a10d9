package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/vedettehq/vedette"
)

const (
	postgresURL = "VEDETTE_TEST_POSTGRES"
	redisURL    = "VEDETTE_TEST_REDIS"
)

// systems are all that can be measured: each peer, then ours beside it. Those with "default" are
// as their makers set them; the others are set for throughput; "1 a call" inserts, claims and
// finishes one job with each call, as far as that can be asked for.
func systems() []system {
	return []system{
		{name: "river postgres", needs: postgresURL, open: riverPostgres(tunedRiver)},
		{name: "vedette postgres", needs: postgresURL, beside: "river postgres", open: ours(openPostgres, 2000)},
		{name: "river postgres default", brief: true, needs: postgresURL, open: riverPostgres(defaultRiver)},
		{name: "vedette postgres default", brief: true, needs: postgresURL, beside: "river postgres default", open: ours(openPostgres, 0)},
		{name: "river postgres 1 a call", needs: postgresURL, brief: true, open: riverPostgres(singleRiver)},
		{name: "vedette postgres 1 a call", needs: postgresURL, brief: true, beside: "river postgres 1 a call", open: oursSingle(openPostgres)},

		{name: "river sqlite", open: riverSQLite(tunedRiver)},
		{name: "vedette sqlite", beside: "river sqlite", open: ours(openSQLite, 1000)},
		{name: "river sqlite default", brief: true, open: riverSQLite(defaultRiver)},
		{name: "vedette sqlite default", brief: true, beside: "river sqlite default", open: ours(openSQLite, 0)},
		{name: "vedette sqlite 1 a call", brief: true, open: oursSingle(openSQLite)},

		{name: "asynq redis", needs: redisURL, open: asynqRedis(50)},
		{name: "vedette redis", needs: redisURL, beside: "asynq redis", open: ours(openRedis, 1000)},
		{name: "asynq redis default", brief: true, needs: redisURL, open: asynqRedis(0)},
		{name: "vedette redis default", brief: true, needs: redisURL, beside: "asynq redis default", open: ours(openRedis, 0)},
		{name: "vedette redis 1 a call", needs: redisURL, beside: "asynq redis", brief: true, open: oursSingle(openRedis)},

		{name: "vedette memory", open: ours(openMemory, 1000)},
		{name: "vedette memory default", brief: true, open: ours(openMemory, 0)},
	}
}

// missing says what it lacks to be measured.
func (s system) missing() string {
	if s.needs != "" && os.Getenv(s.needs) == "" {
		return s.needs + " is not set: run env $(dev/services env) ..."
	}
	return ""
}

// unique returns a name that nothing else has.
func unique() string {
	return "bench_" + strings.ReplaceAll(vedette.NewID(time.Now()).String(), "-", "")
}

// A schema is a set of tables of our own on the test server.
type schema struct {
	admin *pgxpool.Pool
	name  string
	url   string
}

func newSchema(ctx context.Context) (*schema, error) {
	base := os.Getenv(postgresURL)
	admin, err := pgxpool.New(ctx, base)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	s := &schema{admin: admin, name: unique()}
	if _, err := admin.Exec(ctx, "create schema "+s.name); err != nil {
		return nil, fmt.Errorf("create schema: %w", err)
	}
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	q := u.Query()
	q.Set("search_path", s.name)
	u.RawQuery = q.Encode()
	s.url = u.String()
	return s, nil
}

func (s *schema) server(ctx context.Context) (time.Duration, error) { return postgresCPU(ctx, s.admin) }

// hold keeps a snapshot open, as a report or a backup does: what is deleted meanwhile stays in
// the tables and indexes.
func (s *schema) hold(ctx context.Context) (func(), error) {
	c, err := s.admin.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := c.Exec(ctx, "begin isolation level repeatable read; select count(*) from pg_class"); err != nil {
		return nil, err
	}
	return func() {
		_, _ = c.Exec(context.Background(), "rollback")
		c.Release()
	}, nil
}

func (s *schema) drop() error {
	defer s.admin.Close()
	_, err := s.admin.Exec(context.Background(), "drop schema "+s.name+" cascade")
	return err
}

// nothing is a server that uses no CPU of its own, and knows no snapshots that last.
type nothing struct{}

func (nothing) server(context.Context) (time.Duration, error) { return 0, nil }

func (nothing) hold(context.Context) (func(), error) { return nil, nil }
