package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
)

// poll is how often Changes looks for what another process changed.
const poll = 250 * time.Millisecond

// monitors is the registry.
type monitors struct{ s *Store }

func (r monitors) Get(ctx context.Context, id vedette.MonitorID) (m vedette.Monitor, err error) {
	err = r.s.read(ctx, func(c *conn) error {
		found := false
		err := c.query(func(row []driver.Value) error {
			found = true
			return scanMonitor(row, &m)
		}, "select version, doc from monitors where id = ? and doc is not null", string(id))
		if err == nil && !found {
			err = vedette.ErrNotFound
		}
		return err
	})
	if err != nil {
		return vedette.Monitor{}, fmt.Errorf("get monitor %q: %w", id, err)
	}
	return m, nil
}

// scanMonitor reads (version, doc).
func scanMonitor(row []driver.Value, m *vedette.Monitor) error {
	if err := json.Unmarshal([]byte(row[1].(string)), m); err != nil {
		return fmt.Errorf("stored monitor: %w", err)
	}
	m.Version = row[0].(int64)
	return nil
}

// revision is the greatest of all, tombstones included.
const revision = "select coalesce(max(rev), 0) from monitors"

func (r monitors) List(ctx context.Context, after vedette.MonitorID, n int) (page []vedette.Monitor, rev int64, err error) {
	err = r.s.read(ctx, func(c *conn) (err error) {
		if rev, err = c.int(revision); err != nil {
			return err
		}
		return c.query(func(row []driver.Value) error {
			page = append(page, vedette.Monitor{})
			return scanMonitor(row, &page[len(page)-1])
		}, "select version, doc from monitors where id > ? and doc is not null order by id limit ?", string(after), int64(n))
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list monitors: %w", err)
	}
	return page, rev, nil
}

func (r monitors) Put(ctx context.Context, things ...vedette.Monitor) error {
	return r.change(ctx, things, (*tx).put)
}

func (r monitors) Delete(ctx context.Context, things ...vedette.Monitor) error {
	return r.change(ctx, things, (*tx).bury)
}

// change does one thing to all monitors, or none, and wakes who waits for changes.
func (r monitors) change(ctx context.Context, things []vedette.Monitor, do func(*tx, *vedette.Monitor, int64) error) error {
	err := r.s.update(ctx, func(tx *tx) error {
		rev, err := tx.int(revision)
		if err != nil {
			return err
		}
		for i := range things {
			if err := do(tx, &things[i], rev+1); err != nil {
				return fmt.Errorf("%q: %w", things[i].ID, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("change monitor: %w", err)
	}
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	close(r.s.changed)
	r.s.changed = make(chan struct{})
	return nil
}

// A stored is what is kept of a monitor's past: its last version, whether it is live, and the
// file that owns it.
type stored struct {
	version int64
	live    bool
	origin  string
}

func (t *tx) stored(id vedette.MonitorID) (old stored, err error) {
	err = t.query(func(row []driver.Value) error {
		old = stored{row[0].(int64), row[1].(int64) == 1, row[2].(string)}
		return nil
	}, "select version, doc is not null, origin from monitors where id = ?", string(id))
	return old, err
}

// allow says whether m may change what is stored.
func (old stored) allow(m *vedette.Monitor) error {
	switch {
	case old.live && m.Version != old.version, !old.live && m.Version != 0:
		return vedette.ErrConflict
	case old.live && old.origin != "" && m.Origin == "":
		return fmt.Errorf("owned by %s: %w", old.origin, vedette.ErrReadOnly)
	}
	return nil
}

func (t *tx) put(m *vedette.Monitor, rev int64) error {
	if m.ID == "" {
		return fmt.Errorf("no id: %w", vedette.ErrRefused)
	}
	old, err := t.stored(m.ID)
	if err == nil {
		err = old.allow(m)
	}
	if err != nil {
		return err
	}
	doc, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if !old.live {
		t.add("monitors", 1)
	}
	_, err = t.exec("insert or replace into monitors values (?, ?, ?, ?, ?)",
		string(m.ID), old.version+1, rev, m.Origin, string(doc))
	return err
}

// bury leaves a tombstone, so that Changes can tell of it and a monitor that comes back under
// its id goes on counting versions.
func (t *tx) bury(m *vedette.Monitor, rev int64) error {
	old, err := t.stored(m.ID)
	if err != nil || !old.live {
		return err
	}
	if err := old.allow(m); err != nil {
		return err
	}
	t.add("monitors", -1)
	_, err = t.exec("insert or replace into monitors values (?, ?, ?, '', null)", string(m.ID), old.version+1, rev)
	return err
}

func (r monitors) Changes(ctx context.Context, rev int64) (now []vedette.Monitor, gone []vedette.MonitorID, next int64, err error) {
	for {
		r.s.mu.Lock()
		changed := r.s.changed
		r.s.mu.Unlock()
		now, gone, next, err = r.since(ctx, rev)
		if err != nil {
			return nil, nil, rev, fmt.Errorf("read changes: %w", err)
		}
		if next != rev {
			return now, gone, next, nil
		}
		select {
		case <-changed:
		case <-time.After(poll):
		case <-ctx.Done():
			return nil, nil, rev, ctx.Err()
		}
	}
}

// since returns what changed after rev, and the present revision. A revision that is not yet
// comes from another store: all is news to it.
func (r monitors) since(ctx context.Context, rev int64) (now []vedette.Monitor, gone []vedette.MonitorID, next int64, err error) {
	err = r.s.read(ctx, func(c *conn) (err error) {
		next, err = c.int(revision)
		if err != nil || next == rev {
			return err
		}
		if rev > next {
			rev = 0
		}
		return c.query(func(row []driver.Value) error {
			if row[1] == nil {
				gone = append(gone, vedette.MonitorID(row[2].(string)))
				return nil
			}
			now = append(now, vedette.Monitor{})
			return scanMonitor(row, &now[len(now)-1])
		}, "select version, doc, id from monitors where rev > ? order by rev, id", rev)
	})
	return now, gone, next, err
}
