package memory

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"time"
	"unsafe"

	"github.com/vedettehq/vedette"
)

type slotKey struct {
	monitor vedette.MonitorID
	hour    int64 // since 1970
}

type rollupKey struct {
	monitor vedette.MonitorID
	period  vedette.Period
	at      int64 // in seconds
}

// Dirty returns slots, oldest first, as [vedette.Keeper] says.
func (s *Store) Dirty(_ context.Context, before time.Time, n int) ([]vedette.Slot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var slots []vedette.Slot
	for key, mark := range s.dirty {
		if key.hour+1 <= hourOf(before) {
			slots = append(slots, vedette.Slot{Monitor: key.monitor, Hour: time.Unix(key.hour*3600, 0).UTC(), Mark: mark})
		}
	}
	slices.SortFunc(slots, func(a, b vedette.Slot) int {
		return cmp.Or(a.Hour.Compare(b.Hour), cmp.Compare(a.Monitor, b.Monitor))
	})
	return slots[:min(n, len(slots))], nil
}

// Roll keeps rollups and cleans their slots, as [vedette.Keeper] says.
func (s *Store) Roll(_ context.Context, rollups ...vedette.Rollup) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range rollups {
		r.Latency = slices.Clone(r.Latency)
		s.rollups[rollupKey{r.Monitor, r.Period, r.At.Unix()}] = r
		slot := slotKey{r.Monitor, hourOf(r.At)}
		if r.Period == vedette.Hourly && s.dirty[slot] == r.Mark {
			delete(s.dirty, slot)
		}
	}
	return nil
}

// Prune drops what is old in one piece, since all of it is in memory, as [vedette.Keeper] says.
// Results that are not up stay as long as the failures.
func (s *Store) Prune(_ context.Context, now time.Time, keep vedette.Retention) (more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pruneResults(now, keep)
	maps.DeleteFunc(s.incidents, func(_ vedette.ID, in vedette.Incident) bool {
		return !in.Closed.IsZero() && older(in.Closed, now, keep.Failures)
	})
	s.pruneLetters(now, keep.Failures)
	maps.DeleteFunc(s.rollups, func(key rollupKey, r vedette.Rollup) bool {
		if key.period == vedette.Daily {
			return older(r.At, now, keep.Daily)
		}
		return older(r.At, now, keep.Hourly)
	})
	s.cut(keep.MaxBytes)
	return false, nil
}

func older(at, now time.Time, keep time.Duration) bool {
	return keep > 0 && at.Before(now.Add(-keep))
}

func (s *Store) pruneResults(now time.Time, keep vedette.Retention) {
	failures := max(keep.Results, keep.Failures)
	if keep.Results == 0 || keep.Failures == 0 {
		failures = 0
	}
	for id, own := range s.series {
		own.results = slices.DeleteFunc(own.results, func(r vedette.Result) bool {
			age := keep.Results
			if r.Failure != nil {
				age = failures
			}
			_, dirty := s.dirty[slotKey{id, hourOf(r.StartedAt)}]
			return !dirty && older(r.StartedAt, now, age)
		})
		s.dropEmpty(id)
	}
}

// cut drops the oldest results until about bytes are left.
func (s *Store) cut(bytes int64) {
	if bytes == 0 {
		return
	}
	excess := (s.bytes() - bytes + resultBytes - 1) / resultBytes
	if excess <= 0 {
		return
	}
	var ids []vedette.ID
	for own := range maps.Values(s.series) {
		for _, r := range own.results {
			ids = append(ids, r.ID)
		}
	}
	slices.SortFunc(ids, compareIDs)
	drop := int(min(excess, int64(len(ids))))
	if drop == len(ids) {
		clear(s.series)
		return
	}
	for id, own := range s.series {
		i, _ := slices.BinarySearchFunc(own.results, ids[drop], byID)
		own.results = slices.Delete(own.results, 0, i)
		s.dropEmpty(id)
	}
}

func (s *Store) dropEmpty(id vedette.MonitorID) {
	if len(s.series[id].results) == 0 {
		delete(s.series, id)
	}
}

func compareIDs(a, b vedette.ID) int { return bytes.Compare(a[:], b[:]) }

// Forget drops statuses, as [vedette.Keeper] says.
func (s *Store) Forget(_ context.Context, ids ...vedette.MonitorID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.statuses, id)
	}
	return nil
}

// resultBytes is what a result takes, without what its strings and evidence take.
const resultBytes = int64(unsafe.Sizeof(vedette.Result{}))

// Size counts rows; its Bytes are an estimate of the memory that they take.
func (s *Store) Size(context.Context) (vedette.Size, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := map[string]int64{
		"results": 0, "statuses": int64(len(s.statuses)), "incidents": int64(len(s.incidents)),
		"rollups": int64(len(s.rollups)), "dirty": int64(len(s.dirty)),
		"stream_offsets": int64(len(s.positions)), "dead_letters": int64(len(s.letters)),
	}
	for own := range maps.Values(s.series) {
		rows["results"] += int64(len(own.results))
	}
	rows["monitors"] = s.monitors.count()
	return vedette.Size{Rows: rows, Bytes: s.bytes()}, nil
}

func (s *Store) bytes() int64 {
	var results int64
	for own := range maps.Values(s.series) {
		results += int64(len(own.results))
	}
	return results*resultBytes +
		int64(len(s.statuses))*int64(unsafe.Sizeof(vedette.Status{})) +
		int64(len(s.incidents))*int64(unsafe.Sizeof(vedette.Incident{})) +
		int64(len(s.rollups))*int64(unsafe.Sizeof(vedette.Rollup{}))
}
