package storetest

import (
	"bytes"
	"cmp"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vedettehq/vedette"
)

// TestReader holds the Reader of a store to its contract.
func TestReader(t *testing.T, open func(t *testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"knows nothing of unknown monitors":         testReadUnknown,
		"gives the latest statuses by id":           testLatest,
		"gives any span of history":                 testHistoryModel,
		"pages through long histories":              testHistoryPages,
		"gives sparse histories":                    testHistorySparse,
		"shows evidence of one monitor only":        testEvidence,
		"gives incidents that lay in a span":        testIncidentSpan,
		"pages through incidents":                   testIncidentPages,
		"gives rollups by monitor and time":         testRollups,
		"gives rollups of some among many monitors": testRollupsOfSome,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func incidents(t testing.TB, r vedette.Reader, id vedette.MonitorID, span vedette.Span) []vedette.Incident {
	t.Helper()
	got, err := r.Incidents(t.Context(), id, span)
	if err != nil {
		t.Fatalf("Incidents(%q, %+v): %v", id, span, err)
	}
	return got
}

func rollups(t testing.TB, r vedette.Reader, p vedette.Period, from, to time.Time, ids ...vedette.MonitorID) []vedette.Rollup {
	t.Helper()
	got, err := r.Rollups(t.Context(), p, from, to, ids...)
	if err != nil {
		t.Fatalf("Rollups: %v", err)
	}
	return got
}

func testReadUnknown(t *testing.T, s Store) {
	for range 2 {
		st, err := s.Latest(t.Context(), "nobody")
		if err != nil || len(st) != 0 {
			t.Errorf("Latest: %v, %v", st, err)
		}
		if got := history(t, s, "nobody", vedette.Span{Newest: true}); len(got) != 0 {
			t.Errorf("History: %v", got)
		}
		if got := incidents(t, s, "nobody", vedette.Span{}); len(got) != 0 {
			t.Errorf("Incidents: %v", got)
		}
		if got := rollups(t, s, vedette.Hourly, time.Time{}, time.Time{}, "nobody"); len(got) != 0 {
			t.Errorf("Rollups: %v", got)
		}
		write(t, s, found(look("somebody", noon)))
	}
}

func testLatest(t *testing.T, s Store) {
	var all []vedette.Status
	for i := range 300 {
		all = append(all, vedette.Status{Monitor: monitorID(299 - i), State: vedette.Up, Seq: int64(i)})
	}
	write(t, s, vedette.Batch{Statuses: all})
	slices.Reverse(all)
	for i := range all {
		all[i].Version = 1
	}
	got, err := s.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "all statuses", got, all)
	got, err = s.Latest(t.Context(), monitorID(7), "nobody", monitorID(3), monitorID(7))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "two statuses", got, []vedette.Status{all[3], all[7]})
}

// testHistoryModel asks for random spans of a random history of three monitors.
func testHistoryModel(t *testing.T, s Store) {
	var all []vedette.Result
	at := noon
	for i := range 150 {
		at = at.Add(time.Duration(i*i%7) * 11 * time.Second)
		r := look(monitorID(i%3), at.Add(time.Duration(i)*time.Microsecond))
		if i%5 == 0 {
			r = failing(r.Monitor, r.StartedAt)
			r.Failure.Evidence = nil
		}
		all = append(all, r)
	}
	for i := range 3 {
		write(t, s, found(all[i*50:i*50+50]...))
	}
	rapid.Check(t, func(rt *rapid.T) {
		var id vedette.MonitorID
		if i := rapid.IntRange(0, 3).Draw(rt, "monitor"); i < 3 {
			id = monitorID(i)
		}
		edge := rapid.Custom(func(rt *rapid.T) time.Time {
			if rapid.Bool().Draw(rt, "open") {
				return time.Time{}
			}
			us := rapid.Int64Range(-1e6, at.Sub(noon).Microseconds()+2e6).Draw(rt, "us")
			return noon.Add(time.Duration(us) * time.Microsecond)
		})
		span := vedette.Span{
			From: edge.Draw(rt, "from"), To: edge.Draw(rt, "to"),
			N: rapid.SampledFrom([]int{0, 1, 7, 60}).Draw(rt, "n"), Newest: rapid.Bool().Draw(rt, "newest"),
		}
		if rapid.Bool().Draw(rt, "page") {
			span.After = all[rapid.IntRange(0, len(all)-1).Draw(rt, "after")].ID
		}
		got, err := s.History(t.Context(), id, span)
		if want := model(all, id, span); err != nil || !slices.Equal(ids(got), ids(want)) {
			rt.Fatalf("History(%q, %+v): %d results, want %d; %v", id, span, len(got), len(want), err)
		}
	})
}

