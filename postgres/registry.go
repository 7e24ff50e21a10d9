package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
)

// A registry keeps things of one kind, in a table of rows that stay as tombstones when their things
// are deleted, so that Changes can tell of it and one that comes back under its id goes on counting
// versions.
type registry[K ~string, T any] struct {
	s    *Store
	kind kind[K, T]
}

// A kind is what a registry knows of the things that it keeps.
type kind[K ~string, T any] struct {
	name  string // of one thing
	table string
	rev   string // the column of settings that counts changes
	id    func(*T) K
	meta  func(*T) *vedette.Meta
	raw   func(*T) *vedette.Raw // which is kept as it is, byte by byte
}

// sql returns a statement of this registry's table and revision.
func (r registry[K, T]) sql(text string) string {
	return strings.NewReplacer("THINGS", r.kind.table, "REV", r.kind.rev).Replace(text)
}

func (r registry[K, T]) bell() bell { return bell("r" + r.kind.table) }

const (
	getThing = "select id, version, doc, raw from THINGS where id = $1 and doc is not null"

	// The revision comes from the same state of the store as the page does.
	listThings = `select id, version, doc, raw, rev from (
			select id, version, doc, raw from THINGS where id > $1 and doc is not null order by id limit $2) as page
		right join (select REV as rev from settings) as now on true
		order by id`

	changedThings = `select id, version, doc, raw, now.rev
		from THINGS as t right join (select REV as rev from settings) as now on t.rev > case when $1 > now.rev then 0 else $1 end
		where $1 <> now.rev or id is null
		order by t.rev, id`

	// The lock of the one row lets changes happen one after another, so that no revision
	// becomes visible behind a greater one.
	lockRevision = "select REV from settings for update"

	storedThings = "select id, version, doc is not null, origin from THINGS where id = any ($1::text[])"

	putThings = `insert into THINGS (id, version, rev, origin, doc, raw)
		select * from unnest($1::text[], $2::int8[], $3::int8[], $4::text[], $5::json[], $6::bytea[])
		on conflict (id) do update set
			version = excluded.version, rev = excluded.rev, origin = excluded.origin, doc = excluded.doc, raw = excluded.raw`

	countRevision = "update settings set REV = REV + 1"
)

// A doc is a thing as it is kept: all is null where none is.
type doc struct {
	id      *string
	version *int64
	text    []byte
	raw     []byte
	rev     int64
}

// read returns the thing of a doc.
func (r registry[K, T]) read(d *doc) (thing T, err error) {
	if err := json.Unmarshal(d.text, &thing); err != nil {
		return thing, fmt.Errorf("stored %s %q: %w", r.kind.name, *d.id, err)
	}
	r.kind.meta(&thing).Version = *d.version
	if len(d.raw) > 0 {
		*r.kind.raw(&thing) = d.raw
	}
	return thing, nil
}

