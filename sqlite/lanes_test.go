package sqlite

import (
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// later pushes n jobs, and then one that is urgent, which are due at once.
func (s *Store) later(t *testing.T, n int) (urgent vedette.ID) {
	t.Helper()
	jobs := make([]vedette.Job, n+1)
	due := time.Now().Add(time.Hour)
	for i := range jobs {
		jobs[i] = newJob("q")
		jobs[i].Priority, jobs[i].RunAt = vedette.Normal, due
	}
	jobs[n].Priority, jobs[n].RunAt = vedette.Utmost, due.Add(time.Second)
	if _, err := s.Jobs().Push(t.Context(), jobs...); err != nil {
		t.Fatal(err)
	}
	s.script(t, "update jobs set run_at = run_at - 7200000000")
	return jobs[n].ID
}

func (s *Store) first(t *testing.T) vedette.ID {
	t.Helper()
	if _, err := s.Queue().Beat(t.Context(), "w", time.Hour); err != nil {
		t.Fatal(err)
	}
	jobs, err := s.Queue().Claim(t.Context(), "w", 1, vedette.Want{Queue: "q"})
	if err != nil || len(jobs) != 1 {
		t.Fatal(jobs, err)
	}
	return jobs[0].ID
}

// TestWhoClaimsSeldomHasWhatIsUrgentOfAllThatIsDue claims twice, of more than one call makes ready.
func TestWhoClaimsSeldomHasWhatIsUrgentOfAllThatIsDue(t *testing.T) {
	s := openNew(t)
	const n = 20_000
	urgent := s.later(t, n)
	if s.first(t) == urgent {
		t.Logf("one call made %d ready", n)
		return
	}
	left := func() int64 { return s.number(t, "select count(*) from jobs where state in (1, 4)") }
	before, changed := left(), time.Now()
	for some := before; some > 0; some = left() {
		if some < before {
			before, changed = some, time.Now()
		}
		if time.Since(changed) > 15*time.Second {
			t.Fatalf("%d are still to be made ready, and nobody is about to", some)
		}
		time.Sleep(time.Millisecond)
	}
	if got := s.first(t); got != urgent {
		t.Errorf("claimed %s next, want the urgent one behind %d that came due before", got, n)
	}
}
