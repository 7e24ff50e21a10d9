package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/postgres/pgtest"
)

func ids(results []vedette.Result) []vedette.ID {
	all := make([]vedette.ID, len(results))
	for i, r := range results {
		all[i] = r.ID
	}
	return all
}

// TestResultsAreKeptOnceWhicheverWayTheyCome sends short and long batches, anew, in parts and
// marked as sent again.
func TestResultsAreKeptOnceWhicheverWayTheyCome(t *testing.T) {
	for _, n := range []int{copyFrom / 2, copyFrom + 1} {
		s, _ := openNew(t)
		all := looks("a", noon, 3*n, time.Second)
		write(t, s, found(all[:n]...))
		write(t, s, found(all[n/2:2*n]...)) // meets what is kept: the server says unique violation
		write(t, s, vedette.Batch{Found: vedette.Found{Results: all[n:], Resent: true}})
		write(t, s, found(slices.Concat(all, all)...))
		if got := history(t, s, "a", 5*n); !slices.Equal(ids(got), ids(all)) {
			t.Errorf("%d results are kept of %d", len(got), len(all))
		}
	}
}

func TestRefusesWhatLiesInTheFuture(t *testing.T) {
	s, url := openNew(t)
	for _, n := range []int{1, copyFrom + 1} {
		for _, far := range []time.Duration{25 * time.Hour, 24 * 400 * time.Hour} {
			late := looks("a", time.Now().Add(far).Truncate(time.Microsecond), n, time.Microsecond)
			err := s.Write(t.Context(), found(append(looks("a", noon, 3, time.Second), late...)...))
			if !errors.Is(err, vedette.ErrRefused) || !strings.Contains(err.Error(), "out_of_range: ") {
				t.Errorf("%d results of %v ahead: %v, want ErrRefused, out_of_range", n, far, err)
			}
		}
	}
	soon := looks("a", time.Now().Add(23*time.Hour).Truncate(time.Microsecond), 1, 1)
	write(t, s, found(soon...))
	if got := history(t, s, "a", 10); len(got) != 1 {
		t.Errorf("%d results are kept, want the one of tomorrow", len(got))
	}
	c := connect(t, url)
	if n := one[int](t, c, "select count(*) from pg_inherits where inhparent = 'results'::regclass"); n > 4 {
		t.Errorf("%d days have tables: one that was refused has", n)
	}
}

func TestTextThatPostgresRefusesIsReplacedOrRefused(t *testing.T) {
	s, _ := openNew(t)
	r := looks("a", noon, 1, 1)[0]
	r.State, r.Failure = vedette.Down, &vedette.Failure{
		Kind: vedette.KindContent, Message: "got \x00 and \xff", Phase: "ttfb\x00",
		Evidence: &vedette.Evidence{Body: "a\x00b\\u0000 \\", Header: map[string][]string{"X\x00": {"\xfe\x00"}}},
	}
	write(t, s, found(r))
	got := history(t, s, "a", 1)[0].Failure
	if got.Message != "got \ufffd and \ufffd" || got.Phase != "ttfb\ufffd" || got.Evidence.Body != "a\ufffdb\\u0000 \\" ||
		!slices.Equal(got.Evidence.Header["X\ufffd"], []string{"\ufffd\ufffd"}) {
		t.Errorf("kept %+v %+v", got, got.Evidence)
	}
	var long strings.Builder // that compresses badly, and does not fit into an index
	for range 200 {
		long.WriteString(vedette.NewID(noon).String())
	}
	for _, id := range []vedette.MonitorID{"a\x00", "\xff", vedette.MonitorID(long.String())} {
		bad := looks(id, noon, 1, 1)[0]
		if err := s.Write(t.Context(), found(bad)); !errors.Is(err, vedette.ErrRefused) {
			t.Errorf("monitor %.10q: %v, want ErrRefused", id, err)
		}
	}
	r.Region = "\x00"
	if err := s.Write(t.Context(), found(r)); !errors.Is(err, vedette.ErrRefused) {
		t.Errorf("region with a NUL: %v, want ErrRefused", err)
	}
}

