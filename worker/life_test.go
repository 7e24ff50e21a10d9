package worker_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/worker"
)

// causes returns a handler that waits for the end of its ctx, and what returns the causes that it saw.
func causes() (vedette.HandlerFunc, func() []error) {
	var mu sync.Mutex
	var all []error
	handler := func(ctx context.Context, _ *vedette.Task) (string, error) {
		<-ctx.Done()
		mu.Lock()
		defer mu.Unlock()
		all = append(all, context.Cause(ctx))
		return "done all the same", nil
	}
	return handler, func() []error {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

func TestLostClaimEndsTheHandlerAndIsNeverFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, seen := causes()
		g := start(t, h)
		id := g.push(func(j *vedette.Job) { j.Scraper, j.MaxAttempts = "s", 2 })
		synctest.Wait()
		err := g.store.Schedules().Fire(t.Context(), g.lead(), vedette.Firing{
			Scraper: "s", Now: vedette.Cursor{Scraper: "s", Version: 1}, Terminate: []vedette.ID{id},
		})
		if err != nil {
			t.Fatal(err)
		}
		calls := g.queue.calls.Load()
		time.Sleep(3 * time.Second)
		g.want(id, vedette.JobCancelled)
		if len(seen()) != 1 || !errors.Is(seen()[0], vedette.ErrLeaseLost) {
			t.Errorf("causes %v, want the loss of the lease", seen())
		}
		if g.queue.calls.Load() != calls || g.meter.lost != 1 || g.meter.ended != nil {
			t.Errorf("finished %d times, %+v", g.queue.calls.Load()-calls, g.meter)
		}
	})
}

func TestDeafHandlerOfACancelledJobKeepsItsSlotAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, outlast(time.Hour))
		id := g.push()
		synctest.Wait()
		if err := g.store.Jobs().Cancel(t.Context(), "no", id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(vedette.CancelGrace)
		if rescued, err := g.store.Queue().Rescue(t.Context(), g.lead()); len(rescued) != 1 || err != nil {
			t.Fatal(rescued, err)
		}
		time.Sleep(10 * time.Second)
		g.want(id, vedette.JobCancelled)
		if g.work.Running() != 1 || g.meter.lost != 1 {
			t.Errorf("%d running, %d lost, want its slot taken and its claim lost", g.work.Running(), g.meter.lost)
		}
		time.Sleep(time.Hour)
		g.want(id, vedette.JobCancelled)
		if g.work.Running() != 0 || g.queue.calls.Load() != 0 {
			t.Errorf("%d running, finished %d times", g.work.Running(), g.queue.calls.Load())
		}
	})
}

func TestWorkerThatCannotBeatEndsItsHandlersBeforeItsLeaseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, seen := causes()
		g := start(t, h)
		id := g.push(func(j *vedette.Job) { j.MaxAttempts = 2 })
		time.Sleep(4 * time.Second) // a beat came at 3s: it lasts until 12s
		g.queue.set(func() {
			g.queue.beat = func(context.Context) error { return errAway }
			g.queue.finish = func([]vedette.End) error { return errAway }
		})
		time.Sleep(6900 * time.Millisecond)
		synctest.Wait()
		if len(seen()) != 0 {
			t.Fatal("the handler was ended although the lease may be trusted")
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if len(seen()) != 1 || !errors.Is(seen()[0], vedette.ErrLeaseLost) {
			t.Fatalf("causes %v a second before the lease's end, want its loss", seen())
		}
		time.Sleep(10 * time.Second)
		if rescued, err := g.store.Queue().Rescue(t.Context(), g.lead()); len(rescued) != 1 || err != nil {
			t.Fatal(rescued, err)
		}
		g.want(id, vedette.JobPending)
		if g.work.Running() != 0 {
			t.Error("it claims although it cannot beat")
		}
		g.queue.set(func() { g.queue.beat, g.queue.finish = nil, nil })
		time.Sleep(10 * time.Second)
		if j := g.want(id, vedette.JobStarted); j.Owner != "w/2" || j.Attempt != 2 {
			t.Errorf("owner %s, attempt %d, want it again under another name", j.Owner, j.Attempt)
		}
		if g.meter.lost != 1 {
			t.Errorf("%d lost, want 1", g.meter.lost)
		}
	})
}