// model is what History means.
func model(all []vedette.Result, id vedette.MonitorID, span vedette.Span) []vedette.Result {
	var want []vedette.Result
	for _, r := range all {
		order := bytes.Compare(r.ID[:], span.After[:])
		if span.Newest {
			order = -order
		}
		switch {
		case id != "" && r.Monitor != id:
		case r.StartedAt.Before(span.From):
		case !span.To.IsZero() && !r.StartedAt.Before(span.To):
		case !span.After.IsZero() && order <= 0:
		default:
			want = append(want, r)
		}
	}
	slices.SortFunc(want, func(a, b vedette.Result) int {
		if span.Newest {
			a, b = b, a
		}
		return bytes.Compare(a.ID[:], b.ID[:])
	})
	return want[:min(len(want), cmp.Or(span.N, 1000))]
}

func testHistoryPages(t *testing.T, s Store) {
	all := looks("a", noon, 2500, 250*time.Millisecond)
	all[1200] = failing("a", all[1200].StartedAt)
	write(t, s, found(all...))
	for _, id := range []vedette.MonitorID{"a", ""} {
		for _, newest := range []bool{false, true} {
			var got []vedette.ID
			for span := (vedette.Span{Newest: newest}); ; {
				page := history(t, s, id, span)
				if len(page) == 0 || len(got) > len(all) {
					break
				}
				got = append(got, ids(page)...)
				span.After = got[len(got)-1]
			}
			if newest {
				slices.Reverse(got)
			}
			if !slices.Equal(got, ids(all)) {
				t.Errorf("pages of %q, newest first %v: %d results, want %d", id, newest, len(got), len(all))
			}
		}
	}
}

// testHistorySparse has days between results.
func testHistorySparse(t *testing.T, s Store) {
	all := looks("a", noon, 5, 30*time.Hour)
	write(t, s, found(all...))
	write(t, s, found(looks("b", noon.AddDate(0, -1, 0), 3, 24*time.Hour)...))
	same(t, "oldest", ids(history(t, s, "a", vedette.Span{N: 2})), ids(all[:2]))
	newest := []vedette.Result{all[4], all[3], all[2]}
	same(t, "newest", ids(history(t, s, "a", vedette.Span{N: 3, Newest: true})), ids(newest))
	same(t, "between", ids(history(t, s, "a", vedette.Span{From: all[1].StartedAt, To: all[3].StartedAt})), ids(all[1:3]))
}

func testEvidence(t *testing.T, s Store) {
	want := failing("a", noon)
	write(t, s, found(want))
	same(t, "of one monitor", history(t, s, "a", vedette.Span{}), []vedette.Result{want})
	bare := want
	bare.Failure = &vedette.Failure{Kind: want.Failure.Kind, Phase: want.Failure.Phase, Message: want.Failure.Message}
	same(t, "of all", history(t, s, "", vedette.Span{}), []vedette.Result{bare})
}