// TestTwoWritersOfTheSameNeverDeadlock lets stores of two processes write the same statuses,
// results and slots in opposite orders.
func TestTwoWritersOfTheSameNeverDeadlock(t *testing.T) {
	first, url := openNew(t)
	stores := []*Store{first, openAt(t, url, Options{Owner: "two"})}
	const monitors, times = 40, 8
	var done sync.WaitGroup
	for w, s := range stores {
		done.Go(func() {
			for i := range times {
				for {
					err := increment(t.Context(), s, monitors, w == 1, noon.Add(time.Duration(i)*time.Hour))
					if err == nil {
						break
					}
					if !errors.Is(err, vedette.ErrConflict) {
						t.Errorf("writer %d: %v", w, err)
						return
					}
				}
			}
		})
	}
	done.Wait()
	all, err := first.Latest(t.Context())
	if err != nil || len(all) != monitors {
		t.Fatalf("%d statuses, %v", len(all), err)
	}
	for _, st := range all {
		if st.Version != 2*times || st.Seq != 2*times {
			t.Errorf("%s: version %d seq %d, want %d: an update was lost", st.Monitor, st.Version, st.Seq, 2*times)
		}
	}
}

func increment(ctx context.Context, s *Store, n int, backwards bool, at time.Time) error {
	was, err := s.Latest(ctx)
	if err != nil {
		return err
	}
	b := vedette.Batch{}
	for i := range n {
		st := vedette.Status{Monitor: monitorID(i)}
		if j := slices.IndexFunc(was, func(o vedette.Status) bool { return o.Monitor == st.Monitor }); j >= 0 {
			st = was[j]
		}
		st.Seq++
		b.Statuses = append(b.Statuses, st)
		r := looks(st.Monitor, at, 1, 1)[0]
		r.ID = vedette.FirstID(at) // the same of both writers
		b.Results = append(b.Results, r)
	}
	if backwards {
		slices.Reverse(b.Statuses)
		slices.Reverse(b.Results)
	}
	return s.Write(ctx, b)
}

// TestWriteWorksAgainAfterARestart ends all connections, as a restart of the server does.
func TestWriteWorksAgainAfterARestart(t *testing.T) {
	text := pgtest.Schema(t)
	s := openAt(t, text, Options{Owner: "restart" + vedette.NewID(time.Now()).String()})
	name := s.pool.Config().ConnConfig.RuntimeParams["application_name"]
	var busy sync.WaitGroup
	for i := range 8 {
		busy.Go(func() { write(t, s, found(looks(monitorID(i), noon, 3, time.Second)...)) })
	}
	busy.Wait()
	c := connect(t, text)
	ended := one[int](t, c, "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity where application_name = $1", name)
	if ended == 0 {
		t.Fatal("no connection to end")
	}
	failed := 0
	for i := range 10 {
		b := found(looks("z", noon.Add(time.Duration(i)*time.Minute), 1, 1)...)
		if err := s.Write(t.Context(), b); err != nil {
			if failed++; !strings.Contains(err.Error(), "write batch: ") {
				t.Errorf("%v: want what we were doing", err)
			}
			b.Resent = true
			write(t, s, b)
		}
	}
	if failed > 1 {
		t.Errorf("%d calls failed after %d connections broke, want one at most", failed, ended)
	}
	if got := history(t, s, "z", 100); len(got) != 10 {
		t.Errorf("%d results, want 10", len(got))
	}
}

// stopped begins a transaction under our name, as a process that is stopped in the middle of a
// COPY leaves it: the time-out of idle transactions does not end it.
func stopped(t *testing.T, url, sql string) {
	t.Helper()
	c := connect(t, url)
	if err := script(t.Context(), c, "set application_name = '"+prefix+"stopped'; begin; "+sql); err != nil {
		t.Fatal(err)
	}
	half, rest := io.Pipe()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = c.PgConn().CopyFrom(context.Background(), half, copyResults)
	}()
	t.Cleanup(func() {
		_ = rest.Close()
		<-gone
	})
	if _, err := rest.Write([]byte(copyHeader)); err != nil {
		t.Fatal(err)
	}
}

