package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// How long a call waits for another process of ours before it ends that one's connection. What
// decides who owns something cannot wait; a write may wait for one that is at work.
const (
	patience      = 3 * time.Second
	writePatience = 15 * time.Second
)

// unblock ends connections of ours that a connection waits for and that wait for nobody: they
// belong to a process that was stopped in the middle of a transaction.
const unblock = `select pg_terminate_backend(pid), application_name
	from pg_stat_activity
	where pid = any (pg_blocking_pids($1::int4))
		and starts_with(application_name, $2)
		and wait_event_type is distinct from 'Lock'`

// hurry runs f on c and ends whoever of us keeps it waiting for longer than patience.
func (s *Store) hurry(ctx context.Context, c *pgx.Conn, patience time.Duration, f func() error) error {
	pid, done, gone := c.PgConn().PID(), make(chan struct{}), make(chan struct{})
	late := time.AfterFunc(patience, func() {
		defer close(gone)
		tick := time.NewTicker(patience)
		defer tick.Stop()
		for {
			s.end(ctx, pid)
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	})
	err := f()
	close(done)
	if !late.Stop() {
		<-gone
	}
	return err
}

// end ends whoever of us blocks pid, over a connection of its own, since those of the pool may
// all be waiting.
func (s *Store) end(ctx context.Context, pid uint32) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := once(ctx, s.pool.Config().ConnConfig, func(ctx context.Context, c *pgx.Conn) error {
		found, err := c.Query(ctx, unblock, pid, prefix)
		if err != nil {
			return err
		}
		defer found.Close()
		for found.Next() {
			var ended bool
			var name string
			if err := found.Scan(&ended, &name); err != nil {
				return err
			}
			s.log.Warn("ended a connection that held up others", "application_name", name, "ended", ended)
		}
		return found.Err()
	})
	if err != nil && ctx.Err() == nil {
		s.log.Warn("cannot end what holds up others", "err", err)
	}
}
