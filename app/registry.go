package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/vedettehq/vedette"
)

// A shelf is a registry, and what is to be known of the things in it.
type shelf[K ~string, T any] struct {
	noun     string // of one thing
	registry vedette.Registry[K, T]
	id       func(T) K
	meta     func(*T) *vedette.Meta
}

func (s *store) monitorShelf() shelf[vedette.MonitorID, vedette.Monitor] {
	return shelf[vedette.MonitorID, vedette.Monitor]{
		"monitor", s.monitors,
		func(m vedette.Monitor) vedette.MonitorID { return m.ID },
		func(m *vedette.Monitor) *vedette.Meta { return &m.Meta },
	}
}

func (s *store) scraperShelf() shelf[vedette.ScraperID, vedette.Scraper] {
	return shelf[vedette.ScraperID, vedette.Scraper]{
		"scraper", s.scrapers,
		func(s vedette.Scraper) vedette.ScraperID { return s.ID },
		func(s *vedette.Scraper) *vedette.Meta { return &s.Meta },
	}
}

// each calls f with each thing.
func (s shelf[K, T]) each(ctx context.Context, f func(T) error) error {
	const n = 1000
	var after K
	for {
		page, _, err := s.registry.List(ctx, after, n)
		if err != nil {
			return fmt.Errorf("list %ss: %w", s.noun, err)
		}
		for _, thing := range page {
			if err := f(thing); err != nil {
				return err
			}
			after = s.id(thing)
		}
		if len(page) < n {
			return nil
		}
	}
}

// set puts things, whatever their Version.
func (s shelf[K, T]) set(ctx context.Context, things ...T) error {
	for i := range things {
		switch old, err := s.registry.Get(ctx, s.id(things[i])); {
		case err == nil:
			s.meta(&things[i]).Version = s.meta(&old).Version
		case errors.Is(err, vedette.ErrNotFound):
			s.meta(&things[i]).Version = 0
		default:
			return fmt.Errorf("read %s %q: %w", s.noun, s.id(things[i]), err)
		}
	}
	if err := s.registry.Put(ctx, things...); err != nil {
		return fmt.Errorf("put %ss: %w", s.noun, err)
	}
	return nil
}

// maxPublish is how often to begin anew when another process has changed what was read.
const maxPublish = 5

// publish makes the registry hold what a file says: it puts what is new or changed and deletes
// what a file owned that it no longer names. What is the same is left alone.
func (s shelf[K, T]) publish(ctx context.Context, want []T) (difference[T], error) {
	d, err := s.try(ctx, want)
	// A large file may take longer than the lease, and another process come in between.
	for tries := 1; errors.Is(err, vedette.ErrConflict) && tries < maxPublish; tries++ {
		d, err = s.try(ctx, want)
	}
	return d, err
}

func (s shelf[K, T]) try(ctx context.Context, want []T) (difference[T], error) {
	d, err := s.differ(ctx, want)
	if err != nil {
		return d, err
	}
	if err := s.registry.Put(ctx, d.put...); err != nil {
		return d, fmt.Errorf("put %d %ss: %w", len(d.put), s.noun, err)
	}
	if err := s.registry.Delete(ctx, d.gone...); err != nil {
		return d, fmt.Errorf("delete %d %ss: %w", len(d.gone), s.noun, err)
	}
	// Where only lines have moved nothing is disturbed; it comes last, since it is no hurry.
	if err := s.registry.Put(ctx, d.moved...); err != nil {
		return d, fmt.Errorf("put %d %ss that moved: %w", len(d.moved), s.noun, err)
	}
	return d, nil
}

// A difference is what it takes to make the registry hold what a file says.
type difference[T any] struct {
	put, moved, gone []T
	same             int
}

func (s shelf[K, T]) differ(ctx context.Context, things []T) (difference[T], error) {
	var d difference[T]
	want := make(map[K]*T, len(things))
	for i := range things {
		want[s.id(things[i])] = &things[i]
	}
	err := s.each(ctx, func(old T) error {
		thing, wanted := want[s.id(old)]
		switch {
		case !wanted && s.meta(&old).Origin != "":
			d.gone = append(d.gone, old)
		case !wanted:
		default:
			delete(want, s.id(old))
			return s.compare(&d, old, *thing)
		}
		return nil
	})
	for _, thing := range things {
		if _, isNew := want[s.id(thing)]; isNew {
			s.meta(&thing).Version = 0
			d.put = append(d.put, thing)
		}
	}
	return d, err
}

func (s shelf[K, T]) compare(d *difference[T], old, thing T) error {
	meta, before := s.meta(&thing), *s.meta(&old)
	origin := meta.Origin
	meta.Version, meta.Origin = before.Version, before.Origin
	equal, err := sameJSON(old, thing)
	if err != nil {
		return err
	}
	meta.Origin = origin
	switch {
	case equal && before.Origin == origin:
		d.same++
	case equal:
		d.moved = append(d.moved, thing)
	default:
		d.put = append(d.put, thing)
	}
	return nil
}

func sameJSON(a, b any) (bool, error) {
	x, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	y, err := json.Marshal(b)
	return bytes.Equal(x, y), err
}
