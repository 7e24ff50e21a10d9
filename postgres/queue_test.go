package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/postgres/pgtest"
	"github.com/vedettehq/vedette/storetest"
)

func TestQueue(t *testing.T) {
	storetest.TestQueue(t, storetest.Real(400*time.Millisecond), func(t *testing.T) storetest.QueueStore {
		s, _ := openNew(t)
		return s
	})
}

func BenchmarkQueue(b *testing.B) {
	s, _ := openNew(b)
	storetest.BenchmarkQueue(b, s)
}

func second[T any](_ T, err error) error { return err }

// plainJob returns one that is ready at once.
func plainJob(change ...func(*vedette.Job)) vedette.Job {
	j := vedette.Job{ID: vedette.NewID(time.Now()), Handler: "h", Queue: "q"}
	for _, f := range change {
		f(&j)
	}
	return j
}

func push(t testing.TB, s *Store, jobs ...vedette.Job) {
	t.Helper()
	if out, err := s.Jobs().Push(context.Background(), jobs...); err != nil || len(out) > 0 {
		t.Fatalf("Push: refused %v, %v", out, err)
	}
}

func pushMany(t testing.TB, s *Store, n int) {
	t.Helper()
	for ; n > 0; n -= 500 {
		jobs := make([]vedette.Job, min(n, 500))
		for i := range jobs {
			jobs[i] = plainJob()
		}
		push(t, s, jobs...)
	}
}

func beatFor(t testing.TB, s *Store, owner string) {
	t.Helper()
	if _, err := s.Queue().Beat(context.Background(), owner, time.Hour); err != nil {
		t.Fatal(err)
	}
}

func take(t testing.TB, s *Store, owner string, n int) []vedette.Job {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	jobs, err := s.Queue().Claim(ctx, owner, n, vedette.Want{Queue: "q"})
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	return jobs
}

func finish(t testing.TB, s *Store, jobs ...vedette.Job) []vedette.Ref {
	t.Helper()
	ends := make([]vedette.End, len(jobs))
	for i, j := range jobs {
		ends[i] = vedette.End{Ref: j.Ref(), State: vedette.JobSucceeded}
	}
	stale, err := s.Queue().Finish(context.Background(), ends...)
	if err != nil {
		t.Fatalf("Finish: %v", err)
	}
	return stale
}

func leads(t testing.TB, s *Store) vedette.Lease {
	t.Helper()
	held, err := s.Leases().Acquire(context.Background(), "leader", time.Hour, "leader")
	if err != nil || len(held) != 1 {
		t.Fatalf("%v, %v", held, err)
	}
	return held[0]
}