// A worker that was stopped past its lease finds that its handlers have succeeded: that counts no
// more, and the store is not even asked.
func TestNothingOfAnOldLifeIsFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, outlast(9*time.Second))
		id := g.push(func(j *vedette.Job) { j.MaxAttempts = 3 })
		time.Sleep(time.Millisecond)
		// Not even the end of its ctx brings the beat back.
		g.queue.set(func() { g.queue.beat = func(context.Context) error { time.Sleep(12 * time.Second); return errAway } })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := g.queue.calls.Load(); n != 0 {
			t.Errorf("Finish was called %d times", n)
		}
		g.want(id, vedette.JobStarted)
		g.queue.set(func() { g.queue.beat = nil })
		if rescued, err := g.store.Queue().Rescue(t.Context(), g.lead()); len(rescued) != 1 || err != nil {
			t.Fatal(rescued, err)
		}
		time.Sleep(20 * time.Second)
		if j := g.want(id, vedette.JobSucceeded); j.Owner != "w/2" || j.Attempt != 2 {
			t.Errorf("owner %s, attempt %d", j.Owner, j.Attempt)
		}
	})
}

func TestRefusedBeatOrClaimBeginsANewLife(t *testing.T) {
	for name, refuse := range map[string]func(*broken){
		"beat": func(b *broken) {
			b.beat = func(context.Context) error {
				b.set(func() { b.beat = nil })
				return vedette.ErrLeaseLost
			}
		},
		"claim": func(b *broken) {
			b.claim = func(context.Context, int, []vedette.Want) error {
				b.set(func() { b.claim = nil })
				return vedette.ErrLeaseLost
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, seen := causes()
				g := start(t, h)
				g.push()
				time.Sleep(time.Second)
				g.queue.set(func() { refuse(g.queue) })
				g.push()
				time.Sleep(4 * time.Second)
				synctest.Wait()
				if len(seen()) == 0 || !errors.Is(seen()[0], vedette.ErrLeaseLost) {
					t.Fatalf("causes %v", seen())
				}
				id := g.push()
				if j := g.want(id, vedette.JobStarted); j.Owner != "w/2" {
					t.Errorf("owner %s, want w/2", j.Owner)
				}
			})
		})
	}
}

func TestLeaseThatRanOutIsAnErrorIfSomethingWasLost(t *testing.T) {
	for level, jobs := range map[string]int{"WARN": 0, "ERROR": 1} {
		synctest.Test(t, func(t *testing.T) {
			var out strings.Builder
			h, _ := causes()
			g := start(t, h, func(c *worker.Config) { c.Log = logTo(&out) })
			for range jobs {
				g.push()
			}
			time.Sleep(time.Second)
			g.queue.set(func() {
				g.queue.beat = func(context.Context) error {
					g.queue.set(func() { g.queue.beat = nil })
					return vedette.ErrLeaseLost
				}
			})
			time.Sleep(10 * time.Second)
			g.stop()
			if want := "level=" + level + ` msg="the lease ran out`; strings.Count(out.String(), "level=") != 1 || !strings.Contains(out.String(), want) {
				t.Errorf("%d jobs: want one line with %s, got\n%s", jobs, want, out.String())
			}
		})
	}
}

func TestUnansweredClaimIsGivenBackAndRunsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, succeed, func(c *worker.Config) { c.Grace = time.Minute })
		synctest.Wait()
		g.stop()
		g.queue.lose = true
		g.run(succeed, "w2")
		time.Sleep(100 * time.Millisecond)
		id := g.push()
		synctest.Wait()
		if j := g.want(id, vedette.JobStarted); j.Owner != "w2" {
			t.Fatal(j.Owner)
		}
		began := time.Now()
		g.stop()
		if took := time.Since(began); took > time.Second {
			t.Errorf("the stop took %v", took)
		}
		if j := g.want(id, vedette.JobPending); j.Attempt != 0 {
			t.Errorf("attempt %d is counted", j.Attempt)
		}
	})
}

