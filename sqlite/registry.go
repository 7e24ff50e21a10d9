package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
)

// A registry keeps things of one kind in a table. A row of a deleted thing stays, so that Changes
// can tell of it and one that comes back under its id goes on counting versions.
type registry[K ~string, T any] struct {
	kind kind[K, T]
	s    *Store

	mu      sync.Mutex
	changed chan struct{} // closed by the next change
}

// A kind is what a registry knows of the things it keeps.
type kind[K ~string, T any] struct {
	name  string
	table string
	id    func(*T) K
	meta  func(*T) *vedette.Meta
	raw   func(*T) *vedette.Raw // what is kept as it was written, spaces and all
}

func newRegistry[K ~string, T any](s *Store, k kind[K, T]) *registry[K, T] {
	return &registry[K, T]{kind: k, s: s, changed: make(chan struct{})}
}

func newMonitors(s *Store) *registry[vedette.MonitorID, vedette.Monitor] {
	return newRegistry(s, kind[vedette.MonitorID, vedette.Monitor]{
		name: "monitor", table: "monitors",
		id:   func(m *vedette.Monitor) vedette.MonitorID { return m.ID },
		meta: func(m *vedette.Monitor) *vedette.Meta { return &m.Meta },
		raw:  func(m *vedette.Monitor) *vedette.Raw { return &m.Probe },
	})
}

func newScrapers(s *Store) *registry[vedette.ScraperID, vedette.Scraper] {
	return newRegistry(s, kind[vedette.ScraperID, vedette.Scraper]{
		name: "scraper", table: "scrapers",
		id:   func(s *vedette.Scraper) vedette.ScraperID { return s.ID },
		meta: func(s *vedette.Scraper) *vedette.Meta { return &s.Meta },
		raw:  func(s *vedette.Scraper) *vedette.Raw { return &s.Job.Params },
	})
}

func (r *registry[K, T]) Get(ctx context.Context, id K) (thing T, err error) {
	err = r.s.read(ctx, func(c *conn) error {
		found := false
		err := c.query(func(row []driver.Value) error {
			found = true
			return r.scan(row, &thing)
		}, "select version, doc from "+r.kind.table+" where id = ? and doc is not null", string(id))
		if err == nil && !found {
			err = vedette.ErrNotFound
		}
		return err
	})
	if err != nil {
		return *new(T), fmt.Errorf("get %s %q: %w", r.kind.name, id, err)
	}
	return thing, nil
}

// scan reads (version, doc).
func (r *registry[K, T]) scan(row []driver.Value, thing *T) error {
	doc, raw, _ := strings.Cut(row[1].(string), "\n")
	if err := json.Unmarshal([]byte(doc), thing); err != nil {
		return fmt.Errorf("stored %s: %w", r.kind.name, err)
	}
	if raw != "" {
		*r.kind.raw(thing) = vedette.Raw(raw)
	}
	r.kind.meta(thing).Version = row[0].(int64)
	return nil
}

// doc returns a thing as it is stored: in JSON, whose encoder would take the spaces out of what
// is raw, and that on a line of its own.
func (r *registry[K, T]) doc(thing T) (string, error) {
	raw := *r.kind.raw(&thing)
	*r.kind.raw(&thing) = nil
	doc, err := json.Marshal(thing)
	if err != nil {
		return "", fmt.Errorf("encode: %w", err)
	}
	if len(raw) > 0 && !json.Valid(raw) {
		return "", fmt.Errorf("encode: %q is not JSON", raw)
	}
	return string(doc) + "\n" + string(raw), nil
}

// revision returns the greatest of all, tombstones included.
func (r *registry[K, T]) revision(c *conn) (int64, error) {
	return c.int("select coalesce(max(rev), 0) from " + r.kind.table)
}

