package worker_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/worker"
)

// fill pushes n jobs for each queue.
func (g *rig) fill(n int, queues ...string) {
	g.Helper()
	var jobs []vedette.Job
	for _, q := range queues {
		for range n {
			jobs = append(jobs, vedette.Job{ID: vedette.NewID(time.Now()), Handler: "h", Queue: q})
		}
	}
	if _, err := g.store.Jobs().Push(g.Context(), jobs...); err != nil {
		g.Fatal(err)
	}
}

// starts pauses, and counts the first n jobs that start by queue.
func starts(t *testing.T, n int, busy []string, edit func(*worker.Config)) map[string]int {
	counts := map[string]int{}
	began, all := make(chan string, 100), 0
	g := start(t, func(_ context.Context, t *vedette.Task) (string, error) {
		began <- t.Job.Queue
		time.Sleep(10 * time.Second)
		return "", nil
	}, func(c *worker.Config) { c.Queue = held{c.Queue} }, edit)
	g.fill(n, busy...)
	for all < n {
		counts[<-began]++
		all++
	}
	go func() {
		for range began {
			continue
		}
	}()
	g.stop()
	close(began)
	return counts
}

// held begins to give out jobs after a second.
type held struct{ vedette.Queue }

func (h held) Claim(ctx context.Context, owner string, n int, from ...vedette.Want) ([]vedette.Job, error) {
	time.Sleep(time.Second)
	return h.Queue.Claim(ctx, owner, n, from...)
}

func TestStartsAreInProportionToWeights(t *testing.T) {
	queues := []worker.Share{{Queue: "a", Weight: 6}, {Queue: "b", Weight: 3}, {Queue: "c"}}
	for _, slots := range []int{1, 7, 50} {
		t.Run(fmt.Sprint(slots, " slots"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 3000
				got := starts(t, n, []string{"a", "b", "c"}, func(c *worker.Config) {
					c.Concurrency, c.Queues = slots, queues
				})
				for q, want := range map[string]float64{"a": 0.6, "b": 0.3, "c": 0.1} {
					if share := float64(got[q]) / n; math.Abs(share-want) > 0.05 {
						t.Errorf("%s got %.3f of the starts, want %.3f", q, share, want)
					}
				}
			})
		})
	}
}

func TestIdleQueuesCostTheOthersNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		got := starts(t, 1000, []string{"light"}, func(c *worker.Config) {
			c.Concurrency, c.Queues = 50, []worker.Share{{Queue: "heavy", Weight: 99}, {Queue: "light"}}
			c.Queue = counted{c.Queue, &asked}
		})
		if got["light"] != 1000 || asked > 250 {
			t.Errorf("%d jobs in %d claims, want many of them in each", got["light"], asked)
		}
	})
}

type counted struct {
	vedette.Queue
	n *int
}

func (c counted) Claim(ctx context.Context, owner string, n int, from ...vedette.Want) ([]vedette.Job, error) {
	*c.n++
	return c.Queue.Claim(ctx, owner, n, from...)
}

func TestStrictOrderStarvesTheLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := starts(t, 500, []string{"a", "b"}, func(c *worker.Config) {
			c.Strict, c.Queues = true, []worker.Share{{Queue: "b"}, {Queue: "a", Weight: 100}}
		})
		if got["b"] != 500 {
			t.Errorf("starts %v, want b's alone", got)
		}
	})
}

func TestQueueHasNoMoreThanItsConcurrency(t *testing.T) {
	for _, strict := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			running, most := map[string]int{}, map[string]int{}
			tell := make(chan func(), 100)
			go func() {
				for f := range tell {
					f()
				}
			}()
			g := start(t, func(_ context.Context, t *vedette.Task) (string, error) {
				tell <- func() { running[t.Job.Queue]++; most[t.Job.Queue] = max(most[t.Job.Queue], running[t.Job.Queue]) }
				time.Sleep(time.Second)
				tell <- func() { running[t.Job.Queue]-- }
				return "", nil
			}, func(c *worker.Config) {
				c.Concurrency, c.Strict = 10, strict
				c.Queues = []worker.Share{{Queue: "a", Concurrency: 3, Weight: 9}, {Queue: "b"}}
			})
			g.fill(30, "a")
			g.fill(150, "b")
			time.Sleep(30 * time.Second)
			g.stop()
			close(tell)
			synctest.Wait()
			if most["a"] != 3 || most["b"] != 10 {
				t.Errorf("strict %v: most at once %v, want a 3 and b 10", strict, most)
			}
		})
	}
}

func TestLightQueueHasNoMoreThanItsConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, outlast(time.Second), func(c *worker.Config) {
			c.Queues = []worker.Share{{Queue: "a", Concurrency: 3}, {Queue: "b", Weight: 1000}}
		})
		g.fill(30, "a")
		time.Sleep(250 * time.Millisecond) // from there on no end is on its way
		for range 9 {
			synctest.Wait()
			if n := g.work.Running(); n != 3 {
				t.Errorf("%d run, want 3", n)
			}
			time.Sleep(time.Second)
		}
	})
}

// A claim that waits for one queue must not keep the slots that another gets free from it.
func TestFullQueueIsAskedAgainWhenItHasRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, outlast(time.Second), func(c *worker.Config) {
			c.Queues = []worker.Share{{Queue: "a", Concurrency: 1}, {Queue: "b"}}
		})
		first := g.push(func(j *vedette.Job) { j.Queue = "a" })
		second := g.push(func(j *vedette.Job) { j.Queue = "a" })
		time.Sleep(time.Second + time.Millisecond)
		g.want(first, vedette.JobSucceeded)
		g.want(second, vedette.JobStarted)
	})
}

func TestSlotsAreNeverOverdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, outlast(time.Second), func(c *worker.Config) { c.Concurrency = 7 })
		g.fill(100, vedette.DefaultQueue)
		time.Sleep(250 * time.Millisecond) // from there on no end is on its way
		for range 14 {
			synctest.Wait()
			if n := g.work.Running(); n != 7 {
				t.Errorf("%d run, want 7", n)
			}
			jobs, _ := g.store.Jobs().List(t.Context(), vedette.Job{State: vedette.JobStarted}, vedette.ID{}, 100)
			if len(jobs) != 7 {
				t.Errorf("%d are claimed, want 7", len(jobs))
			}
			time.Sleep(500 * time.Millisecond)
		}
	})
}

func TestDelayInTheQueueIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, outlast(3*time.Second), func(c *worker.Config) { c.Concurrency = 1 })
		g.push()
		id := g.push(func(j *vedette.Job) { j.RunAt = time.Now().Add(time.Second) })
		time.Sleep(6 * time.Second)
		g.want(id, vedette.JobSucceeded)
		if g.meter.delay != 2*time.Second || g.meter.took != 3*time.Second {
			t.Errorf("delay %v, took %v, want 2s and 3s", g.meter.delay, g.meter.took)
		}
	})
}
