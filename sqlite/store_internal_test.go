package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func openAt(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func openNew(t testing.TB) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "vedette.db"))
}

// do runs f on the connection that writes.
func (s *Store) do(t testing.TB, f func(c *conn) error) {
	t.Helper()
	c := <-s.writer
	defer func() { s.writer <- c }()
	if err := f(c); err != nil {
		t.Fatal(err)
	}
}

func (s *Store) script(t testing.TB, text string) {
	t.Helper()
	s.do(t, func(c *conn) error { return c.script(text) })
}

func (s *Store) number(t testing.TB, text string) (n int64) {
	t.Helper()
	s.do(t, func(c *conn) (err error) {
		n, err = c.int(text)
		return err
	})
	return n
}

func looks(m vedette.MonitorID, from time.Time, n int, step time.Duration) vedette.Batch {
	var b vedette.Batch
	for i := range n {
		at := from.Add(time.Duration(i) * step)
		r := vedette.Result{ID: vedette.NewID(at), Monitor: m, StartedAt: at, State: vedette.Up, Code: 200}
		if i%10 == 9 {
			r.State, r.Failure = vedette.Down, &vedette.Failure{Kind: vedette.KindStatus, Message: "status 500"}
		}
		b.Results = append(b.Results, r)
	}
	return b
}

func write(t testing.TB, s *Store, b vedette.Batch) {
	t.Helper()
	if err := s.Write(context.Background(), b); err != nil {
		t.Fatal(err)
	}
}

func TestFileIsSetUpAsPromised(t *testing.T) {
	s := openNew(t)
	for pragma, want := range map[string]int64{"synchronous": 2, "auto_vacuum": 2, "application_id": appID, "user_version": 3} {
		if got := s.number(t, "pragma "+pragma); got != want {
			t.Errorf("%s is %d, want %d", pragma, got, want)
		}
	}
	s.do(t, func(c *conn) error {
		return c.query(func(row []driver.Value) error {
			if row[0] != "wal" {
				t.Errorf("journal_mode is %v, want wal", row[0])
			}
			return nil
		}, "pragma journal_mode")
	})
}

func TestNewerAndForeignFilesAreRefused(t *testing.T) {
	for script, want := range map[string]string{
		"pragma user_version = 99":                              "newer Vedette",
		"pragma application_id = 7":                             "another program",
		"pragma application_id = 0; create table other (a int)": "another program",
	} {
		s := openNew(t)
		s.script(t, script)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for _, o := range []Options{{}, {ReadOnly: true}} {
			if _, err := Open(t.Context(), s.path, o); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: Open with %+v: %v, want %q", script, o, err, want)
			}
		}
	}
	s := openNew(t)
	s.script(t, "pragma user_version = 0; pragma application_id = 0; drop table monitors")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), s.path, Options{ReadOnly: true}); err == nil {
		t.Error("a reader opened a schema that is not current")
	}
}

// TestFullDiskLosesNothingAndRecovers bounds the file until a batch does not fit, then makes
// room.
func TestFullDiskLosesNothingAndRecovers(t *testing.T) {
	s := openNew(t)
	s.script(t, fmt.Sprintf("pragma max_page_count = %d", s.number(t, "pragma page_count")+20))
	kept := 0
	var failed vedette.Batch
	for i := 0; ; i++ {
		failed = looks(vedette.MonitorID(fmt.Sprint(i)), noon.Add(time.Duration(i)*time.Minute), 500, time.Millisecond)
		failed.Statuses = []vedette.Status{{Monitor: vedette.MonitorID(fmt.Sprint(i))}}
		if err := s.Write(t.Context(), failed); err != nil {
			if !strings.Contains(err.Error(), "full") {
				t.Fatalf("batch %d: %v, want that the disk is full", i, err)
			}
			break
		}
		kept += 500
	}
	if err := s.Write(t.Context(), failed); err == nil {
		t.Fatal("the batch fits now")
	}
	check := func(want int) {
		t.Helper()
		size, err := s.Size(t.Context())
		if err != nil || size.Rows["results"] != int64(want) || size.Rows["statuses"] != int64(want/500) {
			t.Errorf("%v, want %d results; %v", size.Rows, want, err)
		}
		if n := s.number(t, "select (select count(*) from results) + (select count(*) from failures)"); n != int64(want) {
			t.Errorf("%d rows, want %d", n, want)
		}
	}
	check(kept)
	s.script(t, "pragma max_page_count = 1000000")
	write(t, s, failed)
	check(kept + 500)
}