func (r *registry[K, T]) List(ctx context.Context, after K, n int) (page []T, rev int64, err error) {
	err = r.s.read(ctx, func(c *conn) (err error) {
		if rev, err = r.revision(c); err != nil {
			return err
		}
		return c.query(func(row []driver.Value) error {
			page = append(page, *new(T))
			return r.scan(row, &page[len(page)-1])
		}, "select version, doc from "+r.kind.table+" where id > ? and doc is not null order by id limit ?", string(after), int64(n))
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list %ss: %w", r.kind.name, err)
	}
	return page, rev, nil
}

func (r *registry[K, T]) Put(ctx context.Context, things ...T) error {
	return r.change(ctx, things, r.put)
}

func (r *registry[K, T]) Delete(ctx context.Context, things ...T) error {
	return r.change(ctx, things, r.bury)
}

// change does one thing to all things, or none, and wakes who waits for changes.
func (r *registry[K, T]) change(ctx context.Context, things []T, do func(*tx, *T, int64) error) error {
	err := r.s.update(ctx, func(t *tx) error {
		rev, err := r.revision(t.conn)
		if err != nil {
			return err
		}
		for i := range things {
			if err := do(t, &things[i], rev+1); err != nil {
				return fmt.Errorf("%q: %w", r.kind.id(&things[i]), err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("change %s: %w", r.kind.name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.changed)
	r.changed = make(chan struct{})
	return nil
}

// A stored is what is kept of a thing's past: its last version, whether it is live, and the file
// that owns it.
type stored struct {
	version int64
	live    bool
	origin  string
}

func (r *registry[K, T]) stored(t *tx, id K) (old stored, err error) {
	err = t.query(func(row []driver.Value) error {
		old = stored{row[0].(int64), row[1].(int64) == 1, row[2].(string)}
		return nil
	}, "select version, doc is not null, origin from "+r.kind.table+" where id = ?", string(id))
	return old, err
}

// allow says whether m may change what is stored.
func (old stored) allow(m *vedette.Meta) error {
	switch {
	case old.live && m.Version != old.version, !old.live && m.Version != 0:
		return vedette.ErrConflict
	case old.live && old.origin != "" && m.Origin == "":
		return fmt.Errorf("owned by %s: %w", old.origin, vedette.ErrReadOnly)
	}
	return nil
}

func (r *registry[K, T]) put(t *tx, thing *T, rev int64) error {
	id, meta := r.kind.id(thing), r.kind.meta(thing)
	if id == "" {
		return fmt.Errorf("no id: %w", vedette.ErrRefused)
	}
	old, err := r.stored(t, id)
	if err == nil {
		err = old.allow(meta)
	}
	if err != nil {
		return err
	}
	doc, err := r.doc(*thing)
	if err != nil {
		return err
	}
	if !old.live {
		t.add(r.kind.table, 1)
	}
	_, err = t.exec("insert or replace into "+r.kind.table+" values (?, ?, ?, ?, ?)",
		string(id), old.version+1, rev, meta.Origin, doc)
	return err
}

// bury leaves a tombstone.
func (r *registry[K, T]) bury(t *tx, thing *T, rev int64) error {
	id := r.kind.id(thing)
	old, err := r.stored(t, id)
	if err != nil || !old.live {
		return err
	}
	if err := old.allow(r.kind.meta(thing)); err != nil {
		return err
	}
	t.add(r.kind.table, -1)
	_, err = t.exec("insert or replace into "+r.kind.table+" values (?, ?, ?, '', null)", string(id), old.version+1, rev)
	return err
}

func (r *registry[K, T]) Changes(ctx context.Context, rev int64) (now []T, gone []K, next int64, err error) {
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
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
func (r *registry[K, T]) since(ctx context.Context, rev int64) (now []T, gone []K, next int64, err error) {
	err = r.s.read(ctx, func(c *conn) (err error) {
		next, err = r.revision(c)
		if err != nil || next == rev {
			return err
		}
		if rev > next {
			rev = 0
		}
		return c.query(func(row []driver.Value) error {
			if row[1] == nil {
				gone = append(gone, K(row[2].(string)))
				return nil
			}
			now = append(now, *new(T))
			return r.scan(row, &now[len(now)-1])
		}, "select version, doc, id from "+r.kind.table+" where rev > ? order by rev, id", rev)
	})
	return now, gone, next, err
}
