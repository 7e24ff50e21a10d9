package postgres

import (
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// takeMany has owner claim n jobs at once, which takes them.
func takeMany(t *testing.T, s *Store, owner string, n int) []vedette.Job {
	t.Helper()
	all := make([]vedette.Job, n)
	for i := range all {
		all[i] = plainJob(func(j *vedette.Job) { j.MaxAttempts = 2 })
	}
	push(t, s, all...)
	jobs := take(t, s, owner, n)
	if len(jobs) != n {
		t.Fatalf("claimed %d jobs, want %d", len(jobs), n)
	}
	return jobs
}

// inState counts the live jobs of a state as people see it.
func inState(t *testing.T, s *Store, state vedette.JobState) int {
	t.Helper()
	page, err := s.Jobs().List(t.Context(), vedette.Job{State: state}, vedette.ID{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return len(page)
}

// TestNoIndexLearnsOfALargeClaim fails if a page has no room for claims, or an index contains what
// they change.
func TestNoIndexLearnsOfALargeClaim(t *testing.T) {
	s, text := openNew(t)
	c := connect(t, text)
	beatFor(t, s, "w")
	pushMany(t, s, 2000)
	const size = "select pg_indexes_size('jobs')"
	before := one[int64](t, c, size)
	if got := take(t, s, "w", 2000); len(got) != 2000 {
		t.Fatalf("claimed %d", len(got))
	}
	if after := one[int64](t, c, size); after > before {
		t.Errorf("the claim let the indexes grow from %d to %d bytes", before, after)
	}
	if n := inState(t, s, vedette.JobStarted); n != 1000 {
		t.Errorf("a page of started jobs has %d, want 1000", n)
	}
}

func TestTakenJobsOfALostOwnerRunElsewhere(t *testing.T) {
	s, text := openNew(t)
	c := connect(t, text)
	if _, err := s.Queue().Beat(t.Context(), "lost", 200*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	jobs := takeMany(t, s, "lost", 3000)
	finish(t, s, jobs[:500]...)
	leader := leads(t, s)
	for one[bool](t, c, "select expires_at > clock_timestamp() from owners") {
		time.Sleep(20 * time.Millisecond)
	}
	rescued, err := s.Queue().Rescue(t.Context(), leader)
	if err != nil || len(rescued) != 2500 {
		t.Fatalf("Rescue: %d jobs, %v, want 2500", len(rescued), err)
	}
	if n := one[int](t, c, "select count(*) from claims"); n > 0 {
		t.Errorf("%d claims are left", n)
	}
	beatFor(t, s, "w")
	if got := take(t, s, "w", 3000); len(got) != 2500 {
		t.Errorf("claimed %d jobs again, want all but those that ended", len(got))
	}
	if stale := finish(t, s, jobs[600]); len(stale) != 1 {
		t.Error("the lost owner could end a job")
	}
}

// TestTakenJobsAreSettled lets an owner hold some jobs for long, of others never hear.
func TestTakenJobsAreSettled(t *testing.T) {
	s, text := openNew(t)
	c := connect(t, text)
	beatFor(t, s, "w")
	jobs := takeMany(t, s, "w", 100)
	finish(t, s, jobs[:50]...)
	held := make([]vedette.Ref, 20)
	for i := range held {
		held[i] = jobs[50+i].Ref()
	}
	for range 2 {
		if _, err := s.Queue().Beat(t.Context(), "w", time.Hour, held...); err != nil {
			t.Fatal(err)
		}
	}
	if n := one[int](t, c, "select count(*) from jobs where state = 3 and holder = 'w'"); n != len(held) {
		t.Errorf("%d jobs are settled, want %d", n, len(held))
	}
	if got := take(t, s, "w", 100); len(got) != 30 {
		t.Errorf("%d jobs came back that nobody heard of, want 30", len(got))
	}
	if stale := finish(t, s, jobs[50:70]...); len(stale) > 0 {
		t.Errorf("%d ends of what was held are stale", len(stale))
	}
}

// TestClaimThatEndedIsDropped by the next beat, which does not look for its jobs.
func TestClaimThatEndedIsDropped(t *testing.T) {
	s, text := openNew(t)
	c := connect(t, text)
	beatFor(t, s, "w")
	first, second := takeMany(t, s, "w", 100), takeMany(t, s, "w", 100)
	finish(t, s, first...)
	finish(t, s, second[:99]...)
	if _, err := s.Queue().Beat(t.Context(), "w", time.Hour, second[99].Ref()); err != nil {
		t.Fatal(err)
	}
	if n := one[int](t, c, "select count(*) from claims"); n != 1 {
		t.Errorf("%d claims are kept, want the one that has not ended", n)
	}
	if len(s.ledger.ended) > 0 || len(s.ledger.open) != 1 {
		t.Errorf("the ledger has %d owners with ended claims and %d open jobs, want 0 and 1", len(s.ledger.ended), len(s.ledger.open))
	}
}

func TestTakenJobIsToldToEnd(t *testing.T) {
	s, _ := openNew(t)
	beatFor(t, s, "w")
	jobs := takeMany(t, s, "w", 50)
	if err := s.Jobs().Cancel(t.Context(), "no more", jobs[7].ID); err != nil {
		t.Fatal(err)
	}
	held := make([]vedette.Ref, len(jobs))
	for i := range jobs {
		held[i] = jobs[i].Ref()
	}
	orders, err := s.Queue().Beat(t.Context(), "w", time.Hour, held...)
	if err != nil || len(orders) != 1 || orders[0].Job != jobs[7].ID || orders[0].Reason != "no more" || orders[0].Lost {
		t.Errorf("orders %v, %v, want one to end %s", orders, err, jobs[7].ID)
	}
	if n := inState(t, s, vedette.JobStarted); n != 50 {
		t.Errorf("%d jobs are started, want 50", n)
	}
}
