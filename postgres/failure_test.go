package postgres

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/postgres/pgtest"
	"github.com/vedettehq/vedette/storetest"
)

// behind returns a store whose connections go through a proxy, and another that goes straight.
func behind(t *testing.T) (far, near *Store, p *storetest.Proxy) {
	t.Helper()
	text := pgtest.Schema(t)
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	p = storetest.NewProxy(t, u.Host)
	u.Host = p.Addr()
	return openAt(t, u.String(), Options{}), openAt(t, text, Options{}), p
}

// cutAnswer lets the server get what the client sends of a prepared statement, or of a text, and
// the client no answer.
func cutAnswer(p *storetest.Proxy, statement string) {
	var done atomic.Bool
	p.CutWhen(func(chunk []byte) bool {
		return bytes.Contains(chunk, []byte(statement)) && done.CompareAndSwap(false, true)
	}, false)
}

func TestClaimWhoseAnswerIsLostComesBack(t *testing.T) {
	far, near, p := behind(t)
	beatFor(t, near, "w")
	push(t, near, plainJob())
	beatFor(t, near, "warm")
	take(t, far, "warm", 1) // and prepares the statement
	j := plainJob()
	push(t, near, j)
	cutAnswer(p, "\x00claim1\x00")
	if got, err := far.Queue().Claim(t.Context(), "w", 1, vedette.Want{Queue: "q"}); err == nil {
		t.Fatalf("Claim whose answer is cut: %v", got)
	}
	waitFor(t, "the claim that nobody knows of", func() bool { return stateOf(t, near, j.ID) == vedette.JobStarted })
	beatFor(t, near, "w")
	beatFor(t, near, "w")
	if got := take(t, near, "warm", 1); got[0].ID != j.ID || got[0].Attempt != 1 {
		t.Errorf("claimed %+v, want the one whose claim nobody knew of, as its first attempt", got[0])
	}
}

