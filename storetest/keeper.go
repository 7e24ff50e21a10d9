package storetest

import (
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// TestKeeper holds the Keeper of a store to its contract.
func TestKeeper(t *testing.T, open func(t *testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"marks hours that got results":          testDirty,
		"keeps a slot dirty for later results":  testRollStale,
		"drops what is old, each in its time":   testPrune,
		"keeps all without bounds":              testPruneNothing,
		"keeps results of dirty slots":          testPruneDirty,
		"keeps results in bounds of bytes":      testPruneBytes,
		"drops closed incidents and rollups":    testPruneRest,
		"forgets statuses and keeps the rest":   testForget,
		"tells how much it holds":               testSize,
		"prunes and writes at the same time":    testPruneRace,
		"drops failures no sooner than results": testPruneShortFailures,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func roll(t testing.TB, k vedette.Keeper, r ...vedette.Rollup) {
	t.Helper()
	if err := k.Roll(t.Context(), r...); err != nil {
		t.Fatalf("Roll: %v", err)
	}
}

func dirty(t testing.TB, k vedette.Keeper, before time.Time, n int) []vedette.Slot {
	t.Helper()
	slots, err := k.Dirty(t.Context(), before, n)
	if err != nil {
		t.Fatalf("Dirty: %v", err)
	}
	return slots
}

// clean rolls all dirty slots.
func clean(t testing.TB, k vedette.Keeper) {
	t.Helper()
	for _, slot := range dirty(t, k, noon.AddDate(10, 0, 0), 1e6) {
		roll(t, k, vedette.Rollup{Monitor: slot.Monitor, At: slot.Hour, Period: vedette.Hourly, Mark: slot.Mark})
	}
}

// prune prunes until there is no more to do.
func prune(t testing.TB, k vedette.Keeper, now time.Time, keep vedette.Retention) {
	t.Helper()
	for range 10_000 {
		more, err := k.Prune(t.Context(), now, keep)
		if err != nil {
			t.Fatalf("Prune: %v", err)
		}
		if !more {
			return
		}
	}
	t.Fatal("Prune has more to do for ever")
}

// unmarked takes the marks off slots.
func unmarked(slots []vedette.Slot) []vedette.Slot {
	for i := range slots {
		slots[i].Mark = 0
	}
	return slots
}

func testDirty(t *testing.T, s Store) {
	h := time.Hour
	write(t, s, found(look("b", noon.Add(h)), look("a", noon.Add(h-time.Microsecond)), look("a", noon)))
	write(t, s, found(failing("c", noon.Add(-h))))
	same(t, "none that has not ended", dirty(t, s, noon.Add(-time.Microsecond), 10), nil)
	same(t, "the first that ended", unmarked(dirty(t, s, noon, 10)), []vedette.Slot{{Monitor: "c", Hour: noon.Add(-h)}})
	want := []vedette.Slot{{Monitor: "c", Hour: noon.Add(-h)}, {Monitor: "a", Hour: noon}, {Monitor: "b", Hour: noon.Add(h)}}
	same(t, "oldest first", unmarked(dirty(t, s, noon.Add(2*h), 10)), want)
	same(t, "so many", unmarked(dirty(t, s, noon.Add(2*h), 2)), want[:2])

	slots := dirty(t, s, noon, 1)
	roll(t, s, vedette.Rollup{Monitor: "c", At: noon.Add(-h), Period: vedette.Daily, Mark: slots[0].Mark})
	same(t, "a day's rollup cleans nothing", len(dirty(t, s, noon, 1)), 1)
	roll(t, s, vedette.Rollup{Monitor: "c", At: noon.Add(-h), Period: vedette.Hourly, Mark: slots[0].Mark})
	same(t, "clean", dirty(t, s, noon, 1), nil)
}

func testRollStale(t *testing.T, s Store) {
	end := noon.Add(time.Hour)
	first := look("a", noon)
	write(t, s, found(first, look("a", noon.Add(time.Second))))
	old := dirty(t, s, end, 1)[0]
	write(t, s, found(look("a", noon.Add(2*time.Second))))
	r := vedette.Rollup{Monitor: "a", At: noon, Period: vedette.Hourly, Checks: 2, Mark: old.Mark}
	roll(t, s, r)
	slots := dirty(t, s, end, 1)
	if len(slots) != 1 || slots[0].Mark == old.Mark {
		t.Fatalf("slots %+v: want one with another mark than %d, since a result came after it was read", slots, old.Mark)
	}
	same(t, "the rollup is kept all the same", len(rollups(t, s, vedette.Hourly, noon, end)), 1)
	clean(t, s)
	write(t, s, vedette.Batch{Found: vedette.Found{Results: []vedette.Result{first}, Resent: true}})
	same(t, "what is kept already makes nothing dirty", dirty(t, s, end, 1), nil)
	write(t, s, found(look("a", noon.Add(3*time.Second))))
	r.Mark = slots[0].Mark
	roll(t, s, r)
	same(t, "a mark never comes again", len(dirty(t, s, end, 1)), 1)
}

func testPrune(t *testing.T, s Store) {
	day := 24 * time.Hour
	old, young := looks("a", noon, 200, time.Minute), looks("a", noon.Add(5*day), 200, time.Minute)
	bad := failing("a", noon.Add(time.Second))
	write(t, s, found(append(append(old, young...), bad)...))
	clean(t, s)
	keep := vedette.Retention{Results: 3 * day, Failures: 30 * day}
	prune(t, s, noon.Add(6*day), keep)
	same(t, "after five days", ids(history(t, s, "a", vedette.Span{})), append(ids([]vedette.Result{bad}), ids(young)...))
	if got := history(t, s, "a", vedette.Span{N: 1}); got[0].Failure == nil || got[0].Failure.Evidence == nil {
		t.Errorf("%+v: want its evidence for as long as failures are kept", got[0])
	}
	prune(t, s, noon.Add(31*day), keep)
	same(t, "after a month", history(t, s, "", vedette.Span{}), nil)
	size, err := s.Size(t.Context())
	if err != nil || size.Rows["results"] != 0 {
		t.Errorf("%d rows of results are left, %v", size.Rows["results"], err)
	}
}

func testPruneShortFailures(t *testing.T, s Store) {
	bad := failing("a", noon)
	write(t, s, found(bad, look("a", noon.Add(time.Second))))
	clean(t, s)
	prune(t, s, noon.Add(2*time.Hour), vedette.Retention{Results: 3 * time.Hour, Failures: time.Hour})
	same(t, "results", len(history(t, s, "a", vedette.Span{})), 2)
	prune(t, s, noon.Add(2*time.Hour), vedette.Retention{Results: time.Hour})
	same(t, "results when failures stay for ever", ids(history(t, s, "a", vedette.Span{})), ids([]vedette.Result{bad}))
}

func testPruneNothing(t *testing.T, s Store) {
	write(t, s, found(look("a", noon), failing("a", noon.Add(time.Second))))
	clean(t, s)
	prune(t, s, noon.AddDate(50, 0, 0), vedette.Retention{})
	same(t, "results", len(history(t, s, "a", vedette.Span{})), 2)
	same(t, "rollups", len(rollups(t, s, vedette.Hourly, time.Time{}, time.Time{})), 1)
}

func testPruneDirty(t *testing.T, s Store) {
	later := noon.AddDate(0, 1, 0)
	keep := vedette.Retention{Results: time.Hour, Failures: time.Hour}
	write(t, s, found(look("a", noon), look("b", noon), failing("b", noon.Add(time.Second))))
	for _, slot := range dirty(t, s, later, 10) {
		if slot.Monitor == "a" {
			roll(t, s, vedette.Rollup{Monitor: "a", At: noon, Period: vedette.Hourly, Mark: slot.Mark})
		}
	}
	prune(t, s, later, keep)
	got := history(t, s, "", vedette.Span{})
	if len(got) != 2 || got[0].Monitor != "b" || got[1].Monitor != "b" {
		t.Errorf("%d results left, want the two of b, whose slot is dirty", len(got))
	}
	clean(t, s)
	prune(t, s, later, keep)
	same(t, "results once clean", history(t, s, "", vedette.Span{}), nil)
}

func testPruneBytes(t *testing.T, s Store) {
	const batches, each = 20, 1000
	for i := range batches {
		write(t, s, found(looks(monitorID(i), noon.Add(time.Duration(i)*time.Hour), each, time.Second)...))
	}
	before, err := s.Size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	prune(t, s, noon, vedette.Retention{MaxBytes: before.Bytes / 2})
	after, err := s.Size(t.Context())
	if err != nil || after.Bytes > before.Bytes/2 {
		t.Errorf("%d bytes left of %d, want half; %v", after.Bytes, before.Bytes, err)
	}
	if left := after.Rows["results"]; left < batches*each/8 || left > batches*each*5/8 {
		t.Errorf("%d results left of %d, want about half", left, batches*each)
	}
	same(t, "the oldest", len(history(t, s, monitorID(0), vedette.Span{})), 0)
	same(t, "the newest", len(history(t, s, monitorID(batches-1), vedette.Span{})), each)
	prune(t, s, noon, vedette.Retention{MaxBytes: 1})
	same(t, "within no bytes at all", len(history(t, s, "", vedette.Span{})), 0)
}

func testPruneRest(t *testing.T, s Store) {
	day := noon.Truncate(24 * time.Hour)
	h := time.Hour
	open := incident("a", noon.Add(-5*h), time.Time{})
	recent := incident("a", noon.Add(-5*h), noon)
	write(t, s, vedette.Batch{Incidents: []vedette.Incident{open, recent, incident("a", noon.Add(-5*h), noon.Add(-2*h))}})
	roll(t, s,
		rollup("a", vedette.Hourly, noon.Add(-3*h)), rollup("a", vedette.Hourly, noon),
		rollup("a", vedette.Daily, day.AddDate(0, 0, -3)), rollup("a", vedette.Daily, day))
	prune(t, s, noon.Add(time.Minute), vedette.Retention{Failures: h, Hourly: 2 * h, Daily: 48 * h})
	if got := incidents(t, s, "a", vedette.Span{}); len(got) != 2 {
		t.Errorf("%d incidents left, want the open one and the one that closed lately", len(got))
	}
	same(t, "hours", rollups(t, s, vedette.Hourly, time.Time{}, time.Time{}), []vedette.Rollup{rollup("a", vedette.Hourly, noon)})
	same(t, "days", rollups(t, s, vedette.Daily, time.Time{}, time.Time{}), []vedette.Rollup{rollup("a", vedette.Daily, day)})
}

func testForget(t *testing.T, s Store) {
	write(t, s, vedette.Batch{
		Found:    vedette.Found{Results: []vedette.Result{look("a", noon)}},
		Statuses: []vedette.Status{{Monitor: "a"}, {Monitor: "b"}},
	})
	if err := s.Forget(t.Context(), "a", "nobody"); err != nil {
		t.Fatal(err)
	}
	same(t, "statuses", status(t, s, "a"), vedette.Status{})
	same(t, "of others", status(t, s, "b").Version, int64(1))
	same(t, "history", len(history(t, s, "a", vedette.Span{})), 1)
}

func testSize(t *testing.T, s Store) {
	put(t, s.Monitors(), monitor("a"), monitor("b"))
	if err := s.Monitors().Delete(t.Context(), get(t, s.Monitors(), "a")); err != nil {
		t.Fatal(err)
	}
	write(t, s, vedette.Batch{
		Found:     vedette.Found{Results: []vedette.Result{look("a", noon), failing("a", noon.Add(time.Second))}},
		Statuses:  []vedette.Status{{Monitor: "a"}},
		Incidents: []vedette.Incident{incident("a", noon, time.Time{})},
	})
	roll(t, s, rollup("a", vedette.Daily, noon.Truncate(24*time.Hour)))
	size, err := s.Size(t.Context())
	if err != nil || size.Bytes <= 0 {
		t.Errorf("%d bytes, %v", size.Bytes, err)
	}
	for table, want := range map[string]int64{"monitors": 1, "results": 2, "statuses": 1, "incidents": 1, "rollups": 1, "dirty": 1} {
		if got := size.Rows[table]; got != want {
			t.Errorf("%d rows of %s, want %d", got, table, want)
		}
	}
}

// testPruneRace writes a new day while the old one is pruned.
func testPruneRace(t *testing.T, s Store) {
	day := 24 * time.Hour
	write(t, s, found(looks("a", noon, 1000, 20*time.Second)...))
	clean(t, s)
	young := looks("a", noon.Add(5*day), 500, time.Second)
	wrote := make(chan error, 1)
	go func() {
		for i := 0; i < len(young); i += 50 {
			if err := s.Write(t.Context(), found(young[i:i+50]...)); err != nil {
				wrote <- err
				return
			}
		}
		wrote <- nil
	}()
	prune(t, s, noon.Add(5*day), vedette.Retention{Results: day, Failures: day})
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	same(t, "history", ids(history(t, s, "a", vedette.Span{})), ids(young))
}