// TestCopyTakenInTheMiddleIsSound copies the file and its log while batches are written, as a
// crash would leave them.
func TestCopyTakenInTheMiddleIsSound(t *testing.T) {
	s := openNew(t)
	write(t, s, looks("a", noon, 100, time.Second))
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 1; ; i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := s.Write(context.Background(), looks("a", noon.Add(time.Duration(i)*time.Hour), 100, time.Second)); err != nil {
				done <- err
				return
			}
		}
	}()
	for range 5 {
		size, err := s.Size(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(t.TempDir(), "copy.db")
		for _, suffix := range []string{"", "-wal"} {
			data, err := os.ReadFile(s.path + suffix)
			if err == nil {
				err = os.WriteFile(to+suffix, data, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		sound(t, to, size.Rows["results"])
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// sound opens a copy and checks it.
func sound(t *testing.T, path string, least int64) {
	t.Helper()
	c := openAt(t, path)
	c.do(t, func(c *conn) error {
		return c.query(func(row []driver.Value) error {
			if row[0] != "ok" {
				return fmt.Errorf("integrity check: %v", row[0])
			}
			return nil
		}, "pragma integrity_check")
	})
	n := c.number(t, "select (select count(*) from results) + (select count(*) from failures)")
	if n < least || n%100 != 0 {
		t.Errorf("%d results in the copy, want whole batches and at least %d", n, least)
	}
}

func TestTokenGrowsWhateverTheClockSays(t *testing.T) {
	s := openNew(t)
	ahead := time.Now().Add(time.Hour).UnixMicro()
	for _, token := range []int64{5, ahead} {
		s.script(t, fmt.Sprintf("insert or replace into leases values ('x', 'old', %d, 1)", token))
		now := time.Now().UnixMicro()
		held, err := s.Leases().Acquire(t.Context(), "new", time.Hour, "x")
		if err != nil || len(held) != 1 || held[0].Token <= token || held[0].Token < now {
			t.Errorf("took %+v after token %d, %v", held, token, err)
		}
	}
}

func TestMonitorsWithOneNumberAreKeptApart(t *testing.T) {
	s := openNew(t)
	num := int64(vedette.MonitorID("a").Hash() >> 24)
	s.script(t, fmt.Sprintf("insert into names values (%d, 'b'), (%d, 'c')", num, num+1))
	for _, id := range []vedette.MonitorID{"a", "b", "c"} {
		write(t, s, looks(id, noon, 3, time.Second))
	}
	for _, id := range []vedette.MonitorID{"a", "b", "c"} {
		if got, err := s.History(t.Context(), id, vedette.Span{}); err != nil || len(got) != 3 {
			t.Errorf("%d results of %s, want 3; %v", len(got), id, err)
		}
	}
	if got := s.number(t, "select num from names where id = 'a'"); got != num+2 {
		t.Errorf("a has number %d, want %d, the next that is free", got, num+2)
	}
}

func TestCountsAreThoseOfTheRows(t *testing.T) {
	s := openNew(t)
	ctx := t.Context()
	for i := range 5 {
		b := looks("a", noon.Add(time.Duration(i)*30*time.Minute), 60, time.Second)
		b.Results = append(b.Results, b.Results[:30]...)
		b.Statuses = []vedette.Status{{Monitor: vedette.MonitorID(fmt.Sprint(i))}}
		b.Incidents = []vedette.Incident{{ID: vedette.NewID(noon), Monitor: "a", Closed: noon.Add(time.Duration(i) * time.Hour)}}
		write(t, s, b)
		write(t, s, vedette.Batch{Found: b.Found, Incidents: b.Incidents})
		if err := s.Monitors().Put(ctx, vedette.Monitor{ID: vedette.MonitorID(fmt.Sprint(i))}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Monitors().Delete(ctx, vedette.Monitor{ID: "0", Meta: vedette.Meta{Version: 1}}); err != nil {
		t.Fatal(err)
	}
	slots, err := s.Dirty(ctx, noon.AddDate(1, 0, 0), 2)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Roll(ctx, vedette.Rollup{Monitor: "a", Period: vedette.Hourly, At: slots[0].Hour, Mark: slots[0].Mark}); err != nil {
			t.Fatal(err)
		}
	}
	write(t, s, looks("a", slots[0].Hour.Add(55*time.Minute), 1, 1)) // dirty again
	write(t, s, looks("a", slots[1].Hour.Add(55*time.Minute), 1, 1)) // dirty anew
	if err := s.Forget(ctx, "1"); err != nil {
		t.Fatal(err)
	}
	keep := vedette.Retention{Results: time.Minute, Failures: time.Hour}
	for more := true; more; {
		if more, err = s.Prune(ctx, noon.Add(3*time.Hour), keep); err != nil {
			t.Fatal(err)
		}
	}
	useJobs(t, s)
	gone := []string{"incidents", "past"}
	for _, table := range []string{"results", "failures", "statuses", "incidents", "rollups", "dirty", "monitors", "jobs", "past", "entries"} {
		from := table
		switch table {
		case "monitors":
			from += " where doc is not null"
		case "dirty":
			from = "slots where mark > 0"
		}
		rows, count := s.number(t, "select count(*) from "+from), s.number(t, "select n from counts where name = '"+table+"'")
		if rows != count || rows == 0 && !slices.Contains(gone, table) {
			t.Errorf("%s: %d rows are counted as %d", table, rows, count)
		}
	}
}

func TestPruneWorksInPieces(t *testing.T) {
	s := openNew(t)
	for i := range 12 {
		write(t, s, looks(vedette.MonitorID(fmt.Sprint(i)), noon, 1000, time.Millisecond))
	}
	s.script(t, "update slots set mark = 0")
	last := int64(12_000)
	calls := 0
	for more := true; more; calls++ {
		var err error
		if more, err = s.Prune(t.Context(), noon.Add(time.Hour), vedette.Retention{Results: time.Minute, Failures: time.Minute}); err != nil {
			t.Fatal(err)
		}
		left := s.number(t, "select sum(n) from counts where name in ('results', 'failures')")
		if last-left > 2*piece+2000 {
			t.Errorf("one call dropped %d rows", last-left)
		}
		last = left
	}
	if last != 0 || calls < 3 {
		t.Errorf("%d rows left after %d calls", last, calls)
	}
	if left := s.number(t, "select count(*) from slots"); left != 0 {
		t.Errorf("%d slots left of hours without results", left)
	}
}

func TestPruneGivesTheFileBack(t *testing.T) {
	s := openNew(t)
	write(t, s, looks("a", noon, 10, time.Second))
	s.script(t, "create table much (b blob); insert into much values (zeroblob(16000000)); drop table much")
	before := s.number(t, "pragma page_count")
	for more := true; more; {
		var err error
		if more, err = s.Prune(t.Context(), noon, vedette.Retention{}); err != nil {
			t.Fatal(err)
		}
	}
	if after := s.number(t, "pragma page_count"); after > before/2 {
		t.Errorf("%d pages of %d are left of an almost empty store", after, before)
	}
	if got, err := s.History(t.Context(), "a", vedette.Span{}); err != nil || len(got) != 10 {
		t.Errorf("%d results, want 10; %v", len(got), err)
	}
}

// TestHistorySeeks holds the plan: a look at one monitor must not scan others' rows.
func TestHistorySeeks(t *testing.T) {
	s := openNew(t)
	var plan []string
	s.do(t, func(c *conn) error {
		id := make([]byte, 16)
		return c.query(func(row []driver.Value) error {
			plan = append(plan, row[3].(string))
			return nil
		}, "explain query plan "+fmt.Sprintf(oneMonitor, "desc"), int64(1), int64(2), int64(3), id, id, int64(4))
	})
	all := strings.Join(plan, "\n")
	if want := "SEARCH slots USING PRIMARY KEY (hour=? AND num=?)"; !strings.Contains(all, want) {
		t.Errorf("no %q in the plan:\n%s", want, all)
	}
	for _, table := range []string{"results", "failures"} {
		if want := "SEARCH " + table + " USING PRIMARY KEY (minute=? AND num=? AND id>? AND id<?)"; !strings.Contains(all, want) {
			t.Errorf("no %q in the plan:\n%s", want, all)
		}
	}
}

// TestFailedTransactionTeachesNothing asks for a monitor whose number was made in a batch that
// was not kept.
func TestFailedTransactionTeachesNothing(t *testing.T) {
	s := openNew(t)
	b := looks("a", noon, 3, time.Second)
	b.Statuses = []vedette.Status{{Monitor: "a", Version: 7}}
	if err := s.Write(t.Context(), b); !errors.Is(err, vedette.ErrConflict) {
		t.Fatal(err)
	}
	b.Statuses = nil
	write(t, s, b)
	if got, err := s.History(t.Context(), "a", vedette.Span{}); err != nil || len(got) != 3 {
		t.Errorf("%d results, want 3; %v", len(got), err)
	}
	if slots, err := s.Dirty(t.Context(), noon.AddDate(1, 0, 0), 9); err != nil || len(slots) != 1 {
		t.Errorf("slots %v, want one; %v", slots, err)
	}
}