func (r registry[K, T]) Get(ctx context.Context, id K) (thing T, err error) {
	err = r.s.use(ctx, func(c *pgx.Conn) error {
		var d doc
		if err := c.QueryRow(ctx, r.sql(getThing), clean(string(id))).Scan(&d.id, &d.version, &d.text, &d.raw); err != nil {
			return err
		}
		thing, err = r.read(&d)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		err = vedette.ErrNotFound
	}
	if err != nil {
		return *new(T), fmt.Errorf("get %s %q: %w", r.kind.name, id, err)
	}
	return thing, nil
}

// docs reads rows of (id, version, doc, raw, rev).
func (r registry[K, T]) docs(ctx context.Context, sql string, args ...any) (all []doc, err error) {
	err = r.s.use(ctx, func(c *pgx.Conn) error {
		found, err := c.Query(ctx, r.sql(sql), args...)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(found, func(row pgx.CollectableRow) (d doc, err error) {
			return d, row.Scan(&d.id, &d.version, &d.text, &d.raw, &d.rev)
		})
		return err
	})
	return all, err
}

func (r registry[K, T]) List(ctx context.Context, after K, n int) (page []T, rev int64, err error) {
	all, err := r.docs(ctx, listThings, clean(string(after)), n)
	for _, d := range all {
		rev = d.rev
		if d.id == nil {
			continue
		}
		thing, broken := r.read(&d)
		page, err = append(page, thing), errors.Join(err, broken)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("list %ss: %w", r.kind.name, err)
	}
	return page, rev, nil
}

func (r registry[K, T]) Put(ctx context.Context, things ...T) error {
	return r.change(ctx, things, (*change[K, T]).put)
}

func (r registry[K, T]) Delete(ctx context.Context, things ...T) error {
	return r.change(ctx, things, (*change[K, T]).bury)
}

// change does the same to all things, or to none, and wakes who waits for changes.
func (r registry[K, T]) change(ctx context.Context, things []T, do func(*change[K, T], *T) error) error {
	ids := make([]string, len(things))
	for i := range things {
		if ids[i] = string(r.kind.id(&things[i])); !named(ids[i]) {
			return fmt.Errorf("change %s: id %q: %w", r.kind.name, ids[i], vedette.ErrRefused)
		}
	}
	err := r.s.update(ctx, func(c *pgx.Conn) error {
		if err := script(ctx, c, "begin"); err != nil {
			return err
		}
		ch := change[K, T]{registry: r, known: map[K]*stored{}}
		if err := ch.load(ctx, c, ids); err != nil {
			return err
		}
		for i := range things {
			if err := do(&ch, &things[i]); err != nil {
				return fmt.Errorf("%q: %w", ids[i], err)
			}
		}
		return ch.keep(ctx, c)
	})
	if err != nil {
		return fmt.Errorf("change %s: %w", r.kind.name, refused(err))
	}
	r.s.herald.ring(ring{Bell: r.bell(), N: forAll})
	return nil
}

// A stored is what is kept of a thing: its last version, whether it is live, and the file that
// owns it.
type stored struct {
	version int64
	live    bool
	origin  string
	doc     []byte
	raw     []byte
	changed bool
}

// A change is one transaction of the registry.
type change[K ~string, T any] struct {
	registry[K, T]
	now   int64 // the revision
	known map[K]*stored
}

func (ch *change[K, T]) load(ctx context.Context, c *pgx.Conn, ids []string) error {
	if err := c.QueryRow(ctx, ch.sql(lockRevision)).Scan(&ch.now); err != nil {
		return fmt.Errorf("lock revision: %w", err)
	}
	found, err := c.Query(ctx, ch.sql(storedThings), ids)
	if err != nil {
		return err
	}
	defer found.Close()
	for found.Next() {
		var id K
		one := &stored{}
		if err := found.Scan(&id, &one.version, &one.live, &one.origin); err != nil {
			return err
		}
		ch.known[id] = one
	}
	return found.Err()
}

// of returns what is stored of a thing, if it may change that.
func (ch *change[K, T]) of(thing *T) (*stored, error) {
	id, meta := ch.kind.id(thing), ch.kind.meta(thing)
	old := ch.known[id]
	if old == nil {
		old = &stored{}
		ch.known[id] = old
	}
	switch {
	case old.live && meta.Version != old.version, !old.live && meta.Version != 0:
		return nil, vedette.ErrConflict
	case old.live && old.origin != "" && meta.Origin == "":
		return nil, fmt.Errorf("owned by %s: %w", old.origin, vedette.ErrReadOnly)
	}
	return old, nil
}

func (ch *change[K, T]) put(thing *T) error {
	old, err := ch.of(thing)
	if err != nil {
		return err
	}
	bare := *thing
	raw := *ch.kind.raw(&bare)
	*ch.kind.raw(&bare) = nil
	text, err := json.Marshal(&bare)
	if err == nil && raw != nil && !json.Valid(raw) {
		err = fmt.Errorf("what is not JSON: %w", vedette.ErrRefused)
	}
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	*old = stored{version: old.version + 1, live: true, origin: ch.kind.meta(thing).Origin, doc: text, raw: raw, changed: true}
	return nil
}

// bury leaves a tombstone.
func (ch *change[K, T]) bury(thing *T) error {
	if old := ch.known[ch.kind.id(thing)]; old == nil || !old.live {
		return nil
	}
	old, err := ch.of(thing)
	if err == nil {
		*old = stored{version: old.version + 1, changed: true}
	}
	return err
}

// keep writes what has changed, under the next revision, and commits.
func (ch *change[K, T]) keep(ctx context.Context, c *pgx.Conn) error {
	all := rows{oids: []uint32{oidText, oidInt8, oidInt8, oidText, oidJSON, oidBytea}}
	for id, one := range ch.known {
		if one.changed {
			all.add(func(b row) row {
				return b.text(string(id)).int8(one.version).int8(ch.now + 1).text(clean(one.origin)).bytes(one.doc).bytes(one.raw)
			})
		}
	}
	var steps []step
	if all.n > 0 {
		steps = append(steps, over("write them", ch.sql(putThings), &all), step{doing: "count revision", sql: ch.sql(countRevision)})
	}
	_, err := pipe(ctx, c, append(steps, step{doing: "commit", sql: "commit"})...)
	return err
}

func (r registry[K, T]) Changes(ctx context.Context, rev int64) (now []T, gone []K, next int64, err error) {
	w := r.s.bells.wait(r.bell())
	defer r.s.bells.leave(w, false)
	for {
		now, gone, next, err = r.since(ctx, rev)
		if err != nil {
			return nil, nil, rev, fmt.Errorf("read changes: %w", err)
		}
		if next != rev {
			return now, gone, next, nil
		}
		r.s.herald.hear()
		if err := w.wait(ctx, math.MaxInt64); err != nil {
			return nil, nil, rev, err
		}
	}
}

// since returns what changed after rev, and the present revision. A revision that is not yet
// comes from another store: all is news to it.
func (r registry[K, T]) since(ctx context.Context, rev int64) (now []T, gone []K, next int64, err error) {
	all, err := r.docs(ctx, changedThings, rev)
	if err != nil {
		return nil, nil, rev, err
	}
	for _, d := range all {
		next = d.rev
		switch {
		case d.id == nil:
		case d.text == nil:
			gone = append(gone, K(*d.id))
		default:
			thing, err := r.read(&d)
			if err != nil {
				return nil, nil, rev, err
			}
			now = append(now, thing)
		}
	}
	return slices.Clip(now), gone, next, nil
}