func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	for begun := time.Now(); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func stateOf(t testing.TB, s *Store, id vedette.ID) vedette.JobState {
	t.Helper()
	j, err := s.Jobs().Get(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return j.State
}

func TestFinishWhoseAnswerIsLostIsSaidAgain(t *testing.T) {
	far, near, p := behind(t)
	beatFor(t, near, "w")
	for range 10 {
		push(t, near, plainJob(), plainJob())
		jobs := take(t, near, "w", 2)
		finish(t, far, jobs[0])
		cutAnswer(p, "\x00finish\x00")
		end := vedette.End{Ref: jobs[1].Ref(), State: vedette.JobSucceeded, Result: "42"}
		if _, err := far.Queue().Finish(t.Context(), end); err == nil {
			t.Fatal("Finish whose answer is cut says that it is done")
		}
		ended := false
		for begun := time.Now(); !ended && time.Since(begun) < 2*time.Second; time.Sleep(5 * time.Millisecond) {
			ended = stateOf(t, near, jobs[1].ID) == vedette.JobSucceeded
		}
		if stale, err := far.Queue().Finish(t.Context(), end); err != nil || len(stale) > 0 {
			t.Errorf("said again: stale %v, %v", stale, err)
		}
		if ended {
			return
		} // it was cut before the server had all of it
	}
	t.Error("the server never heard the end whose answer is cut")
}

func TestPushWhoseAnswerIsLostIsSaidAgain(t *testing.T) {
	for name, n := range map[string]int{"a few": 3, "many": 2 * copyJobsFrom} {
		far, near, p := behind(t)
		beatFor(t, near, "w")
		jobs := make([]vedette.Job, n)
		for i := range jobs {
			jobs[i] = plainJob()
		}
		push(t, far, plainJob())
		take(t, near, "w", 1)
		cutAnswer(p, "\x00known\x00")
		if _, err := far.Jobs().Push(t.Context(), jobs...); err == nil {
			t.Fatalf("%s: Push whose answer is cut says that it is done", name)
		}
		if !arrives(t, near, n) { // it was cut before the server had all of it
			if out, err := far.Jobs().Push(t.Context(), jobs...); err != nil || len(out) > 0 {
				t.Fatalf("%s: pushed after a cut: refused %v, %v", name, out, err)
			}
		}
		finish(t, near, take(t, near, "w", 1)...) // which is history then, and known all the same
		if out, err := far.Jobs().Push(t.Context(), jobs...); err != nil || len(out) > 0 {
			t.Errorf("%s: pushed again: refused %v, %v", name, out, err)
		}
		if got := take(t, near, "w", 10*n); len(got) != n-1 {
			t.Errorf("%s: claimed %d more, want %d", name, len(got), n-1)
		}
	}
}

// arrives reports whether n jobs become ready soon.
func arrives(t testing.TB, s *Store, n int) bool {
	t.Helper()
	c := connect(t, urlOf(s))
	for begun := time.Now(); time.Since(begun) < 2*time.Second; time.Sleep(5 * time.Millisecond) {
		if one[int](t, c, "select count(*) from jobs where state = 2") == n {
			return true
		}
	}
	return false
}

func urlOf(s *Store) string { return s.pool.Config().ConnString() }

// TestServerEndsConnectionsAmidEverything checks that each job ends once, and none is lost.
func TestServerEndsConnectionsAmidEverything(t *testing.T) {
	const n = 600
	s, url := openNew(t)
	var ended sync.Map
	var count atomic.Int64
	stop := make(chan struct{})
	var cutter, workers sync.WaitGroup
	cutter.Go(func() {
		c := connect(t, url)
		for {
			select {
			case <-stop:
				return
			case <-time.After(30 * time.Millisecond):
				_, _ = c.Exec(context.Background(), `select pg_terminate_backend(pid) from pg_stat_activity
					where application_name like 'vedette %' and datname = current_database() and pid in (
						select pid from pg_locks join pg_class on pg_class.oid = relation where relnamespace = current_schema()::regnamespace
						order by random() limit 1)`)
			}
		}
	})
	try := func(f func() error) {
		for f() != nil {
			time.Sleep(time.Millisecond)
		}
	}
	for i := range 4 {
		workers.Go(func() {
			for range n / 4 / 10 {
				jobs := make([]vedette.Job, 10)
				for k := range jobs {
					jobs[k] = plainJob(func(j *vedette.Job) { j.LimitKey, j.Limit = "k", 50*(k%2) })
				}
				try(func() error { return second(s.Jobs().Push(t.Context(), jobs...)) })
			}
		})
		workers.Go(func() {
			owner := "w" + string(rune('0'+i))
			for count.Load() < n {
				try(func() error { return second(s.Queue().Beat(t.Context(), owner, time.Hour)) })
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				jobs, err := s.Queue().Claim(ctx, owner, 7, vedette.Want{Queue: "q"})
				cancel()
				if err != nil {
					continue
				}
				var ends []vedette.End
				for _, j := range jobs {
					ends = append(ends, vedette.End{Ref: j.Ref(), State: vedette.JobSucceeded})
				}
				var stale []vedette.Ref
				try(func() (err error) { stale, err = s.Queue().Finish(t.Context(), ends...); return err })
				if len(stale) > 0 {
					t.Errorf("stale: %v", stale)
				}
				for _, j := range jobs {
					if _, again := ended.LoadOrStore(j.ID, true); again {
						t.Errorf("%s ended twice", j.ID)
					}
				}
				count.Add(int64(len(jobs)))
			}
		})
	}
	workers.Wait()
	close(stop)
	cutter.Wait()
	if got := pgtest.Query(t, url, "select count(*) from job_history"); got != n || count.Load() != n {
		t.Errorf("%d are history, and %d were ended, of %d", got, count.Load(), n)
	}
	if got := pgtest.Query(t, url, "select running from limits"); got != 0 {
		t.Errorf("the limit counts %d in the end", got)
	}
}

func TestClaimEndsWhatHoldsItUp(t *testing.T) {
	s, text := openNew(t)
	beatFor(t, s, "w")
	push(t, s, plainJob())
	stopped := openAt(t, text, Options{Owner: "stopped"})
	c, err := stopped.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	if _, err := c.Exec(t.Context(), "begin; set idle_in_transaction_session_timeout = 0; select from owners for update"); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	take(t, s, "w", 1)
	if took := time.Since(begun); took < patience || took > 3*patience {
		t.Errorf("claimed after %v, want to wait for %v at least", took, patience)
	}
}

func TestPushTx(t *testing.T) {
	s, text := openNew(t)
	beatFor(t, s, "w")
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery = strings.ReplaceAll(u.RawQuery, "search_path="+s.schema, "search_path=public")
	theirs := connect(t, u.String())
	begin := func() pgx.Tx {
		t.Helper()
		tx, err := theirs.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return tx
	}
	pushTx := func(tx pgx.Tx, jobs ...vedette.Job) []vedette.ID {
		t.Helper()
		out, err := s.PushTx(t.Context(), tx, jobs...)
		if err != nil {
			t.Fatal(err)
		}
		if path := one[string](t, theirs, "show search_path"); path != "public" {
			t.Errorf("search_path is %s afterwards", path)
		}
		return out
	}
	unique := func(j *vedette.Job) { j.Unique = "k" }
	undone, first, second := plainJob(unique), plainJob(unique), plainJob(unique)
	tx := begin()
	pushTx(tx, undone)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	tx = begin()
	if out := pushTx(tx, first, second); len(out) != 1 || out[0] != second.ID {
		t.Errorf("refused %v, want the second of a key", out)
	}
	got := make(chan vedette.Job, 1)
	go func() { got <- take(t, s, "w", 1)[0] }()
	waitFor(t, "a listener", func() bool {
		return one[int](t, connect(t, text), "select count(*) from pg_stat_activity where query like 'listen%' || $1 || '%'", s.channel()) == 1
	})
	select {
	case j := <-got:
		t.Fatalf("claimed %s before the commit", j.ID)
	case <-time.After(300 * time.Millisecond):
	}
	begun := time.Now()
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if j := <-got; j.ID != first.ID || time.Since(begun) > 500*time.Millisecond {
		t.Errorf("claimed %s after %v, want %s at once", j.ID, time.Since(begun), first.ID)
	}
	tx = begin()
	lost := plainJob()
	pushTx(tx, lost)
	if err := theirs.PgConn().Conn().Close(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the end of the connection", func() bool {
		_, err := s.Jobs().Get(t.Context(), lost.ID)
		return errors.Is(err, vedette.ErrNotFound)
	})
}