// explained returns the plan of a prepared step, with what it did.
func explained(t testing.TB, c *pgx.Conn, call string) string {
	t.Helper()
	found, err := c.Query(context.Background(), "explain (analyze, buffers, costs off, timing off) execute "+call, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s", lines)
}

// hits finds how many pages were looked at for what is ready.
var hits = regexp.MustCompile(`(?s)jobs_ready.*?shared hit=(\d+)`)

// TestClaimsBeginBehindWhatWasClaimed although an old snapshot keeps it in the index.
func TestClaimsBeginBehindWhatWasClaimed(t *testing.T) {
	s, url := openNew(t)
	beatFor(t, s, "w")
	pushMany(t, s, 3000)
	old := connect(t, url)
	if _, err := old.Exec(t.Context(), "begin isolation level repeatable read; select count(*) from jobs"); err != nil {
		t.Fatal(err)
	}
	finish(t, s, take(t, s, "w", 2500)...)
	at, _ := s.spots.from("q")
	if at == begin() {
		t.Fatal("the claim has not moved on")
	}
	c := connect(t, url)
	one := (&taking{owner: "w", room: 10, from: []vedette.Want{{Queue: "q"}}}).step(queue{s})
	if err := one.prepare(t.Context(), c.PgConn()); err != nil {
		t.Fatal(err)
	}
	read := func(from spot) int {
		when := "-infinity"
		if from.runAt != math.MinInt64 {
			when = time.UnixMicro(from.runAt + epoch).UTC().Format("2006-01-02 15:04:05.999999+00")
		}
		if _, err := c.Exec(t.Context(), "begin"); err != nil {
			t.Fatal(err)
		}
		plan := explained(t, c, fmt.Sprintf("claim1('w', 10, 1, 'q', 10, %d, '%s', '%s')", from.priority, when, from.id))
		if _, err := c.Exec(t.Context(), "rollback"); err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(hits.FindStringSubmatch(plan)[1])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	whole, behind := read(begin()), read(at)
	if whole < 5*behind {
		t.Errorf("a claim of 10 looks at %d pages, and at %d from the beginning, where 2500 lie that were claimed", behind, whole)
	}
}

// TestHigherPriorityIsSeenByEveryProcess lets another process push what lies before all that was
// claimed.
func TestHigherPriorityIsSeenByEveryProcess(t *testing.T) {
	s, url := openNew(t)
	other := openAt(t, url, Options{})
	beatFor(t, s, "w")
	pushMany(t, s, 2000)
	s.herald.hear()
	for one[int](t, connect(t, url), "select count(*) from pg_stat_activity where query like 'listen%' || $1 || '%'", s.channel()) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	s.spots.rewind("q")
	take(t, s, "w", 1)
	urgent := plainJob(func(j *vedette.Job) { j.Priority = -1 })
	begun := time.Now()
	push(t, other, urgent)
	for {
		if jobs := take(t, s, "w", 1); jobs[0].ID == urgent.ID {
			break
		}
		if time.Since(begun) > minAge/2 {
			t.Fatal("an urgent job is passed over until claims begin anew")
		}
	}
}

// TestFinishLooksForJobsByID whatever the planner knows of what is started.
func TestFinishLooksForJobsByID(t *testing.T) {
	s, url := openNew(t)
	beatFor(t, s, "w")
	pushMany(t, s, 3000)
	jobs := take(t, s, "w", 3000)
	pgtest.Exec(t, url, "analyze jobs")
	c, said := connect(t, url), []vedette.End{{Ref: jobs[0].Ref(), State: vedette.JobSucceeded}}
	if err := new(ending).steps(said)[0].prepare(t.Context(), c.PgConn()); err != nil {
		t.Fatal(err)
	}
	for range 8 { // of which the last have a plan for all values
		plan := explained(t, c, fmt.Sprintf("finish('{%s}', '{%d}', '{5}', '{null}', '{null}')", jobs[0].ID, jobs[0].Epoch))
		if !regexp.MustCompile(`Index Scan using jobs_pkey`).MatchString(plan) || regexp.MustCompile(`jobs_owned|Seq Scan on jobs`).MatchString(plan) {
			t.Fatalf("plan: %s", plan)
		}
	}
}

func TestRescueCountsLimitsAnew(t *testing.T) {
	s, url := openNew(t)
	beatFor(t, s, "w")
	limited := func(j *vedette.Job) { j.LimitKey, j.Limit = "k", 2 }
	push(t, s, plainJob(limited), plainJob(limited), plainJob(limited))
	first := take(t, s, "w", 1)
	pgtest.Exec(t, url, "update limits set running = 2; update jobs set state = 0 where state = 2")
	if _, err := s.Queue().Rescue(t.Context(), leads(t, s)); err != nil {
		t.Fatal(err)
	}
	if n := pgtest.Query(t, url, "select running from limits"); n != 1 {
		t.Errorf("%d are counted, want 1", n)
	}
	if got := take(t, s, "w", 5); len(got) != 1 {
		t.Errorf("claimed %d when one runs of two", len(got))
	}
	finish(t, s, first...)
}

func TestHistoryGoesByDays(t *testing.T) {
	s, url := openNew(t)
	beatFor(t, s, "w")
	day := dayOf(time.Now()).AddDate(0, 0, -9)
	old := plainJob()
	push(t, s, old)
	finish(t, s, take(t, s, "w", 1)...)
	var all []string
	for _, d := range []time.Time{day, day.AddDate(0, 0, 8)} {
		if err := s.update(t.Context(), func(c *pgx.Conn) error { return jobHistory.addDay(t.Context(), c, d) }); err != nil {
			t.Fatal(err)
		}
		all = append(all, jobHistory.dayNamed(d))
	}
	pgtest.Exec(t, url, fmt.Sprintf("update job_history set finished_at = '%s'", day.Add(time.Hour).Format(time.RFC3339)))
	for _, topic := range []string{vedette.LogTopic(old.ID), vedette.LogTopic(vedette.NewID(time.Now().Add(time.Hour))), "news"} {
		if err := s.Feed().Append(t.Context(), vedette.Entry{Topic: topic, Data: []byte("1")}); err != nil {
			t.Fatal(err)
		}
	}
	for more := true; more; {
		var err error
		if more, err = s.Queue().Retire(t.Context(), leads(t, s), time.Now().AddDate(0, 0, -7)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Jobs().Get(t.Context(), old.ID); !errors.Is(err, vedette.ErrNotFound) {
		t.Errorf("Get of a job of a day that is gone: %v", err)
	}
	names := func() (names []string) {
		_ = s.use(t.Context(), func(c *pgx.Conn) error {
			days, err := jobHistory.days(t.Context(), c)
			for _, d := range days {
				names = append(names, d.name)
			}
			return err
		})
		return names
	}
	if got := names(); slices.Contains(got, all[0]) || !slices.Contains(got, all[1]) || len(got) != 4 {
		t.Errorf("days %v, want yesterday's, today's and those of two days ahead", got)
	}
	if n := pgtest.Query(t, url, "select count(*) from topics"); n != 2 {
		t.Errorf("%d topics, want 2: that of the job goes with it", n)
	}
	// A day that nobody made is made when a job ends on it.
	pgtest.Exec(t, url, "drop table "+jobHistory.dayNamed(time.Now().UTC()))
	push(t, s, old)
	if stale := finish(t, s, take(t, s, "w", 1)...); len(stale) > 0 {
		t.Errorf("stale: %v", stale)
	}
}

// BenchmarkWake measures from before a push in one process to after the claim in another.
func BenchmarkWake(b *testing.B) {
	s, url := openNew(b)
	other := openAt(b, url, Options{})
	beatFor(b, s, "w")
	var all []time.Duration
	for b.Loop() {
		got := make(chan time.Time)
		go func() {
			take(b, s, "w", 1)
			got <- time.Now()
		}()
		time.Sleep(20 * time.Millisecond) // until it waits
		begun := time.Now()
		push(b, other, plainJob())
		all = append(all, (<-got).Sub(begun))
	}
	slices.Sort(all)
	for _, p := range []int{50, 90, 99} {
		b.ReportMetric(float64(all[len(all)*p/100].Microseconds())/1000, fmt.Sprintf("ms/p%d", p))
	}
}

// BenchmarkSingle measures a life of a job with one call for each of its steps.
func BenchmarkSingle(b *testing.B) {
	s, _ := openNew(b)
	beatFor(b, s, "w")
	for b.Loop() {
		push(b, s, plainJob())
		finish(b, s, take(b, s, "w", 1)...)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
}

// TestWhoClaimsSeldomPassesOverNothingUrgent that has come due with much else: claims make ready
// more of it than one statement does.
func TestWhoClaimsSeldomPassesOverNothingUrgent(t *testing.T) {
	const n = 5000
	s, _ := openNew(t)
	beatFor(t, s, "w")
	due := time.Now().Add(2 * time.Second)
	jobs := make([]vedette.Job, n)
	for i := range jobs {
		jobs[i] = plainJob(func(j *vedette.Job) { j.RunAt = due })
	}
	urgent := plainJob(func(j *vedette.Job) { j.RunAt, j.Priority = due.Add(time.Millisecond), -1 })
	push(t, s, append(jobs, urgent)...)
	time.Sleep(time.Until(urgent.RunAt) + 100*time.Millisecond)
	for claims := 1; take(t, s, "w", 1)[0].ID != urgent.ID; claims++ {
		if claims == 3 {
			t.Fatal("three claims have passed over what is urgent")
		}
	}
}
