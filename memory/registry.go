package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/vedettehq/vedette"
)

// A registry keeps things of one kind. A row of a deleted thing stays, so that Changes can tell of
// it and one that comes back under its id goes on counting versions.
type registry[K ~string, T any] struct {
	kind kind[K, T]

	mu      sync.Mutex
	rows    map[K]row[T]
	ids     []K // of the rows, in order; nil if a row was added since
	rev     int64
	changed chan struct{} // closed by the next change
}

// A kind is what a registry knows of the things it keeps.
type kind[K ~string, T any] struct {
	name  string
	id    func(T) K
	meta  func(*T) *vedette.Meta
	clone func(T) T // shares nothing that a holder could change
}

type row[T any] struct {
	thing T
	meta  vedette.Meta
	gone  bool
	rev   int64 // of its last change
}

func newRegistry[K ~string, T any](k kind[K, T]) *registry[K, T] {
	return &registry[K, T]{kind: k, rows: map[K]row[T]{}, changed: make(chan struct{})}
}

// fail says of which thing err is.
func (r *registry[K, T]) fail(id K, err error) error {
	return fmt.Errorf("%s %q: %w", r.kind.name, id, err)
}

func (r *registry[K, T]) Get(_ context.Context, id K) (T, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	row, ok := r.rows[id]
	if !ok || row.gone {
		return *new(T), r.fail(id, vedette.ErrNotFound)
	}
	return r.kind.clone(row.thing), nil
}

func (r *registry[K, T]) List(_ context.Context, after K, n int) ([]T, int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ids == nil {
		r.ids = slices.Sorted(maps.Keys(r.rows))
	}
	i, found := slices.BinarySearch(r.ids, after)
	if found {
		i++
	}
	var page []T
	for ; i < len(r.ids) && len(page) < n; i++ {
		if row := r.rows[r.ids[i]]; !row.gone {
			page = append(page, r.kind.clone(row.thing))
		}
	}
	return page, r.rev, nil
}

func (r *registry[K, T]) Put(_ context.Context, things ...T) error {
	return r.change(things, false)
}

func (r *registry[K, T]) Delete(_ context.Context, things ...T) error {
	return r.change(things, true)
}

// change puts or deletes things, all or none.
func (r *registry[K, T]) change(things []T, gone bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := make(map[K]row[T], len(things))
	for _, thing := range things {
		thing = r.kind.clone(thing)
		id, meta := r.kind.id(thing), r.kind.meta(&thing)
		old, known := next[id]
		if !known {
			old, known = r.rows[id]
		}
		live := known && !old.gone
		if gone && !live {
			continue
		}
		if err := allowed(string(id), *meta, old.meta, live); err != nil {
			return r.fail(id, err)
		}
		meta.Version = old.meta.Version + 1
		next[id] = row[T]{thing, *meta, gone, r.rev + 1}
	}
	r.keep(next)
	return nil
}

// keep makes next the present rows, and tells those who wait for changes.
func (r *registry[K, T]) keep(next map[K]row[T]) {
	if len(next) == 0 {
		return
	}
	r.rev++
	for id, row := range next {
		if _, known := r.rows[id]; !known {
			r.ids = nil
		}
		r.rows[id] = row
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// allowed says whether a thing of this id may replace what is stored.
func allowed(id string, m, old vedette.Meta, live bool) error {
	switch {
	case id == "":
		return fmt.Errorf("no id: %w", vedette.ErrRefused)
	case live && m.Version != old.Version, !live && m.Version != 0:
		return vedette.ErrConflict
	case live && old.Origin != "" && m.Origin == "":
		return fmt.Errorf("owned by %s: %w", old.Origin, vedette.ErrReadOnly)
	}
	return nil
}

func (r *registry[K, T]) Changes(ctx context.Context, rev int64) (now []T, gone []K, next int64, err error) {
	for {
		now, gone, next, changed := r.since(rev)
		if next != rev {
			return now, gone, next, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, nil, rev, ctx.Err()
		}
	}
}

// since returns what changed after rev, the present revision, and a channel that the next
// change closes. A revision that is not yet comes from another store: all is news to it.
func (r *registry[K, T]) since(rev int64) (now []T, gone []K, next int64, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rev == r.rev {
		return nil, nil, rev, r.changed
	}
	if rev > r.rev {
		rev = 0
	}
	for id, row := range r.rows {
		switch {
		case row.rev <= rev:
		case row.gone:
			gone = append(gone, id)
		default:
			now = append(now, r.kind.clone(row.thing))
		}
	}
	return now, gone, r.rev, r.changed
}

// count returns how many things there are.
func (r *registry[K, T]) count() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	var n int64
	for _, row := range r.rows {
		if !row.gone {
			n++
		}
	}
	return n
}
