//go:build unix

package chaos

import (
	"cmp"
	"context"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/app"
	"github.com/vedettehq/vedette/verdict"
)

// A keep is what is stored at the end.
type keep struct {
	monitors  map[vedette.MonitorID]vedette.Monitor
	results   []vedette.Result
	statuses  map[vedette.MonitorID]vedette.Status
	incidents map[vedette.ID]vedette.Incident
}

type reader interface {
	vedette.Reader
	Monitors() vedette.Monitors
}

func read(ctx context.Context, t *testing.T, s reader) keep {
	t.Helper()
	k := keep{
		monitors: make(map[vedette.MonitorID]vedette.Monitor), statuses: make(map[vedette.MonitorID]vedette.Status),
		incidents: make(map[vedette.ID]vedette.Incident),
	}
	monitors, _, err := s.Monitors().List(ctx, "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range monitors {
		k.monitors[m.ID] = m
		span := vedette.Span{N: 5000}
		for {
			page, err := s.History(ctx, m.ID, span)
			if err != nil {
				t.Fatal(err)
			}
			k.results = append(k.results, page...)
			if len(page) < span.N {
				break
			}
			span.After = page[len(page)-1].ID
		}
	}
	statuses, err := s.Latest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range statuses {
		k.statuses[st.Monitor] = st
	}
	incidents, err := s.Incidents(ctx, "", vedette.Span{N: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range incidents {
		k.incidents[in.ID] = in
	}
	return k
}

// once holds that acknowledged ⊆ stored ⊆ attempted, each stored once.
func (k keep) once(t *testing.T, acked []app.ResultLine, arrivals map[vedette.MonitorID][]time.Time) {
	t.Helper()
	stored := make(map[vedette.ID]int)
	byMonitor := make(map[vedette.MonitorID]int)
	for _, r := range k.results {
		if stored[r.ID]++; stored[r.ID] > 1 {
			t.Errorf("result %s is stored %d times", r.ID, stored[r.ID])
		}
		if !verdict.Stale(r) && r.Failure == nil {
			byMonitor[r.Monitor]++
			if !attempted(arrivals[r.Monitor], r) {
				t.Errorf("result %s of %s at %s is stored, and nobody came to look", r.ID, r.Monitor, r.StartedAt.Format(time.RFC3339Nano))
			}
		}
	}
	lost := 0
	for _, r := range acked {
		if stored[r.ID] == 0 {
			if lost++; lost <= 10 {
				t.Errorf("result %s of %s at %s was acknowledged and is not stored", r.ID, r.Monitor, r.StartedAt.Format(time.RFC3339Nano))
			}
		}
	}
	for id, n := range byMonitor {
		if n > len(arrivals[id]) {
			t.Errorf("%s: %d looks that were up are stored, %d came", id, n, len(arrivals[id]))
		}
	}
	t.Logf("%d results acknowledged, %d lost, %d stored", len(acked), lost, len(stored))
}

// attempted reports whether the site was looked at when r says so. Watchers keep the store's
// time, which is that of this machine.
func attempted(arrivals []time.Time, r vedette.Result) bool {
	from, to := r.StartedAt.Add(-100*time.Millisecond), r.StartedAt.Add(r.Phases.Total()+2*time.Second)
	i, _ := slices.BinarySearchFunc(arrivals, from, time.Time.Compare)
	return i < len(arrivals) && arrivals[i].Before(to)
}

// folded holds that statuses and incidents are the fold over seq.
func (k keep) folded(t *testing.T) {
	t.Helper()
	byMonitor := make(map[vedette.MonitorID][]vedette.Result)
	for _, r := range k.results {
		if r.Seq != 0 {
			byMonitor[r.Monitor] = append(byMonitor[r.Monitor], r)
		}
	}
	incidents := make(map[vedette.ID]vedette.Incident)
	for id, m := range k.monitors {
		results := byMonitor[id]
		slices.SortFunc(results, func(a, b vedette.Result) int { return cmp.Compare(a.Seq, b.Seq) })
		var s vedette.Status
		for i, r := range results {
			if r.Seq != int64(i)+1 {
				t.Errorf("%s: seq %d follows on %d", id, r.Seq, i)
				break
			}
			out := verdict.Fold(m, s, r, false, nil)
			if out.Result.Seq == 0 {
				t.Errorf("%s: result %s has seq %d and does not advance the fold", id, r.ID, r.Seq)
			}
			s = out.Status
			if out.Incident != nil {
				incidents[out.Incident.ID] = *out.Incident
			}
		}
		compare(t, "status of "+string(id), k.statuses[id], s)
	}
	compare(t, "incidents", k.incidents, incidents)
	t.Logf("%d incidents", len(incidents))
}

func compare[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	diff := gocmp.Diff(want, got, cmpopts.EquateEmpty(),
		cmpopts.IgnoreFields(vedette.Status{}, "Version", "Monitor", "Incident"),
		cmpopts.IgnoreFields(vedette.Result{}, "Hops", "Addr"),
		cmpopts.IgnoreFields(vedette.Failure{}, "Evidence"),
		cmpopts.EquateApproxTime(0))
	if diff != "" {
		t.Errorf("%s (-folded anew +stored):\n%.3000s", what, diff)
	}
}

// exclusive holds that no two watchers look at a shard for longer than a lease and a time-out
// after one another.
func (k keep) exclusive(t *testing.T, most time.Duration) {
	t.Helper()
	last := make(map[vedette.MonitorID]map[int64]time.Time) // by token, the last look
	first := make(map[vedette.MonitorID]map[int64]time.Time)
	for _, r := range k.results {
		if verdict.Stale(r) {
			continue
		}
		if last[r.Monitor] == nil {
			last[r.Monitor], first[r.Monitor] = make(map[int64]time.Time), make(map[int64]time.Time)
		}
		if r.StartedAt.After(last[r.Monitor][r.Token]) {
			last[r.Monitor][r.Token] = r.StartedAt
		}
		if f, ok := first[r.Monitor][r.Token]; !ok || r.StartedAt.Before(f) {
			first[r.Monitor][r.Token] = r.StartedAt
		}
	}
	for id, ends := range last {
		for token, end := range ends {
			for other, began := range first[id] {
				if other > token && end.Sub(began) > most {
					t.Errorf("%s: looked at under token %d until %s after token %d began", id, token, end.Sub(began), other)
				}
			}
		}
	}
}
