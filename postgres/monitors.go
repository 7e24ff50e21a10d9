package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
)

// poll is how often Changes looks for what another process changed.
const poll = 200 * time.Millisecond

const (
	getMonitor = "select id, version, doc from monitors where id = $1 and doc is not null"

	// The revision comes from the same state of the store as the page does.
	listMonitors = `select id, version, doc, rev from (
			select id, version, doc from monitors where id > $1 and doc is not null order by id limit $2) as page
		right join (select rev from settings) as now on true
		order by id`

	changedMonitors = `select id, version, doc, now.rev
		from monitors right join settings as now on monitors.rev > case when $1 > now.rev then 0 else $1 end
		where $1 <> now.rev or id is null
		order by monitors.rev, id`

	// The lock of the one row lets changes happen one after another, so that no revision
	// becomes visible behind a greater one.
	lockRevision = "select rev from settings for update"

	storedMonitors = "select id, version, doc is not null, origin from monitors where id = any ($1::text[])"

	putMonitors = `insert into monitors
		select * from unnest($1::text[], $2::int8[], $3::int8[], $4::text[], $5::json[])
		on conflict (id) do update set
			version = excluded.version, rev = excluded.rev, origin = excluded.origin, doc = excluded.doc`
)

// monitors is the registry.
type monitors struct{ s *Store }

// Monitors returns the registry of monitors.
func (s *Store) Monitors() vedette.Monitors { return monitors{s} }

// A doc is a monitor as it is kept: all is null where none is.
type doc struct {
	id      *string
	version *int64
	text    []byte
	rev     int64
}

func (d *doc) read() (m vedette.Monitor, err error) {
	if err := json.Unmarshal(d.text, &m); err != nil {
		return m, fmt.Errorf("stored monitor %q: %w", *d.id, err)
	}
	m.Version = *d.version
	return m, nil
}

