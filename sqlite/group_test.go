package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

func newJob(queue string) vedette.Job {
	return vedette.Job{ID: vedette.NewID(time.Now()), Handler: "h", Queue: queue}
}

// together lets calls wait for one transaction, and returns their errors.
func (s *Store) together(t *testing.T, calls ...func() error) []error {
	t.Helper()
	w := <-s.writer
	errs := make([]error, len(calls))
	var done sync.WaitGroup
	for i, call := range calls {
		done.Go(func() { errs[i] = call() })
		s.waitFor(i + 1)
	}
	s.writer <- w
	done.Wait()
	return errs
}

// waitFor waits until so many calls wait.
func (s *Store) waitFor(n int) {
	for {
		s.mu.Lock()
		got := len(s.calls)
		s.mu.Unlock()
		if got >= n {
			return
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// push returns a call that pushes j and then does more in the same transaction.
func (s *Store) push(t *testing.T, j vedette.Job, more func(*tx) error) func() error {
	return func() error {
		return s.update(t.Context(), func(tx *tx) error {
			if _, err := tx.push([]vedette.Job{j}); err != nil {
				return err
			}
			return more(tx)
		})
	}
}

func (s *Store) wantJob(t *testing.T, j vedette.Job, there bool) {
	t.Helper()
	_, err := s.Jobs().Get(t.Context(), j.ID)
	if there && err != nil || !there && !errors.Is(err, vedette.ErrNotFound) {
		t.Errorf("job %s: %v, want it there: %v", j.ID, err, there)
	}
}

func TestCallsThatWaitShareATransaction(t *testing.T) {
	s := openNew(t)
	first, second := newJob("q"), newJob("q")
	for _, err := range s.together(t,
		s.push(t, first, func(*tx) error { return nil }),
		s.push(t, second, func(*tx) error {
			s.wantJob(t, first, false) // to anybody else, while the second call is at work
			return nil
		}),
	) {
		if err != nil {
			t.Error(err)
		}
	}
	s.wantJob(t, first, true)
	s.wantJob(t, second, true)
}

// TestCallThatFailsFailsAlone lets the one in the middle fail when it has made a queue.
func TestCallThatFailsFailsAlone(t *testing.T) {
	s := openNew(t)
	no := errors.New("no")
	jobs := []vedette.Job{newJob("q"), newJob("new"), newJob("new"), newJob("new")}
	yes := func(*tx) error { return nil }
	errs := s.together(t, s.push(t, jobs[0], yes), s.push(t, jobs[1], func(*tx) error { return no }), s.push(t, jobs[2], yes))
	if errs[0] != nil || !errors.Is(errs[1], no) || errs[2] != nil {
		t.Errorf("errors %v, want one of the second", errs)
	}
	if err := s.push(t, jobs[3], yes)(); err != nil {
		t.Fatal(err)
	}
	for i, j := range jobs {
		s.wantJob(t, j, i != 1)
	}
	states, err := s.Jobs().Queues(t.Context())
	if err != nil || len(states) != 2 || states[0].Name != "new" || states[0].Ready[0] != 2 {
		t.Errorf("queues %+v, %v", states, err)
	}
}

func TestCallThatIsGivenUpDoesNothing(t *testing.T) {
	s := openNew(t)
	w := <-s.writer
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	j := newJob("q")
	go func() {
		_, err := s.Jobs().Push(ctx, j)
		done <- err
	}()
	s.waitFor(1)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Push: %v", err)
	}
	s.writer <- w
	s.wantJob(t, j, false)
}

// TestCallThatFoundNoRoomIsDone gives up a call while others are at work, who leave it no room in
// their transaction: it cannot be withdrawn, and nobody else comes to do it.
func TestCallThatFoundNoRoomIsDone(t *testing.T) {
	s := openNew(t)
	ctx, cancel := context.WithCancel(t.Context())
	j := newJob("q")
	errs := s.together(t,
		func() error {
			return s.update(t.Context(), func(*tx) error {
				cancel()
				time.Sleep(4 * gather)
				return nil
			})
		},
		func() error {
			_, err := s.Jobs().Push(ctx, j)
			return err
		},
	)
	if errs[0] != nil {
		t.Error(errs[0])
	}
	s.wantJob(t, j, errs[1] == nil)
}

// TestFullDiskFailsAllThatShareATransaction bounds the file while a worker waits: it gets its
// jobs when there is room again.
func TestFullDiskFailsAllThatShareATransaction(t *testing.T) {
	s := openNew(t)
	if _, err := s.Queue().Beat(t.Context(), "w", time.Hour); err != nil {
		t.Fatal(err)
	}
	claimed := make(chan error, 1)
	go func() {
		_, err := s.Queue().Claim(t.Context(), "w", 1, vedette.Want{Queue: "q"})
		claimed <- err
	}()
	for waits := false; !waits; {
		w := <-s.writer
		waits = len(s.claimers) == 1
		s.writer <- w
	}
	s.script(t, fmt.Sprintf("pragma max_page_count = %d", s.number(t, "pragma page_count")))
	var jobs []vedette.Job
	var calls []func() error
	for range 3 {
		j := newJob("q")
		j.Params = vedette.Raw(`"` + strings.Repeat("x", 20_000) + `"`)
		jobs = append(jobs, j)
		calls = append(calls, s.push(t, j, func(*tx) error { return nil }))
	}
	for i, err := range s.together(t, calls...) {
		if err == nil {
			t.Errorf("call %d says that it was kept", i)
		}
	}
	for _, j := range jobs {
		s.wantJob(t, j, false)
	}
	select {
	case err := <-claimed:
		t.Fatalf("Claim ended with %v when nothing was kept", err)
	default:
	}
	s.script(t, "pragma max_page_count = 1000000")
	for i, err := range s.together(t, calls...) {
		if err != nil {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if err := <-claimed; err != nil {
		t.Errorf("Claim: %v", err)
	}
}