func TestClaimAndAcquireEndAStoppedProcess(t *testing.T) {
	t.Parallel()
	s, url := openNew(t)
	place := vedette.Position{Group: "g", Topic: "t"}
	old, err := s.Positions().Claim(t.Context(), "old", place)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Leases().Acquire(t.Context(), "old", time.Microsecond, "x"); err != nil {
		t.Fatal(err)
	}
	stopped(t, url, "update stream_offsets set next_offset = 99")
	stopped(t, url, "update leases set owner = 'old'")
	var both sync.WaitGroup
	began := time.Now()
	both.Go(func() {
		got, err := s.Positions().Claim(t.Context(), "new", place)
		if err != nil || got[0].Next != -1 || got[0].Epoch <= old[0].Epoch {
			t.Errorf("claimed %+v, %v", got, err)
		}
	})
	both.Go(func() {
		if held, err := s.Leases().Acquire(t.Context(), "new", time.Hour, "x"); err != nil || len(held) != 1 {
			t.Errorf("held %v, %v", held, err)
		}
	})
	both.Wait()
	if took := time.Since(began); took < patience || took > 4*patience {
		t.Errorf("it took %v, want a little more than %v", took, patience)
	}
	b := vedette.Batch{Positions: old}
	b.Positions[0].From, b.Positions[0].Next = -1, 5
	if err := s.Write(t.Context(), b); !errors.Is(err, vedette.ErrLeaseLost) {
		t.Errorf("the old owner writes: %v, want ErrLeaseLost", err)
	}
}

func TestIdleTransactionsOfOursEnd(t *testing.T) {
	t.Parallel()
	s, _ := openNew(t)
	err := s.use(t.Context(), func(c *pgx.Conn) error {
		if got := one[string](t, c, "show idle_in_transaction_session_timeout"); got != "3s" {
			t.Errorf("idle transactions end after %s, want 3s", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// BenchmarkBatch measures whole writes of 10,000 results beside the floor: the same rows by COPY
// alone into the same table.
func BenchmarkBatch(b *testing.B) {
	const n = 10_000
	for _, each := range []int{1, 4} {
		b.Run(fmt.Sprintf("floor/%d", each), func(b *testing.B) { benchmarkBatch(b, n, each, false) })
		b.Run(fmt.Sprintf("write/%d", each), func(b *testing.B) { benchmarkBatch(b, n, each, true) })
	}
}

func benchmarkBatch(b *testing.B, n, each int, whole bool) {
	s, _ := openNew(b)
	monitors := n / each
	p, err := s.Positions().Claim(b.Context(), "me", vedette.Position{Group: "g", Topic: "t"})
	if err != nil {
		b.Fatal(err)
	}
	statuses := make([]vedette.Status, monitors)
	start := time.Now().Truncate(time.Hour) // the hour of most results
	round := 0
	for b.Loop() {
		b.StopTimer()
		batch := vedette.Batch{Statuses: statuses, Positions: p}
		for i := range n {
			id := monitorID(i % monitors)
			at := start.Add(time.Duration(round*n+i) * 100 * time.Microsecond)
			r := vedette.Result{
				ID: vedette.NewID(at), Monitor: id, StartedAt: at, DueAt: at, State: vedette.Up, Code: 200, Region: "eu-1",
				Revision: 1, Token: at.UnixMicro(), Seq: int64(round),
				Phases: vedette.Phases{DNS: 1e6, Connect: 8e6, TLS: 17e6, Request: 5e4, TTFB: 36e6, Transfer: 2e6},
			}
			batch.Results = append(batch.Results, r)
			st := &statuses[i%monitors]
			st.Monitor, st.State, st.Settled, st.Since, st.Counted, st.Version = id, vedette.Up, vedette.Up, start, at, int64(round)
			st.Votes = append(st.Votes[:0], vedette.Vote{Region: "eu-1", Tally: vedette.Tally{State: vedette.Up, Since: start}, Last: r})
		}
		p[0].From, p[0].Next = p[0].Next, p[0].Next+int64(n)
		b.StartTimer()
		if whole {
			write(b, s, batch)
		} else {
			floor(b, s, &batch)
		}
		round++
	}
	b.ReportMetric(float64(round*n)/b.Elapsed().Seconds(), "results/s")
}

// floor keeps the results of a batch by COPY alone.
func floor(b *testing.B, s *Store, batch *vedette.Batch) {
	b.Helper()
	w, err := prepare(s, &vedette.Batch{Found: batch.Found})
	if err != nil {
		b.Fatal(err)
	}
	err = s.use(b.Context(), func(c *pgx.Conn) error {
		_, err := c.PgConn().CopyFrom(b.Context(), strings.NewReader(string(w.kept.copied())), copyResults)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}
