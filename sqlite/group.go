package sqlite

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	"github.com/vedettehq/vedette"
)

// gather is for how long a transaction takes further calls: so long, and for a commit, does a
// call wait that comes while others are at work.
const gather = 5 * time.Millisecond

// A call is a change that somebody waits for.
type call struct {
	do   func(*tx) error
	done chan struct{} // closed when err says how it ended
	err  error
}

// update runs f in a transaction that is kept when update returns nil; if f or the disk fails,
// nothing of it is. Calls that come while others are being committed share the next
// transaction, and the one of them that gets the connection works for all: a single caller
// never waits for others, and many pay for one sync of the disk.
func (s *Store) update(ctx context.Context, f func(*tx) error) error {
	if err := s.mayChange(ctx); err != nil {
		return err
	}
	c := &call{do: f, done: make(chan struct{})}
	s.mu.Lock()
	s.calls = append(s.calls, c)
	s.mu.Unlock()
	ended, closed := ctx.Done(), s.closed
	for {
		select {
		case <-c.done:
			return c.err
		case w := <-s.writer:
			s.commit(w)
			s.writer <- w
		case <-closed:
			s.withdraw(c, fmt.Errorf("store: %w", fs.ErrClosed))
			ended, closed = nil, nil
		case <-ended:
			s.withdraw(c, ctx.Err())
			ended, closed = nil, nil
		}
	}
}

// owned is update for what the owner of the file alone may do, since it remembers what is in it.
func (s *Store) owned(ctx context.Context, f func(*tx) error) error {
	if s.guest {
		return fmt.Errorf("store was opened as a guest: %w", vedette.ErrReadOnly)
	}
	return s.update(ctx, f)
}

func (s *Store) mayChange(ctx context.Context) error {
	if s.readOnly {
		return fmt.Errorf("store was opened for reading: %w", vedette.ErrReadOnly)
	}
	return s.alive(ctx)
}

// withdraw ends c with err, unless somebody is at work on it.
func (s *Store) withdraw(c *call, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, one := range s.calls {
		if one == c {
			s.calls = append(s.calls[:i:i], s.calls[i+1:]...)
			c.err = err
			close(c.done)
			return
		}
	}
}

// commit does all calls that wait, in one transaction, and tells those who made them.
func (s *Store) commit(w *conn) {
	calls := s.next()
	if len(calls) == 0 {
		return
	}
	g := &group{conn: w, s: s}
	if err := g.run(calls); err != nil {
		g.fail(calls, err)
	}
	s.put(calls[g.done:])
	g.tell(calls[:g.done])
	s.behind = g.behind
	s.arm(w)
	s.tire()
}

// next takes the calls that wait.
func (s *Store) next() []*call {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// put lets calls that found no room wait on, before all others.
func (s *Store) put(calls []*call) {
	if len(calls) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(calls, s.calls...)
}

// A group is the calls that share a transaction.
type group struct {
	*conn
	s      *Store
	began  time.Time
	done   int // how many calls were tried
	ready  bool
	behind bool
	served []*claimer
	topics []string
}

// run does calls and keeps what they did.
func (g *group) run(calls []*call) error {
	if _, err := g.exec("begin immediate"); err != nil {
		g.done = len(calls)
		return fmt.Errorf("begin: %w", err)
	}
	g.began = time.Now()
	alone := len(calls) == 1
	for _, c := range calls {
		if g.done > 0 && time.Since(g.began) > gather {
			break
		}
		g.done++
		if err := g.try(c, alone); err != nil {
			return err
		}
	}
	if alone && calls[0].err != nil {
		_, _ = g.exec("rollback")
		return nil //nolint:nilerr // the call has its error
	}
	if g.ready {
		if err := g.serve(); err != nil {
			return err
		}
	}
	if _, err := g.exec("commit"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// try does one call, and undoes what a failed one did. It returns an error if what the others
// did is undone too.
func (g *group) try(c *call, alone bool) error {
	t := &tx{conn: g.conn, s: g.s, now: time.Now().UnixMicro(), behind: g.behind}
	if alone {
		c.err = t.do(c.do)
	} else if err := g.nest(func() error { c.err = t.do(c.do); return c.err }); err != nil {
		return err
	}
	if c.err == nil {
		t.remember()
		g.ready, g.behind = g.ready || t.ready, g.behind || t.behind
		g.topics = append(g.topics, t.topics...)
	}
	return nil
}

// nest runs f and undoes what it did if it fails. After some errors, like that of a full disk,
// SQLite has undone the whole transaction by itself: then nest returns that error.
func (g *group) nest(f func() error) error {
	if _, err := g.exec("savepoint one"); err != nil {
		return fmt.Errorf("set savepoint: %w", err)
	}
	failed := f()
	if failed != nil {
		if _, err := g.exec("rollback to one"); err != nil {
			return failed
		}
	}
	if _, err := g.exec("release one"); err != nil {
		return fmt.Errorf("release savepoint: %w", err)
	}
	return nil
}

// do runs f and writes what it leaves to be written at the end.
func (t *tx) do(f func(*tx) error) error {
	if err := f(t); err != nil {
		return err
	}
	for _, rest := range []func() error{t.dig, t.settle, t.flush} {
		if err := rest(); err != nil {
			return err
		}
	}
	return nil
}

// fail undoes all that was done. What the store remembers may be of it.
func (g *group) fail(calls []*call, err error) {
	// SQLite may have rolled back by itself, and then says that there is nothing to roll back.
	_, _ = g.exec("rollback")
	g.s.unlearn()
	for _, c := range g.served {
		c.jobs, c.err = nil, nil
	}
	g.served, g.topics, g.behind = nil, nil, false
	for _, c := range calls[:g.done] {
		if c.err == nil {
			c.err = err
		}
	}
}

// tell wakes those whose calls are done, and those who wait for what was done.
func (g *group) tell(calls []*call) {
	for _, c := range calls {
		close(c.done)
	}
	g.s.dismiss(g.served)
	g.s.tails.wake(g.topics)
}
