package memory

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
)

// pageSize is what a Span without N asks for.
const pageSize = 1000

// Latest returns statuses by monitor, as [vedette.Reader] says.
func (s *Store) Latest(_ context.Context, ids ...vedette.MonitorID) ([]vedette.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(ids) == 0 {
		ids = slices.Collect(maps.Keys(s.statuses))
	}
	var found []vedette.Status
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		if st, ok := s.statuses[id]; ok {
			found = append(found, cloneStatus(st))
		}
	}
	return found, nil
}

// History returns results by ID, as [vedette.Reader] says.
func (s *Store) History(_ context.Context, id vedette.MonitorID, span vedette.Span) ([]vedette.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all cursors
	for monitor, own := range s.series {
		if id != "" && id != monitor {
			continue
		}
		if rest := own.in(span); len(rest) > 0 {
			all = append(all, &cursor{rest, span.Newest})
		}
	}
	found := all.merge(cmp.Or(span.N, pageSize))
	if id == "" {
		for i := range found {
			found[i].Failure = bare(found[i].Failure)
		}
	}
	return found, nil
}

// bare returns f without its evidence.
func bare(f *vedette.Failure) *vedette.Failure {
	if f == nil || f.Evidence == nil {
		return f
	}
	return &vedette.Failure{Kind: f.Kind, Phase: f.Phase, Message: f.Message}
}

// Incidents returns incidents by ID, as [vedette.Reader] says.
func (s *Store) Incidents(_ context.Context, id vedette.MonitorID, span vedette.Span) ([]vedette.Incident, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []vedette.Incident
	for in := range maps.Values(s.incidents) {
		if (id == "" || id == in.Monitor) && lay(in, span) {
			found = append(found, in)
		}
	}
	slices.SortFunc(found, func(a, b vedette.Incident) int {
		if span.Newest {
			a, b = b, a
		}
		return bytes.Compare(a.ID[:], b.ID[:])
	})
	return found[:min(len(found), cmp.Or(span.N, pageSize))], nil
}

// lay says whether a part of in lay in the span, behind the page before.
func lay(in vedette.Incident, span vedette.Span) bool {
	order := bytes.Compare(in.ID[:], span.After[:])
	switch {
	case !span.To.IsZero() && !in.Opened.Before(span.To):
		return false
	case !in.Closed.IsZero() && !in.Closed.After(span.From):
		return false
	case span.After.IsZero():
		return true
	case span.Newest:
		return order < 0
	}
	return order > 0
}

// Rollups returns rollups by monitor and time, as [vedette.Reader] says.
func (s *Store) Rollups(_ context.Context, p vedette.Period, from, to time.Time, ids ...vedette.MonitorID) ([]vedette.Rollup, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted := make(map[vedette.MonitorID]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	var found []vedette.Rollup
	for key, r := range s.rollups {
		in := !r.At.Before(from) && (to.IsZero() || r.At.Before(to))
		if key.period == p && in && (len(ids) == 0 || wanted[key.monitor]) {
			r.Mark = 0
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b vedette.Rollup) int {
		return cmp.Or(cmp.Compare(a.Monitor, b.Monitor), a.At.Compare(b.At))
	})
	return found, nil
}
