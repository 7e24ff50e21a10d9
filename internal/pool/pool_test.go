package pool_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/vedettehq/vedette/internal/pool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func drain[T any](t *testing.T, p *pool.Pool[T]) {
	t.Helper()
	if err := p.Drain(context.Background()); err != nil {
		t.Error(err)
	}
}

func never(t *testing.T) func(int, error) {
	return func(task int, err error) { t.Errorf("task %d: %v", task, err) }
}

func TestSlotsBoundWhatRunsAndKeepTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now atomic.Int32
		var mu sync.Mutex
		var most int32
		var order []int
		p := pool.New(4, func(i int) {
			mu.Lock()
			order = append(order, i) // one second apart, four by four
			most = max(most, now.Add(1))
			mu.Unlock()
			time.Sleep(time.Second)
			now.Add(-1)
		}, never(t))
		for i := range 40 {
			p.Go(i)
			synctest.Wait()
		}
		if p.Running() != 4 || p.Waiting() != 36 {
			t.Errorf("%d run and %d wait, want 4 and 36", p.Running(), p.Waiting())
		}
		time.Sleep(9500 * time.Millisecond)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if most != 4 {
			t.Errorf("%d at once, want 4", most)
		}
		for i := 0; i < 40; i += 4 {
			slices.Sort(order[i : i+4])
		}
		if len(order) != 40 || !slices.IsSorted(order) {
			t.Errorf("ran in the order %v", order)
		}
		drain(t, p)
	})
}

// goroutines counts those of pools. The runtime's own come and go as they please.
func goroutines() int {
	synctest.Wait()
	stacks := make([]byte, 1<<20)
	return bytes.Count(stacks[:runtime.Stack(stacks, true)], []byte(").serve("))
}

func TestGoroutinesAreReusedThenEnd(t *testing.T) {
	goleak.VerifyNone(t) // those of the tests before have ended
	synctest.Test(t, func(t *testing.T) {
		p := pool.New(100, func(int) { time.Sleep(time.Millisecond) }, never(t))
		for range 50 {
			for i := range 10 {
				p.Go(i)
			}
			time.Sleep(time.Second)
		}
		if got := goroutines(); got != 10 {
			t.Errorf("%d goroutines for 10 tasks at once, want 10", got)
		}
		for range 10 {
			p.Go(1) // one is enough now
			time.Sleep(time.Second)
		}
		if got := goroutines(); got != 1 {
			t.Errorf("%d goroutines after 10s with one task at once, want 1", got)
		}
		time.Sleep(2 * pool.Idle)
		if got := goroutines(); got != 0 {
			t.Errorf("%d idle goroutines, want none", got)
		}
		drain(t, p)
	})
}

func TestPanicBecomesErrorAndFreesTheSlot(t *testing.T) {
	for name, task := range map[string]func(){
		"panic":  func() { panic("boom") },
		"Goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			var errs []error
			ran := make(chan int, 2)
			p := pool.New(1, func(i int) {
				if i == 0 {
					task()
				}
				ran <- i
			}, func(_ int, err error) { errs = append(errs, err) })
			p.Go(0)
			p.Go(1)
			if got := <-ran; got != 1 {
				t.Fatalf("task %d ran on", got)
			}
			drain(t, p)
			var got *pool.Panic
			if len(errs) != 1 || !errors.As(errs[0], &got) {
				t.Fatalf("got %v, want one Panic", errs)
			}
			if name == "panic" && (got.Value != "boom" || !strings.Contains(string(got.Stack), "pool_test.go")) {
				t.Errorf("got %v at\n%s", got, got.Stack)
			}
		})
	}
}

func TestResize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool.New(8, func(int) { time.Sleep(time.Second) }, never(t))
		for i := range 40 {
			p.Go(i)
		}
		p.Resize(2)
		time.Sleep(1500 * time.Millisecond)
		if got := p.Running(); got != 2 {
			t.Errorf("%d run after shrinking to 2", got)
		}
		p.Resize(10)
		if got := p.Running(); got != 10 {
			t.Errorf("%d run after growing to 10", got)
		}
		drain(t, p)
	})
}

func TestDrainWaitsForWhatRunsAndForgetsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran atomic.Int32
		p := pool.New(2, func(int) {
			time.Sleep(10 * time.Second)
			ran.Add(1)
		}, never(t))
		for i := range 5 {
			p.Go(i)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		drain(t, p)
		p.Go(9)
		synctest.Wait()
		if ran.Load() != 2 {
			t.Errorf("%d ran, want 2", ran.Load())
		}
	})
}
