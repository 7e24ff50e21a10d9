package sqlite

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/retry"
)

// poll is how often those who wait look for what another process changed.
const poll = 200 * time.Millisecond

// lateMost is how long a look that fails, as on a full disk, waits for the next one.
const lateMost = 5 * time.Second

// net is how often those who wait for jobs look for them although nothing told them to: the
// clock may have been set.
const net = time.Second

// The claimers, the longest waiting first, and all below belong to who holds the connection that
// writes: no transaction comes between a look for jobs and the wait for them.
type waiting struct {
	claimers []*claimer
	timer    *time.Timer
	again    retry.Backoff // of the timer, while what it does fails
	behind   bool          // there is more to be promoted than the last transaction did
	due      int64         // when time alone makes something ready next, 0 is never
	looked   time.Time     // for the last time
	version  int64         // of the file, when other processes changed it last
}

// await waits until c has jobs, or an error.
func (s *Store) await(ctx context.Context, c *claimer) ([]vedette.Job, error) {
	select {
	case <-c.done:
	case <-ctx.Done():
		s.leave(c, ctx.Err())
		<-c.done
	}
	return c.jobs, c.err
}

// leave ends c's wait with err, unless it has jobs by now.
func (s *Store) leave(c *claimer, err error) {
	select {
	case <-c.done:
	case w := <-s.writer:
		if slices.Contains(s.claimers, c) {
			c.err = err
			s.dismiss([]*claimer{c})
		}
		s.writer <- w
	case <-s.closed:
	}
}

// dismiss ends waits.
func (s *Store) dismiss(all []*claimer) {
	if len(all) == 0 {
		return
	}
	s.claimers = slices.DeleteFunc(s.claimers, func(c *claimer) bool { return slices.Contains(all, c) })
	for _, c := range all {
		close(c.done)
	}
}

// serve hands jobs to those who wait for them.
func (g *group) serve() error {
	g.s.looked = time.Now()
	empty := map[string]bool{}
	for _, c := range g.s.claimers {
		if !slices.ContainsFunc(c.from, func(w vedette.Want) bool { return !empty[w.Queue] }) {
			continue
		}
		one := &call{do: func(t *tx) (err error) {
			c.jobs, err = t.claimFor(c, empty)
			return err
		}}
		if err := g.try(one, false); err != nil {
			return err
		}
		if c.err = one.err; c.err != nil || len(c.jobs) > 0 {
			g.served = append(g.served, c)
		}
	}
	return nil
}

// arm sets the timer while there is somebody to be woken by it, or something to be promoted.
func (s *Store) arm(w *conn) {
	if len(s.claimers) == 0 && !s.behind {
		return
	}
	var err error
	s.due, err = w.int(`select coalesce(min(at), 0) from (
		select min(run_at) as at from jobs where state in (1, 4) union all select min(at) from lanes where held = 2)`)
	if err != nil {
		s.log.Warn("cannot tell when jobs come due", "err", err)
	}
	wait := poll
	if s.due > 0 {
		wait = min(poll, max(time.Until(time.UnixMicro(s.due)), 0))
	}
	if s.timer == nil {
		s.timer = time.AfterFunc(wait, s.tick)
		return
	}
	s.timer.Reset(wait)
}

// tick looks for jobs on behalf of those who wait, or will come.
func (s *Store) tick() {
	w, err := s.take(context.Background(), s.writer)
	if err != nil {
		return
	}
	defer func() { s.writer <- w }()
	version, err := w.int("pragma data_version")
	now := time.Now()
	switch {
	case s.behind:
	case len(s.claimers) == 0:
		return
	case err == nil && version == s.version && (s.due == 0 || now.UnixMicro() < s.due) && now.Sub(s.looked) < net:
		s.arm(w)
		return
	}
	s.version = version
	look := &call{done: make(chan struct{}), do: func(t *tx) error {
		t.ready = true
		return t.promote()
	}}
	s.mu.Lock()
	s.calls = append(s.calls, look)
	s.mu.Unlock()
	s.commit(w)
	select {
	case <-look.done:
	default:
		return // it waits for the next transaction
	}
	if look.err == nil {
		s.again.Reset()
		return
	}
	wait := s.again.Next()
	s.log.Warn("cannot look for jobs that are due, trying again", "in", wait, "err", look.err)
	s.timer.Reset(wait)
}

// abandon ends all waits, for good.
func (s *Store) abandon() {
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.pause != nil {
		s.pause.Stop()
	}
	closed := fmt.Errorf("store: %w", fs.ErrClosed)
	for _, c := range s.next() {
		c.err = closed
		close(c.done)
	}
	for _, c := range s.claimers {
		c.err = closed
	}
	s.dismiss(slices.Clone(s.claimers))
}
