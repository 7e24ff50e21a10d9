package sqlite

import (
	"context"
	"fmt"
	"io/fs"
	"maps"

	"github.com/vedettehq/vedette"
)

// A tx is what one call does within a transaction, and what is to be remembered of it once it
// is kept.
type tx struct {
	*conn
	s     *Store
	now   int64                       // in microseconds, by this host's wall clock
	delta map[string]int64            // of counts
	nums  map[vedette.MonitorID]int64 // new ones
	hours map[int64]int64             // dirtied

	dropped int64 // rows, by Prune

	queues    map[string]int64   // new ones
	owners    map[int64]owner    // that were looked up
	buried    []vedette.ID       // jobs that are to be moved to history
	graves    []any              // what is to be written there, row after row
	unsettled map[int64]struct{} // lanes that may not be as they say
	ready     bool               // there may be something for those who wait for jobs
	behind    bool               // there are jobs still to be promoted
	topics    []string           // that were appended to
}

// remember tells the store what it need not ask the file for.
func (t *tx) remember() {
	maps.Copy(t.s.nums, t.nums)
	maps.Copy(t.s.hours, t.hours)
	maps.Copy(t.s.queues, t.queues)
}

// unlearn makes the store ask the file again.
func (s *Store) unlearn() {
	clear(s.nums)
	clear(s.hours)
	clear(s.queues)
}

// alive says that neither ctx nor the store has ended.
func (s *Store) alive(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-s.closed:
		return fmt.Errorf("store: %w", fs.ErrClosed)
	default:
		return nil
	}
}

// take waits for a connection until ctx or the store ends.
func (s *Store) take(ctx context.Context, from chan *conn) (*conn, error) {
	if err := s.alive(ctx); err != nil {
		return nil, err
	}
	select {
	case c := <-from:
		return c, nil
	case <-s.closed:
		return nil, fmt.Errorf("store: %w", fs.ErrClosed)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// row returns a live job, or nil.
func (t *tx) row(id vedette.ID) (*row, error) {
	if err := t.dig(); err != nil {
		return nil, err
	}
	return t.conn.row(id)
}

// past returns a job that has ended, or nil.
func (t *tx) past(id vedette.ID) (*past, error) {
	if err := t.dig(); err != nil {
		return nil, err
	}
	return t.conn.past(id)
}

// flush writes what the transaction counted.
func (t *tx) flush() error {
	for name, n := range t.delta {
		if _, err := t.exec("update counts set n = n + ? where name = ?", n, name); err != nil {
			return fmt.Errorf("count %s: %w", name, err)
		}
	}
	return nil
}

// add counts rows of a table.
func (t *tx) add(table string, n int64) {
	if n != 0 {
		if t.delta == nil {
			t.delta = map[string]int64{}
		}
		t.delta[table] += n
	}
}

// mark returns a number that no slot was marked with before.
func (t *tx) mark() (int64, error) {
	n, err := t.int("select n from counts where name = 'mark'")
	t.add("mark", 1)
	return n + t.delta["mark"], err
}

// num returns the number of a monitor, and gives it one at its first use: the high bits of its
// hash, or the next that is free.
func (t *tx) num(id vedette.MonitorID) (int64, error) {
	if n, ok := t.s.nums[id]; ok {
		return n, nil
	}
	if n, ok := t.nums[id]; ok {
		return n, nil
	}
	n, known, err := t.monitor(id)
	if err != nil {
		return 0, fmt.Errorf("find monitor %q: %w", id, err)
	}
	if !known {
		n = int64(id.Hash() >> 24) //nolint:gosec // 40 bits
	}
	for !known {
		added, err := t.exec("insert into names values (?, ?) on conflict (num) do nothing", n, string(id))
		if err != nil {
			return 0, fmt.Errorf("number monitor %q: %w", id, err)
		}
		if known = added == 1; !known {
			n++
		}
	}
	if t.nums == nil {
		t.nums = map[vedette.MonitorID]int64{}
	}
	t.nums[id] = n
	return n, nil
}

// read runs f over one state of the store, whatever is written meanwhile.
func (s *Store) read(ctx context.Context, f func(*conn) error) (err error) {
	c, err := s.take(ctx, s.readers)
	if err != nil {
		return err
	}
	defer func() { s.readers <- c }()
	if c == nil {
		if c, err = connect(s.path, "ro", "query_only = on", "cache_size = -8192", "temp_store = memory"); err != nil {
			return err
		}
	}
	if _, err := c.exec("begin"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	err = f(c)
	if _, end := c.exec("commit"); err == nil && end != nil {
		err = fmt.Errorf("end: %w", end)
	}
	return err
}

// monitor returns the number of a monitor and whether it has one.
func (c *conn) monitor(id vedette.MonitorID) (num int64, known bool, err error) {
	return c.find("select num from names where id = ?", string(id))
}
