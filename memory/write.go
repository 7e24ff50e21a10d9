package memory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
)

// Write keeps all of b or none of it, as [vedette.Writer] says.
func (s *Store) Write(ctx context.Context, b vedette.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(b); err != nil {
		return fmt.Errorf("write batch: %w", err)
	}
	for _, r := range b.Results {
		s.add(r)
	}
	for _, st := range b.Statuses {
		st = cloneStatus(st)
		st.Version++
		s.statuses[st.Monitor] = st
	}
	for _, in := range b.Incidents {
		s.incidents[in.ID] = in
	}
	for _, d := range b.Dead {
		s.bury(d)
	}
	for _, p := range b.Positions {
		s.move(p)
	}
	return nil
}

// check says whether all of b may be written.
func (s *Store) check(b vedette.Batch) error {
	for _, p := range b.Positions {
		if err := s.movable(p); err != nil {
			return err
		}
	}
	for _, r := range b.Results {
		if err := checkResult(r); err != nil {
			return fmt.Errorf("result %s of monitor %q: %w", r.ID, r.Monitor, err)
		}
	}
	seen := make(map[vedette.MonitorID]bool, len(b.Statuses))
	for _, st := range b.Statuses {
		if st.Monitor == "" {
			return fmt.Errorf("status without a monitor: %w", vedette.ErrRefused)
		}
		if seen[st.Monitor] || s.statuses[st.Monitor].Version != st.Version {
			return fmt.Errorf("status of monitor %q: %w", st.Monitor, vedette.ErrConflict)
		}
		seen[st.Monitor] = true
	}
	for _, in := range b.Incidents {
		if in.ID.IsZero() || in.Monitor == "" {
			return fmt.Errorf("incident without an id or a monitor: %w", vedette.ErrRefused)
		}
	}
	for _, d := range b.Dead {
		if d.ID.IsZero() {
			return fmt.Errorf("dead letter without an id: %w", vedette.ErrRefused)
		}
	}
	return nil
}

// checkResult refuses what could not be told from another result.
func checkResult(r vedette.Result) error {
	known := []vedette.State{vedette.Up, vedette.Degraded, vedette.Down, vedette.Unknown, vedette.Maintenance, vedette.Paused}
	switch {
	case r.Monitor == "" || r.ID.IsZero():
		return fmt.Errorf("no monitor or no id: %w", vedette.ErrRefused)
	case r.ID.Time().UnixMicro() != r.StartedAt.UnixMicro():
		return fmt.Errorf("id of %v, started at %v: %w", r.ID.Time(), r.StartedAt, vedette.ErrRefused)
	case !slices.Contains(known, r.State):
		return fmt.Errorf("state %q: %w", r.State, vedette.ErrRefused)
	case r.Failure != nil && !slices.Contains(vedette.Kinds(), r.Failure.Kind):
		return fmt.Errorf("kind of failure %q: %w", r.Failure.Kind, vedette.ErrRefused)
	}
	return nil
}

// add keeps r unless it is kept already, and marks its hour.
func (s *Store) add(r vedette.Result) {
	r.Addr = ""
	r.StartedAt = r.StartedAt.Truncate(time.Microsecond)
	own := s.series[r.Monitor]
	if own == nil {
		own = &series{}
		s.series[r.Monitor] = own
	}
	if own.add(r) {
		s.mark++
		s.dirty[slotKey{r.Monitor, hourOf(r.StartedAt)}] = s.mark
	}
}

// cloneStatus shares nothing with st that its holder could change.
func cloneStatus(st vedette.Status) vedette.Status {
	st.Votes = slices.Clone(st.Votes)
	return st
}

func hourOf(at time.Time) int64 { return at.Unix() / 3600 }