func testIncidentSpan(t *testing.T, s Store) {
	h := time.Hour
	early := incident("a", noon, noon.Add(h))
	long := incident("a", noon.Add(h), noon.Add(5*h))
	open := incident("b", noon.Add(2*h), time.Time{})
	write(t, s, vedette.Batch{Incidents: []vedette.Incident{open, long, early}})
	for name, c := range map[string]struct {
		id   vedette.MonitorID
		span vedette.Span
		want []vedette.Incident
	}{
		"all":                {"", vedette.Span{}, []vedette.Incident{early, long, open}},
		"newest first":       {"", vedette.Span{Newest: true}, []vedette.Incident{open, long, early}},
		"of one":             {"a", vedette.Span{}, []vedette.Incident{early, long}},
		"those that went on": {"", vedette.Span{From: noon.Add(3 * h), To: noon.Add(4 * h)}, []vedette.Incident{long, open}},
		"those still open":   {"", vedette.Span{From: noon.Add(9 * h)}, []vedette.Incident{open}},
		"begun before":       {"", vedette.Span{To: noon.Add(2 * h)}, []vedette.Incident{early, long}},
	} {
		same(t, name, incidents(t, s, c.id, c.span), c.want)
	}
}

func testIncidentPages(t *testing.T, s Store) {
	var all []vedette.Incident
	for i := range 9 {
		all = append(all, incident(monitorID(i%2), noon.Add(time.Duration(i)*time.Minute), time.Time{}))
	}
	write(t, s, vedette.Batch{Incidents: all})
	for _, newest := range []bool{false, true} {
		var got []vedette.Incident
		for span := (vedette.Span{N: 4, Newest: newest}); ; span.After = got[len(got)-1].ID {
			page := incidents(t, s, "", span)
			got = append(got, page...)
			if len(page) < 4 {
				break
			}
		}
		if newest {
			slices.Reverse(got)
		}
		same(t, "pages", got, all)
	}
}

func rollup(id vedette.MonitorID, p vedette.Period, at time.Time) vedette.Rollup {
	return vedette.Rollup{
		Monitor: id, At: at, Period: p, Checks: 60, Failed: 2, Latency: []byte{1, 2, 3},
		Spent: vedette.Spent{Up: 50 * time.Minute, Degraded: 3 * time.Minute, Down: 2 * time.Minute, Unknown: time.Minute, Maintenance: 4 * time.Minute},
	}
}

func testRollups(t *testing.T, s Store) {
	day := noon.Truncate(24 * time.Hour)
	want := []vedette.Rollup{
		rollup("a", vedette.Hourly, noon), rollup("a", vedette.Hourly, noon.Add(time.Hour)),
		rollup("b", vedette.Hourly, noon), rollup("b", vedette.Hourly, noon.Add(2*time.Hour)),
	}
	want[1].Latency = nil
	roll(t, s, want[3], want[1], rollup("a", vedette.Daily, day), want[2], want[0])
	same(t, "hours", rollups(t, s, vedette.Hourly, time.Time{}, time.Time{}), want)
	same(t, "days", rollups(t, s, vedette.Daily, day, day.AddDate(0, 0, 1)), []vedette.Rollup{rollup("a", vedette.Daily, day)})
	same(t, "one hour", rollups(t, s, vedette.Hourly, noon, noon.Add(time.Hour)), []vedette.Rollup{want[0], want[2]})
	same(t, "of one", rollups(t, s, vedette.Hourly, noon, noon.Add(3*time.Hour), "b", "nobody"), want[2:])

	want[0].Checks = 61
	roll(t, s, want[0])
	same(t, "replaced", rollups(t, s, vedette.Hourly, noon, noon.Add(time.Hour), "a"), want[:1])
}

func testRollupsOfSome(t *testing.T, s Store) {
	var all []vedette.Rollup
	for i := range 40 {
		for h := range 5 {
			all = append(all, rollup(monitorID(i), vedette.Hourly, noon.Add(time.Duration(h)*time.Hour)))
		}
	}
	roll(t, s, all...)
	same(t, "of all", rollups(t, s, vedette.Hourly, noon, time.Time{}), all)
	want := slices.Concat(all[3*5+1:3*5+4], all[38*5+1:38*5+4])
	same(t, "of two", rollups(t, s, vedette.Hourly, noon.Add(time.Hour), noon.Add(4*time.Hour), monitorID(38), monitorID(3), monitorID(38)), want)
}
