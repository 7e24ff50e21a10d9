package worker_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/worker"
)

func TestHandlersThatWaitForEachOtherRunAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 300
		var all sync.WaitGroup
		all.Add(n)
		g := start(t, func(context.Context, *vedette.Task) (string, error) {
			all.Done()
			all.Wait()
			return "", nil
		}, func(c *worker.Config) { c.Concurrency = n })
		for range 3 { // by hands that are new, and by those that rest
			g.fill(n, vedette.DefaultQueue)
			time.Sleep(time.Second)
			synctest.Wait()
			if ended := g.meter.ended[vedette.JobSucceeded]; ended == 0 || ended%n != 0 {
				t.Fatalf("%d have ended", ended)
			}
			all.Add(n)
		}
		if ended := g.meter.ended[vedette.JobSucceeded]; ended != 3*n {
			t.Errorf("%d have ended, want all", ended)
		}
	})
}

func TestHandsAreUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, succeed)
		g.push()
		synctest.Wait()
		before := runtime.NumGoroutine()
		for range 100 {
			g.push()
			time.Sleep(10 * time.Millisecond) // the ends of two are told together if they are sooner
		}
		synctest.Wait()
		if n := g.meter.ended[vedette.JobSucceeded]; n != 101 {
			t.Errorf("%d have ended", n)
		}
		if after := runtime.NumGoroutine(); after > before+20 {
			t.Errorf("%d goroutines after a hundred jobs one by one, and %d before", after, before)
		}
	})
}

func TestHandlersThatEndTheirGoroutineHoldNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, func(_ context.Context, t *vedette.Task) (string, error) {
			if t.Job.Queue == "exits" {
				runtime.Goexit()
			}
			return "", nil
		}, func(c *worker.Config) {
			c.Concurrency, c.Queues = 5, []worker.Share{{Queue: "exits"}, {Queue: "returns"}}
		})
		g.fill(50, "exits", "returns")
		time.Sleep(time.Second)
		synctest.Wait()
		if g.meter.ended[vedette.JobDead] != 50 || g.meter.ended[vedette.JobSucceeded] != 50 || g.work.Running() != 0 {
			t.Errorf("%v, %d running", g.meter.ended, g.work.Running())
		}
	})
}
