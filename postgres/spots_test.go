package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// TestIdleClaimBeginsAtWhatCame and not at all that was there before, which lies in the index until
// it is vacuumed.
func TestIdleClaimBeginsAtWhatCame(t *testing.T) {
	s, _ := openNew(t)
	beatFor(t, s, "w")
	push(t, s, plainJob())
	take(t, s, "w", 100)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Queue().Claim(ctx, "w", 1, vedette.Want{Queue: "q"}); err == nil {
		t.Fatal("claimed a job that is not there")
	}
	for _, n := range []int{1, 2 * copyJobsFrom} {
		if at, _ := s.spots.from("q"); at != end() {
			t.Fatalf("before %d jobs come, claims begin at %v, want the end", n, at)
		}
		jobs := make([]vedette.Job, n)
		for i := range jobs {
			jobs[i] = plainJob()
		}
		push(t, s, jobs...)
		first, err := s.Jobs().Get(t.Context(), jobs[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if at, _ := s.spots.from("q"); at != (spot{runAt: first.RunAt.UnixMicro() - epoch}) {
			t.Errorf("claims of %d jobs that came begin at %v, want %v", n, at, first.RunAt.UnixMicro()-epoch)
		}
		if got := take(t, s, "w", n+1); len(got) != n {
			t.Errorf("claimed %d, want %d", len(got), n)
		}
	}
}

// TestSpotsGoBack when they are old: soon where nobody is waited for, and later where somebody is.
func TestSpotsGoBack(t *testing.T) {
	var s spots
	_, turn := s.from("q")
	s.pass("q", turn, end())
	track := s.all["q"]
	for _, c := range []struct {
		age  time.Duration
		rung bool
		back bool
	}{
		{minAge / 2, false, false},
		{minAge / 2, true, false},
		{minAge + time.Millisecond, true, false},
		{minAge + time.Millisecond, false, true},
		{maxAge + time.Millisecond, true, true},
	} {
		track.at, track.since, track.rung = end(), time.Now().Add(-c.age), c.rung
		if at, _ := s.from("q"); (at == begin()) != c.back {
			t.Errorf("%v after they left the beginning, rung for %t, claims begin at %v", c.age, c.rung, at)
		}
	}
}
