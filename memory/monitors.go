package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/vedettehq/vedette"
)

// monitors is the registry. A row of a deleted monitor stays, so that Changes can tell of it
// and a monitor that comes back under its id goes on counting versions.
type monitors struct {
	mu      sync.Mutex
	rows    map[vedette.MonitorID]row
	ids     []vedette.MonitorID // of the rows, in order; nil if a row was added since
	rev     int64
	changed chan struct{} // closed by the next change
}

type row struct {
	vedette.Monitor
	gone bool
	rev  int64 // of its last change
}

func (r *monitors) Get(_ context.Context, id vedette.MonitorID) (vedette.Monitor, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	row, ok := r.rows[id]
	if !ok || row.gone {
		return vedette.Monitor{}, fmt.Errorf("monitor %q: %w", id, vedette.ErrNotFound)
	}
	return clone(row.Monitor), nil
}

func (r *monitors) List(_ context.Context, after vedette.MonitorID, n int) ([]vedette.Monitor, int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ids == nil {
		r.ids = slices.Sorted(maps.Keys(r.rows))
	}
	i, found := slices.BinarySearch(r.ids, after)
	if found {
		i++
	}
	var page []vedette.Monitor
	for ; i < len(r.ids) && len(page) < n; i++ {
		if row := r.rows[r.ids[i]]; !row.gone {
			page = append(page, clone(row.Monitor))
		}
	}
	return page, r.rev, nil
}

func (r *monitors) Put(_ context.Context, things ...vedette.Monitor) error {
	return r.change(things, false)
}

func (r *monitors) Delete(_ context.Context, things ...vedette.Monitor) error {
	return r.change(things, true)
}

// change puts or deletes things, all or none.
func (r *monitors) change(things []vedette.Monitor, gone bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := make(map[vedette.MonitorID]row, len(things))
	for _, m := range things {
		old, known := next[m.ID]
		if !known {
			old, known = r.rows[m.ID]
		}
		live := known && !old.gone
		if gone && !live {
			continue
		}
		if err := allowed(m, old, live); err != nil {
			return fmt.Errorf("monitor %q: %w", m.ID, err)
		}
		m = clone(m)
		m.Version = old.Version + 1
		next[m.ID] = row{m, gone, r.rev + 1}
	}
	if len(next) == 0 {
		return nil
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
	return nil
}

// allowed says whether m may change what is stored.
func allowed(m vedette.Monitor, old row, live bool) error {
	switch {
	case m.ID == "":
		return fmt.Errorf("no id: %w", vedette.ErrRefused)
	case live && m.Version != old.Version, !live && m.Version != 0:
		return vedette.ErrConflict
	case live && old.Origin != "" && m.Origin == "":
		return fmt.Errorf("owned by %s: %w", old.Origin, vedette.ErrReadOnly)
	}
	return nil
}

func (r *monitors) Changes(ctx context.Context, rev int64) (now []vedette.Monitor, gone []vedette.MonitorID, next int64, err error) {
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
func (r *monitors) since(rev int64) (now []vedette.Monitor, gone []vedette.MonitorID, next int64, changed <-chan struct{}) {
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
			now = append(now, clone(row.Monitor))
		}
	}
	return now, gone, r.rev, r.changed
}

// clone shares nothing with m that its holder could change.
func clone(m vedette.Monitor) vedette.Monitor {
	m.Labels = maps.Clone(m.Labels)
	m.DependsOn = slices.Clone(m.DependsOn)
	m.Maintenance = slices.Clone(m.Maintenance)
	m.Probe = slices.Clone(m.Probe)
	return m
}

// count returns how many monitors there are.
func (r *monitors) count() int64 {
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