// A claim that was answered when the lease had ended is not run.
func TestLateClaimIsNotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ran := 0
		g := start(t, func(context.Context, *vedette.Task) (string, error) { ran++; return "", nil },
			func(c *worker.Config) { c.Queue.(*broken).stall = 20 * time.Second })
		synctest.Wait()
		g.queue.set(func() {
			g.queue.beat = func(context.Context) error { time.Sleep(time.Minute); return errAway }
		})
		id := g.push()
		time.Sleep(25 * time.Second)
		g.want(id, vedette.JobStarted)
		if ran != 0 {
			t.Error("it was run")
		}
		time.Sleep(time.Minute)
	})
}

func TestJobsClaimedInTheStopAreHandedBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, succeed, func(c *worker.Config) { c.Queue = greedy{c.Queue} })
		synctest.Wait()
		pushed := make(chan vedette.ID, 1)
		time.AfterFunc(time.Second, func() { pushed <- g.push() })
		g.stop()
		if j := g.want(<-pushed, vedette.JobPending); j.Attempt != 0 || g.meter.started != 0 {
			t.Errorf("attempt %d, %+v", j.Attempt, g.meter)
		}
	})
}

// greedy claims whatever its ctx says.
type greedy struct{ vedette.Queue }

func (g greedy) Claim(ctx context.Context, owner string, n int, from ...vedette.Want) ([]vedette.Job, error) {
	return g.Queue.Claim(context.WithoutCancel(ctx), owner, n, from...)
}

func TestStopLetsHandlersEndByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended bool
		g := start(t, func(ctx context.Context, _ *vedette.Task) (string, error) {
			time.Sleep(20 * time.Second)
			ended = ctx.Err() != nil
			return "", nil
		})
		id := g.push()
		time.Sleep(time.Millisecond)
		began := time.Now()
		go func() {
			time.Sleep(15 * time.Second)
			if rescued, err := g.store.Queue().Rescue(context.Background(), g.lead()); err != nil || len(rescued) != 0 {
				t.Error("it does not beat while it stops", rescued, err)
			}
		}()
		g.stop()
		if took := time.Since(began); took > 20*time.Second || ended {
			t.Errorf("the stop took %v, ctx ended: %v", took, ended)
		}
		g.want(id, vedette.JobSucceeded)
		late := g.push()
		time.Sleep(time.Minute)
		g.want(late, vedette.JobPending)
	})
}

func TestWhatOutlastsTheGraceIsHandedBackAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		g := start(t, func(ctx context.Context, _ *vedette.Task) (string, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			time.Sleep(2 * time.Second)
			return "", ctx.Err()
		})
		id := g.push()
		time.Sleep(time.Millisecond)
		began := time.Now()
		g.stop()
		if took := time.Since(began); took != 32*time.Second || !errors.Is(cause, worker.ErrStopped) {
			t.Errorf("the stop took %v, cause %v", took, cause)
		}
		if j := g.want(id, vedette.JobPending); j.Attempt != 0 || j.Error != "" {
			t.Errorf("attempt %d, error %q", j.Attempt, j.Error)
		}
		if g.meter.ended[vedette.JobPending] != 1 {
			t.Errorf("counted %v", g.meter.ended)
		}
	})
}

func TestWhatNeverReturnsStaysLeasedUntilTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, outlast(2*time.Hour))
		id := g.push()
		time.Sleep(time.Millisecond)
		began := time.Now()
		g.stop()
		if took := time.Since(began); took != time.Minute {
			t.Errorf("the stop took %v, want both graces", took)
		}
		g.want(id, vedette.JobStarted)
		if rescued, err := g.store.Queue().Rescue(t.Context(), g.lead()); err != nil || len(rescued) != 0 {
			t.Fatal(rescued, err)
		}
		time.Sleep(2 * time.Hour)
	})
}

func TestStopGivesUpOnAStoreThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, succeed)
		synctest.Wait()
		g.queue.set(func() {
			g.queue.finish = func([]vedette.End) error { return errAway }
			g.queue.beat = func(context.Context) error { return errAway }
		})
		g.push()
		synctest.Wait()
		began := time.Now()
		g.stop()
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("the stop took %v", took)
		}
	})
}

func TestDeafHandlerIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		g := start(t, outlast(time.Hour), func(c *worker.Config) { c.Log = logTo(&out) })
		g.push(func(j *vedette.Job) { j.Timeout = time.Second })
		time.Sleep(time.Hour)
		synctest.Wait()
		g.stop()
		if n := strings.Count(out.String(), "keeps its slot"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, out.String())
		}
	})
}
