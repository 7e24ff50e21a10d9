package worker_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/worker"
)

func TestWorkerRunsJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, succeed)
		synctest.Wait()
		id := g.push()
		j := g.want(id, vedette.JobSucceeded)
		if j.Result != "well" || j.Error != "" || j.Attempt != 1 {
			t.Errorf("result %q, error %q, attempt %d", j.Result, j.Error, j.Attempt)
		}
		if !j.FinishedAt.Equal(j.CreatedAt) {
			t.Errorf("a lone job ended %v after its push, want at once", j.FinishedAt.Sub(j.CreatedAt))
		}
		if g.meter.started != 1 || g.meter.ended[vedette.JobSucceeded] != 1 || g.work.Running() != 0 {
			t.Errorf("%+v, %d running", g.meter, g.work.Running())
		}
	})
}

func TestWhatHandlersReturnDecides(t *testing.T) {
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		handler vedette.HandlerFunc
		state   vedette.JobState
		text    string
		wait    time.Duration // until the next attempt, at least
	}{
		"an error is tried again after a back-off":     {fails(boom), vedette.JobRetrying, "boom", 10 * time.Second},
		"one that asks for a time gets it":             {fails(fmt.Errorf("busy: %w", vedette.RetryAfter(time.Hour, boom))), vedette.JobRetrying, "busy: boom", time.Hour},
		"a permanent one ends the job":                 {fails(fmt.Errorf("no use: %w", vedette.Permanent(boom))), vedette.JobFailed, "no use: boom", 0},
		"a panic is an error with its stack":           {panics, vedette.JobRetrying, "worker_test.panics", 10 * time.Second},
		"so is the end of the goroutine":               {exits, vedette.JobRetrying, "ended its goroutine", 10 * time.Second},
		"so is a job of no handler":                    {nil, vedette.JobRetrying, `unknown handler "nobody": this worker knows h`, 10 * time.Second},
		"zero bytes and broken text are made harmless": {fails(errors.New("a\x00b\xffc")), vedette.JobRetrying, "a\uFFFDb\uFFFDc", 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := start(t, c.handler)
				id := g.push(func(j *vedette.Job) {
					j.MaxAttempts, j.RetryAfter = 3, 10*time.Second
					if c.handler == nil {
						j.Handler = "nobody"
					}
				})
				j := g.want(id, c.state)
				if !strings.Contains(j.Error, c.text) {
					t.Errorf("error %q, want %q in it", j.Error, c.text)
				}
				wait := time.Until(j.RunAt)
				if j.State == vedette.JobRetrying && (wait < c.wait || wait > c.wait*11/10) {
					t.Errorf("runs again in %v, want %v", wait, c.wait)
				}
			})
		})
	}
}

func fails(err error) vedette.HandlerFunc {
	return func(context.Context, *vedette.Task) (string, error) { return "", err }
}

func panics(context.Context, *vedette.Task) (string, error) { panic("ouch") }

func exits(context.Context, *vedette.Task) (string, error) {
	runtime.Goexit()
	return "", nil
}

func TestBackoffDoublesUntilTheJobIsDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		g := start(t, func(context.Context, *vedette.Task) (string, error) {
			at = append(at, time.Now())
			return "", errors.New("no")
		})
		id := g.push(func(j *vedette.Job) { j.MaxAttempts, j.RetryAfter = 9, 20*time.Minute })
		time.Sleep(12 * time.Hour)
		j := g.want(id, vedette.JobDead)
		if len(at) != 9 || j.Error != "no" || len(j.Attempts) != 9 {
			t.Fatalf("%d attempts, %+v", len(at), j)
		}
		want := 20 * time.Minute
		for i := range at[1:] {
			got := at[i+1].Sub(at[i])
			if got < want || got > want*11/10+time.Second {
				t.Errorf("wait %d is %v, want %v and up to a tenth", i, got, want)
			}
			want = min(2*want, time.Hour)
		}
		if g.meter.ended[vedette.JobDead] != 1 || g.meter.ended[vedette.JobRetrying] != 8 {
			t.Errorf("counted %v", g.meter.ended)
		}
	})
}

func TestLongWordsAreCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, func(context.Context, *vedette.Task) (string, error) {
			return strings.Repeat("ü", 20<<10), nil
		})
		j := g.want(g.push(), vedette.JobSucceeded)
		if len(j.Result) > 17<<10 || !strings.HasSuffix(j.Result, "ü… (cut, 40960 bytes in all)") {
			t.Errorf("%d bytes, ending in %q", len(j.Result), j.Result[len(j.Result)-40:])
		}
	})
}

func TestTimeoutEndsTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		g := start(t, func(ctx context.Context, _ *vedette.Task) (string, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return "", ctx.Err()
		})
		id := g.push(func(j *vedette.Job) { j.Timeout = 5 * time.Second })
		time.Sleep(5 * time.Second)
		j := g.want(id, vedette.JobDead)
		if !errors.Is(cause, context.DeadlineExceeded) || !strings.HasPrefix(j.Error, "no end within 5s") {
			t.Errorf("cause %v, error %q", cause, j.Error)
		}
	})
}

func TestCancelEndsTheHandlerWithItsReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		g := start(t, func(ctx context.Context, _ *vedette.Task) (string, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return "", errors.New("cleaned up")
		})
		id := g.push()
		time.Sleep(time.Second)
		if err := g.store.Jobs().Cancel(t.Context(), "not today", id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		j := g.want(id, vedette.JobCancelled)
		if !errors.Is(cause, worker.ErrCancelled) || j.Error != "cancelled: not today: cleaned up" {
			t.Errorf("cause %v, error %q", cause, j.Error)
		}
	})
}

func TestWhoSucceedsInSpiteOfACancelHasSucceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, outlast(8*time.Second))
		id := g.push()
		synctest.Wait()
		if err := g.store.Jobs().Cancel(t.Context(), "no", id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(8 * time.Second)
		g.want(id, vedette.JobSucceeded)
	})
}

func TestDeafHandlerKeepsItsSlotAndItsClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, outlast(time.Hour), func(c *worker.Config) { c.Concurrency = 1 })
		id := g.push(func(j *vedette.Job) { j.Timeout = time.Second })
		time.Sleep(time.Millisecond)
		next := g.push()
		lead := g.lead()
		for range 100 {
			time.Sleep(30 * time.Second)
			if rescued, err := g.store.Queue().Rescue(t.Context(), lead); err != nil || len(rescued) > 0 {
				t.Fatal(rescued, err)
			}
			lead = g.lead()
		}
		g.want(id, vedette.JobStarted)
		g.want(next, vedette.JobPending)
		time.Sleep(time.Hour)
		g.want(id, vedette.JobSucceeded)
		g.want(next, vedette.JobStarted)
		time.Sleep(time.Hour)
		g.want(next, vedette.JobSucceeded)
	})
}

func TestNewWantsWhatItNeeds(t *testing.T) {
	if _, err := worker.New(worker.Config{}); err == nil {
		t.Error("a worker without a queue")
	}
	s := memory.New()
	c := worker.Config{
		Queue: s.Queue(), Feed: s.Feed(), KV: s.KV(), Owner: "w", Handlers: map[string]vedette.Handler{},
		Queues: []worker.Share{{Queue: "a"}, {Queue: "a"}},
	}
	if _, err := worker.New(c); err == nil {
		t.Error("a queue named twice")
	}
}