func (r monitors) Get(ctx context.Context, id vedette.MonitorID) (m vedette.Monitor, err error) {
	err = r.s.use(ctx, func(c *pgx.Conn) error {
		var d doc
		if err := c.QueryRow(ctx, getMonitor, clean(string(id))).Scan(&d.id, &d.version, &d.text); err != nil {
			return err
		}
		m, err = d.read()
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		err = vedette.ErrNotFound
	}
	if err != nil {
		return vedette.Monitor{}, fmt.Errorf("get monitor %q: %w", id, err)
	}
	return m, nil
}

// docs reads rows of (id, version, doc, rev).
func (r monitors) docs(ctx context.Context, sql string, args ...any) (all []doc, err error) {
	err = r.s.use(ctx, func(c *pgx.Conn) error {
		found, err := c.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(found, func(row pgx.CollectableRow) (d doc, err error) {
			return d, row.Scan(&d.id, &d.version, &d.text, &d.rev)
		})
		return err
	})
	return all, err
}

func (r monitors) List(ctx context.Context, after vedette.MonitorID, n int) (page []vedette.Monitor, rev int64, err error) {
	all, err := r.docs(ctx, listMonitors, clean(string(after)), n)
	for _, d := range all {
		rev = d.rev
		if d.id == nil {
			continue
		}
		m, broken := d.read()
		page, err = append(page, m), errors.Join(err, broken)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("list monitors: %w", err)
	}
	return page, rev, nil
}

func (r monitors) Put(ctx context.Context, things ...vedette.Monitor) error {
	return r.change(ctx, things, (*change).put)
}

func (r monitors) Delete(ctx context.Context, things ...vedette.Monitor) error {
	return r.change(ctx, things, (*change).bury)
}

// change does one thing to all monitors, or none, and wakes who waits for changes.
func (r monitors) change(ctx context.Context, things []vedette.Monitor, do func(*change, *vedette.Monitor) error) error {
	ids := make([]string, len(things))
	for i := range things {
		if ids[i] = string(things[i].ID); !named(things[i].ID) {
			return fmt.Errorf("change monitor: id %q: %w", ids[i], vedette.ErrRefused)
		}
	}
	err := r.s.update(ctx, func(c *pgx.Conn) error {
		if err := script(ctx, c, "begin"); err != nil {
			return err
		}
		ch := change{known: map[vedette.MonitorID]*stored{}}
		if err := ch.load(ctx, c, ids); err != nil {
			return err
		}
		for i := range things {
			if err := do(&ch, &things[i]); err != nil {
				return fmt.Errorf("%q: %w", things[i].ID, err)
			}
		}
		return ch.keep(ctx, c)
	})
	if err != nil {
		return fmt.Errorf("change monitor: %w", refused(err))
	}
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	close(r.s.changed)
	r.s.changed = make(chan struct{})
	return nil
}

// A stored is what is kept of a monitor: its last version, whether it is live, and the file that
// owns it.
type stored struct {
	version int64
	live    bool
	origin  string
	doc     []byte
	changed bool
}

// A change is one transaction of the registry.
type change struct {
	rev   int64
	known map[vedette.MonitorID]*stored
}

func (ch *change) load(ctx context.Context, c *pgx.Conn, ids []string) error {
	if err := c.QueryRow(ctx, lockRevision).Scan(&ch.rev); err != nil {
		return fmt.Errorf("lock revision: %w", err)
	}
	found, err := c.Query(ctx, storedMonitors, ids)
	if err != nil {
		return err
	}
	defer found.Close()
	for found.Next() {
		var id vedette.MonitorID
		one := &stored{}
		if err := found.Scan(&id, &one.version, &one.live, &one.origin); err != nil {
			return err
		}
		ch.known[id] = one
	}
	return found.Err()
}

// of returns what is stored of m, if m may change it.
func (ch *change) of(m *vedette.Monitor) (*stored, error) {
	old := ch.known[m.ID]
	if old == nil {
		old = &stored{}
		ch.known[m.ID] = old
	}
	switch {
	case old.live && m.Version != old.version, !old.live && m.Version != 0:
		return nil, vedette.ErrConflict
	case old.live && old.origin != "" && m.Origin == "":
		return nil, fmt.Errorf("owned by %s: %w", old.origin, vedette.ErrReadOnly)
	}
	return old, nil
}

func (ch *change) put(m *vedette.Monitor) error {
	old, err := ch.of(m)
	if err != nil {
		return err
	}
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	*old = stored{version: old.version + 1, live: true, origin: m.Origin, doc: text, changed: true}
	return nil
}

// bury leaves a tombstone, so that Changes can tell of it and a monitor that comes back under
// its id goes on counting versions.
func (ch *change) bury(m *vedette.Monitor) error {
	if old := ch.known[m.ID]; old == nil || !old.live {
		return nil
	}
	old, err := ch.of(m)
	if err == nil {
		*old = stored{version: old.version + 1, changed: true}
	}
	return err
}

// keep writes what has changed, under the next revision, and commits.
func (ch *change) keep(ctx context.Context, c *pgx.Conn) error {
	all := rows{oids: []uint32{oidText, oidInt8, oidInt8, oidText, oidJSON}}
	for id, one := range ch.known {
		if one.changed {
			all.add(func(b row) row {
				return b.text(string(id)).int8(one.version).int8(ch.rev + 1).text(clean(one.origin)).bytes(one.doc)
			})
		}
	}
	var steps []step
	if all.n > 0 {
		steps = append(steps, over("write monitors", putMonitors, &all), step{doing: "count revision", sql: "update settings set rev = rev + 1"})
	}
	_, err := pipe(ctx, c, append(steps, step{doing: "commit", sql: "commit"})...)
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
	all, err := r.docs(ctx, changedMonitors, rev)
	if err != nil {
		return nil, nil, rev, err
	}
	for _, d := range all {
		next = d.rev
		switch {
		case d.id == nil:
		case d.text == nil:
			gone = append(gone, vedette.MonitorID(*d.id))
		default:
			m, err := d.read()
			if err != nil {
				return nil, nil, rev, err
			}
			now = append(now, m)
		}
	}
	return slices.Clip(now), gone, next, nil
}
