package postgres

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// calling waits until n callers are at desks, for whom a claim is under way or not.
func calling(t *testing.T, s *Store, n int, asked bool) {
	t.Helper()
	waitFor(t, fmt.Sprintf("%d callers", n), func() bool {
		s.desks.mu.Lock()
		defer s.desks.mu.Unlock()
		at := 0
		for _, d := range s.desks.all {
			for _, c := range d.waiting {
				if c.asked == asked {
					at++
				}
			}
		}
		return at == n
	})
}

type heard struct {
	jobs []vedette.Job
	err  error
}

// asking claims one job, and says so when it has it.
func asking(ctx context.Context, s *Store, to chan<- heard) {
	jobs, err := s.Queue().Claim(ctx, "w", 1, vedette.Want{Queue: "q"})
	to <- heard{jobs, err}
}

func TestWaitingClaimsCostOnePoll(t *testing.T) {
	s, _ := openNew(t)
	beatFor(t, s, "w")
	const side = 50
	got := make(chan heard, side)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range side {
		go asking(ctx, s, got)
	}
	calling(t, s, side, false)
	before, began := s.pool.Stat().AcquireCount(), time.Now()
	time.Sleep(2 * poll)
	// Two more looks may come of what begins to listen.
	polls := int64(time.Since(began)/(poll*3/4)) + 1
	if calls := s.pool.Stat().AcquireCount() - before; calls > 3*(polls+2) {
		t.Errorf("%d calls of the server in %d polls of all", calls, polls)
	}
	before = s.pool.Stat().AcquireCount()
	j := plainJob()
	push(t, s, j)
	if one := <-got; one.err != nil || len(one.jobs) != 1 || one.jobs[0].ID != j.ID {
		t.Fatalf("claimed %v, %v, want %s", one.jobs, one.err, j.ID)
	}
	calling(t, s, side-1, false)
	// It is pushed, told of and claimed; polls may be due as well.
	if calls := s.pool.Stat().AcquireCount() - before; calls > 12 {
		t.Errorf("%d calls of the server for one job", calls)
	}
	cancel()
	for range side - 1 {
		if one := <-got; !errors.Is(one.err, context.Canceled) || len(one.jobs) > 0 {
			t.Fatalf("claimed %v, %v, want %v", one.jobs, one.err, context.Canceled)
		}
	}
}

func TestWhatIsClaimedForWhoIsGoneIsGivenBack(t *testing.T) {
	s, text := openNew(t)
	beatFor(t, s, "w")
	ctx, leave := context.WithCancel(t.Context())
	stays, leaves := make(chan heard, 1), make(chan heard, 1)
	go asking(t.Context(), s, stays)
	calling(t, s, 1, false)
	go asking(ctx, s, leaves)
	calling(t, s, 2, false)
	tx, err := connect(t, text).Begin(t.Context())
	if err == nil {
		_, err = tx.Exec(t.Context(), "lock table jobs in access exclusive mode")
	}
	first, second := plainJob(), plainJob(func(j *vedette.Job) { j.ID = vedette.NewID(time.Now().Add(time.Second)) })
	if err == nil {
		_, err = s.PushTx(t.Context(), tx, first, second)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.spots.rewind("q") // so that the claim finds them although nobody has rung
	s.bells.ringAll()
	calling(t, s, 2, true) // behind the lock
	leave()
	if one := <-leaves; !errors.Is(one.err, context.Canceled) {
		t.Errorf("who left claimed %v, %v", one.jobs, one.err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if one := <-stays; one.err != nil || len(one.jobs) != 1 || one.jobs[0].ID != first.ID {
		t.Errorf("who stayed claimed %v, %v, want %s", one.jobs, one.err, first.ID)
	}
	waitFor(t, "the job of who left", func() bool {
		j, err := s.Jobs().Get(t.Context(), second.ID)
		return err == nil && j.State == vedette.JobPending && j.Attempt == 0 && j.Epoch > 0
	})
}

func TestClaimsThatCanBeAddedUp(t *testing.T) {
	for _, c := range []struct {
		name string
		n    int
		from []vedette.Want
		key  string
		want int
	}{
		{"any of one queue", 3, []vedette.Want{{Queue: "a"}}, "w\x00a", 3},
		{"a few of one queue", 3, []vedette.Want{{Queue: "a", N: 2}}, "w\x00a", 2},
		{"any of two queues", 3, []vedette.Want{{Queue: "a", N: 3}, {Queue: "b"}}, "w\x00a\x00b", 3},
		{"bounds of two queues", 3, []vedette.Want{{Queue: "a", N: 2}, {Queue: "b"}}, "", 3},
		{"nothing", 0, []vedette.Want{{Queue: "a"}}, "", 0},
	} {
		if key, n := keyOf("w", c.n, c.from); key != c.key || n != c.want {
			t.Errorf("%s: key %q, %d jobs, want %q, %d", c.name, key, n, c.key, c.want)
		}
	}
}
