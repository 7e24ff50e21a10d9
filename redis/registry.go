package redis

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/vedettehq/vedette"
)

// A registry keeps things of one kind. What is left of a deleted thing stays, so that Changes can tell of
// it and one that comes back under its id goes on counting versions.
type registry[K ~string, T any] struct {
	s    *Store
	kind kind[K, T]
}

// A kind is what a registry knows of the things it keeps.
type kind[K ~string, T any] struct {
	name string
	id   func(T) K
	meta func(*T) *vedette.Meta
	raw  func(*T) *vedette.Raw // what is kept byte for byte, which JSON within JSON is not
}

func scraperKind() kind[vedette.ScraperID, vedette.Scraper] {
	return kind[vedette.ScraperID, vedette.Scraper]{
		name: "scraper",
		id:   func(s vedette.Scraper) vedette.ScraperID { return s.ID },
		meta: func(s *vedette.Scraper) *vedette.Meta { return &s.Meta },
		raw:  func(s *vedette.Scraper) *vedette.Raw { return &s.Job.Params },
	}
}

func monitorKind() kind[vedette.MonitorID, vedette.Monitor] {
	return kind[vedette.MonitorID, vedette.Monitor]{
		name: "monitor",
		id:   func(m vedette.Monitor) vedette.MonitorID { return m.ID },
		meta: func(m *vedette.Monitor) *vedette.Meta { return &m.Meta },
		raw:  func(m *vedette.Monitor) *vedette.Raw { return &m.Probe },
	}
}

var (
	_ vedette.Scrapers = registry[vedette.ScraperID, vedette.Scraper]{}
	_ vedette.Monitors = registry[vedette.MonitorID, vedette.Monitor]{}
)

// pack returns the rest of a thing, as it is kept: what is raw behind its length, then the others.
func (r registry[K, T]) pack(thing T) ([]byte, error) {
	raw := *r.kind.raw(&thing)
	*r.kind.raw(&thing) = nil
	text, err := json.Marshal(thing)
	if err != nil {
		return nil, err
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(len(raw))) //nolint:gosec // the server takes no longer ones
	return append(append(b, raw...), text...), nil
}

// unpack reads a thing as lua/registry.lua keeps it.
func (r registry[K, T]) unpack(id, text string) (thing T, gone bool, err error) {
	rd := reader{rest: text}
	version, gone := rd.int(8), rd.int(1) == 1
	rd.text(int(rd.int(2)))
	if gone {
		return thing, true, rd.err
	}
	raw := rd.long()
	if rd.err != nil {
		return thing, false, rd.err
	}
	if err := json.Unmarshal([]byte(rd.rest), &thing); err != nil {
		return thing, false, fmt.Errorf("stored %s %q: %w", r.kind.name, id, err)
	}
	r.kind.meta(&thing).Version = version
	if raw != "" {
		*r.kind.raw(&thing) = []byte(raw)
	}
	return thing, false, nil
}

func (r registry[K, T]) Get(ctx context.Context, id K) (thing T, err error) {
	page, _, err := r.list(ctx, "["+string(id), 1)
	if err == nil && (len(page) == 0 || r.kind.id(page[0]) != id) {
		err = vedette.ErrNotFound
	}
	if err != nil {
		return thing, fmt.Errorf("get %s %q: %w", r.kind.name, id, err)
	}
	return page[0], nil
}

func (r registry[K, T]) List(ctx context.Context, after K, n int) ([]T, int64, error) {
	page, rev, err := r.list(ctx, "("+string(after), n)
	if err != nil {
		return nil, 0, fmt.Errorf("list %ss: %w", r.kind.name, err)
	}
	return page, rev, nil
}

func (r registry[K, T]) list(ctx context.Context, from string, n int) (page []T, rev int64, err error) {
	got, err := r.s.call(ctx, "things", r.kind.name, max(n, 0), from)
	if err != nil {
		return nil, 0, err
	}
	a := answerOf(got)
	page, _ = r.things(a)
	return page, a.int(), a.err
}

// things reads things, and the ids of those that are gone.
func (r registry[K, T]) things(a *answer) (now []T, gone []K) {
	list := a.list()
	for list.more() {
		id := list.text()
		thing, isGone, err := r.unpack(id, list.text())
		list.fail(err)
		if isGone {
			gone = append(gone, K(id))
			continue
		}
		now = append(now, thing)
	}
	a.fail(list.err)
	return now, gone
}

func (r registry[K, T]) Put(ctx context.Context, things ...T) error {
	return r.change(ctx, "PUT", things)
}

func (r registry[K, T]) Delete(ctx context.Context, things ...T) error {
	return r.change(ctx, "DELETE", things)
}

func (r registry[K, T]) change(ctx context.Context, verb string, things []T) error {
	args := []any{r.kind.name, verb}
	for _, thing := range things {
		id, meta := r.kind.id(thing), r.kind.meta(&thing)
		if id == "" || len(meta.Origin) > 10_000 {
			return fmt.Errorf("%s %q: no id, or an origin of %d bytes: %w", r.kind.name, id, len(meta.Origin), vedette.ErrRefused)
		}
		text, err := r.pack(thing)
		if err != nil {
			return fmt.Errorf("%s %q: %w", r.kind.name, id, err)
		}
		args = append(args, string(id), meta.Version, meta.Origin, text)
	}
	got, err := r.s.call(ctx, "registry", args...)
	if err != nil {
		return fmt.Errorf("change %ss: %w", r.kind.name, owned(err))
	}
	if got == int64(1) {
		r.s.wakes.ring("registry:"+r.kind.name, true)
	}
	return nil
}

// owned returns the error for what a file owns.
func owned(err error) error {
	if text, is := strings.CutPrefix(err.Error(), "OWNED "); is {
		return fmt.Errorf("owned by %s: %w", text, vedette.ErrReadOnly)
	}
	return err
}

func (r registry[K, T]) Changes(ctx context.Context, rev int64) (now []T, gone []K, next int64, err error) {
	x := r.s.wakes.join(roomsOf("registry", r.kind.name)...)
	defer r.s.wakes.leave(x)
	for {
		now, gone, next, err = r.since(ctx, rev)
		if err != nil || next != rev {
			return now, gone, next, err
		}
		if err := r.s.wakes.wait(ctx, x, nap()); err != nil {
			return nil, nil, rev, err
		}
	}
}

func (r registry[K, T]) since(ctx context.Context, rev int64) (now []T, gone []K, next int64, err error) {
	got, err := r.s.call(ctx, "changes", r.kind.name, rev)
	if err != nil {
		return nil, nil, rev, fmt.Errorf("changes of %ss: %w", r.kind.name, err)
	}
	a := answerOf(got)
	now, gone = r.things(a)
	next = a.int()
	if a.err != nil {
		return nil, nil, rev, fmt.Errorf("changes of %ss: %w", r.kind.name, a.err)
	}
	return now, gone, next, nil
}
