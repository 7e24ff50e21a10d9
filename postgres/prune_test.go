package postgres

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
)

// dayNames returns the tables of results, partitions or not.
func dayNames(t testing.TB, c *pgx.Conn) []string {
	t.Helper()
	all, err := results.days(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range all {
		names = append(names, d.name)
	}
	return names
}

// clean rolls all dirty slots.
func cleanAll(t testing.TB, s *Store) {
	t.Helper()
	slots, err := s.Dirty(t.Context(), noon.AddDate(1, 0, 0), 1e6)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range slots {
		if err := s.Roll(t.Context(), vedette.Rollup{Monitor: one.Monitor, At: one.Hour, Period: vedette.Hourly, Mark: one.Mark}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDaysAreMadeAheadAndOnDemand(t *testing.T) {
	s, url := openNew(t)
	c := connect(t, url)
	var want []string
	for i := range daysAhead + 1 {
		want = append(want, dayOf(time.Now()).AddDate(0, 0, i).Format(string(results)+dayForm))
	}
	if got := dayNames(t, c); !slices.Equal(got, want) && time.Now().Hour() != 0 {
		t.Errorf("tables %v, want %v", got, want)
	}
	// Somebody reads, and a day is made all the same.
	reader := connect(t, url)
	if err := script(t.Context(), reader, "begin; select count(*) from results"); err != nil {
		t.Fatal(err)
	}
	write(t, s, found(looks("a", noon.Add(11*time.Hour), 2*copyFrom, 10*time.Second)...))
	if got := dayNames(t, c); !slices.Contains(got, "results_20260301") || !slices.Contains(got, "results_20260302") {
		t.Errorf("tables %v, want those of both days of the results", got)
	}
}

// TestPruneLeavesADayThatIsRead: neither Prune nor anybody else waits for a reader.
func TestPruneLeavesADayThatIsRead(t *testing.T) {
	t.Parallel()
	s, url := openNew(t)
	write(t, s, found(looks("a", noon, 5, time.Second)...))
	write(t, s, found(looks("a", noon.AddDate(0, 0, 3), 5, time.Second)...))
	cleanAll(t, s)
	reader, c := connect(t, url), connect(t, url)
	if err := script(t.Context(), reader, "begin; select count(*) from results"); err != nil {
		t.Fatal(err)
	}
	keep := vedette.Retention{Results: 72 * time.Hour, Failures: 72 * time.Hour}
	now := noon.AddDate(0, 0, 4).Add(time.Hour)
	pruned := make(chan error, 1)
	go func() {
		more, err := s.Prune(t.Context(), now, keep)
		if more {
			t.Error("Prune says that there is more to do, and would be asked again at once")
		}
		pruned <- err
	}()
	for i := range 5 {
		write(t, s, found(looks("b", noon.AddDate(0, 0, 3).Add(time.Duration(i)*time.Minute), 5, time.Second)...))
		history(t, s, "b", 10)
	}
	if err := <-pruned; err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(dayNames(t, c), "results_20260301") {
		t.Fatal("the day that is read is gone")
	}
	// Until its reader is done, which may take hours, the day takes nothing more.
	if err := s.Write(t.Context(), found(looks("a", noon.Add(time.Hour), 5, time.Second)...)); !errors.Is(err, vedette.ErrRefused) {
		t.Errorf("results of a day that is being dropped: %v, want ErrRefused", err)
	}
	if err := script(t.Context(), reader, "commit"); err != nil {
		t.Fatal(err)
	}
	// The server may look at the table itself for a while, as its autovacuum does.
	for late := time.Now().Add(time.Minute); slices.Contains(dayNames(t, c), "results_20260301"); {
		if _, err := s.Prune(t.Context(), now, keep); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(late) {
			t.Fatal("the day stays although nobody reads it")
		}
	}
	if got := dayNames(t, c); !slices.Contains(got, "results_20260304") {
		t.Errorf("tables %v, want that of the 4th kept", got)
	}
	write(t, s, found(looks("a", noon, 5, time.Second)...)) // the day comes back on demand
	if got := history(t, s, "a", 100); len(got) != 10 {
		t.Errorf("%d results, want 10", len(got))
	}
}

func TestThinnedDayGivesItsSpaceBack(t *testing.T) {
	s, url := openNew(t)
	all := looks("a", noon, 5000, time.Second)
	bad := &all[77]
	bad.State, bad.Failure = vedette.Down, &vedette.Failure{Kind: vedette.KindStatus, Message: "status 500"}
	write(t, s, found(all...))
	cleanAll(t, s)
	c := connect(t, url)
	before := one[int64](t, c, "select pg_total_relation_size('results_20260301')")
	for more := true; more; {
		var err error
		if more, err = s.Prune(t.Context(), noon.AddDate(0, 0, 30), vedette.Retention{Results: 72 * time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	if after := one[int64](t, c, "select pg_total_relation_size('results_20260301')"); after > before/4 {
		t.Errorf("%d bytes of %d are left of a day of one failure", after, before)
	}
	if got := history(t, s, "a", 10); len(got) != 1 || got[0].ID != bad.ID {
		t.Errorf("%d results are left, want the one that failed", len(got))
	}
}

// TestSlotsAreMarkedAnewWhenSomebodyMayHaveReadThem drives what a process remembers of slots by
// a clock of the test's.
func TestSlotsAreMarkedAnewWhenSomebodyMayHaveReadThem(t *testing.T) {
	var m marked
	at := looks("a", noon.Add(30*time.Minute), 1, 1)
	results := []*vedette.Result{&at[0]}
	want := slot{"a", noon.Unix() / 3600}
	inside, behind := noon.Add(40*time.Minute), noon.Add(time.Hour)
	if got := m.dirtied(results, inside); !slices.Equal(got, []slot{want}) {
		t.Fatalf("dirtied %v, want the slot at first", got)
	}
	if got := m.dirtied(results, inside); len(got) != 1 {
		t.Error("a mark that was not kept is counted on")
	}
	m.keep([]slot{want})
	if got := m.dirtied(results, inside); len(got) != 0 {
		t.Errorf("dirtied %v within the hour, want none again", got)
	}
	if got := m.dirtied(results, behind); !slices.Equal(got, []slot{want}) {
		t.Errorf("dirtied %v behind the hour, want the slot", got)
	}
	for i := range 2 * maxMarked {
		m.keep([]slot{{monitorID(i), want.hour}})
	}
	if len(m.hours) > maxMarked {
		t.Errorf("%d slots are remembered, want at most %d", len(m.hours), maxMarked)
	}
	later := looks("b", noon.Add(3*time.Hour), 1, 1)
	if got := m.dirtied(append(results, &later[0]), inside); len(got) != 2 {
		t.Errorf("dirtied %v, want both: the hour of the first is not locked", got)
	}
}

// TestDirtyWaitsForWritesThatCountOnOlderMarks holds the lock of an hour as a write does.
func TestDirtyWaitsForWritesThatCountOnOlderMarks(t *testing.T) {
	s, url := openNew(t)
	write(t, s, found(looks("a", noon, 1, 1)...))
	writer := connect(t, url)
	hour := noon.Unix() / 3600
	if err := script(t.Context(), writer, "begin"); err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Exec(t.Context(), shareHours, []int32{int32(hour)}); err != nil {
		t.Fatal(err)
	}
	read := make(chan []vedette.Slot, 1)
	go func() {
		slots, err := s.Dirty(t.Context(), noon.Add(time.Hour), 10)
		if err != nil {
			t.Error(err)
		}
		read <- slots
	}()
	watcher := connect(t, url)
	for one[int](t, watcher, "select count(*) from pg_locks where locktype = 'advisory' and not granted and "+
		"classid::bigint = (select "+hourLock+"::bigint & 4294967295)") == 0 {
		select {
		case slots := <-read:
			t.Fatalf("Dirty gave %v while a write was in progress", slots)
		default:
		}
	}
	if err := script(t.Context(), writer, "commit"); err != nil {
		t.Fatal(err)
	}
	if slots := <-read; len(slots) != 1 {
		t.Errorf("slots %v, want one", slots)
	}
}

func TestSlotsOfThisHourAreNotGiven(t *testing.T) {
	s, _ := openNew(t)
	write(t, s, found(looks("a", time.Now().Truncate(time.Microsecond), 1, 1)...))
	if slots, err := s.Dirty(t.Context(), time.Now().Add(24*time.Hour), 10); err != nil || len(slots) != 0 {
		t.Errorf("slots %v of an hour that has not ended, %v", slots, err)
	}
	write(t, s, found(looks("a", time.Now().Truncate(time.Microsecond), 1, 1)...))
	size, err := s.Size(t.Context())
	if err != nil || size.Rows["dirty"] < 1 || size.Rows["dirty"] > 2 {
		t.Errorf("%d slots are dirty, want this hour's; %v", size.Rows["dirty"], err)
	}
}
