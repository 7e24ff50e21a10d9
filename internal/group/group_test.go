package group_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette/internal/group"
)

// trips notes what each call of Do was given, and takes a second for each.
type trips struct {
	mu  sync.Mutex
	all [][]int
	err error
}

func (t *trips) do(ctx context.Context, all []int) ([]int, error) {
	t.mu.Lock()
	t.all = append(t.all, all)
	t.mu.Unlock()
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	squares := make([]int, len(all))
	for i, n := range all {
		squares[i] = n * n
	}
	return squares, t.err
}

func TestCallsShareTheNextTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen trips
		g := group.Group[int, int]{Do: seen.do, Limit: 2, Most: 3}
		var all sync.WaitGroup
		began := time.Now()
		for n := range 8 {
			all.Go(func() {
				if got, err := g.Call(t.Context(), n); got != n*n || err != nil {
					t.Errorf("Call(%d) = %d, %v", n, got, err)
				}
			})
			synctest.Wait()
		}
		all.Wait()
		want := [][]int{{0}, {1}, {2, 3, 4}, {5, 6, 7}}
		slices.SortFunc(seen.all, func(a, b []int) int { return a[0] - b[0] })
		if !slices.EqualFunc(seen.all, want, slices.Equal) || time.Since(began) != 2*time.Second {
			t.Errorf("trips %v in %v, want %v, two at a time", seen.all, time.Since(began), want)
		}
	})
}

func TestErrorIsThatOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("lost")
		g := group.Group[int, int]{Do: (&trips{err: lost}).do}
		var all sync.WaitGroup
		for n := range 3 {
			all.Go(func() {
				if got, err := g.Call(t.Context(), n+1); got != 0 || !errors.Is(err, lost) {
					t.Errorf("Call = %d, %v", got, err)
				}
			})
		}
		all.Wait()
	})
}

func TestWhoLeavesHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen trips
		g := group.Group[int, int]{Do: seen.do}
		var all sync.WaitGroup
		call := func(n int, patience time.Duration, want error) {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				if _, err := g.Call(ctx, n); !errors.Is(err, want) {
					t.Errorf("Call(%d): %v, want %v", n, err, want)
				}
			})
			synctest.Wait()
		}
		began := time.Now()
		call(1, time.Second/2, context.DeadlineExceeded) // alone: its trip ends with it
		call(2, time.Second/4, context.DeadlineExceeded) // leaves before it goes
		call(3, time.Second, context.DeadlineExceeded)   // leaves the trip that 4 goes on with
		call(4, time.Minute, nil)
		all.Wait()
		if want := [][]int{{1}, {3, 4}}; !slices.EqualFunc(seen.all, want, slices.Equal) || time.Since(began) != 1500*time.Millisecond {
			t.Errorf("trips %v in %v, want %v in 1.5s", seen.all, time.Since(began), want)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := g.Call(gone, 5); !errors.Is(err, context.Canceled) || len(seen.all) != 2 {
			t.Errorf("a caller who is gone: %v, trips %v", err, seen.all)
		}
	})
}
