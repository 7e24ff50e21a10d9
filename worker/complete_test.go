package worker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/worker"
)

func logTo(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func TestEndsAreToldTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, outlast(time.Second), func(c *worker.Config) { c.Concurrency = 2000 })
		var ids []vedette.ID
		for range 1001 {
			ids = append(ids, g.push())
		}
		time.Sleep(time.Second + 20*time.Millisecond)
		synctest.Wait()
		for _, id := range ids {
			if s := g.job(id).State; s != vedette.JobSucceeded {
				t.Fatalf("job is %s", s)
			}
		}
		if n := g.queue.calls.Load(); n > 4 {
			t.Errorf("%d calls for 1001 ends", n)
		}
	})
}

func TestFinishIsRepeatedWhileTheLeaseLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, succeed)
		synctest.Wait()
		g.queue.set(func() { g.queue.finish = func([]vedette.End) error { return errAway } })
		id := g.push()
		time.Sleep(time.Minute)
		g.want(id, vedette.JobStarted)
		g.queue.set(func() { g.queue.finish = nil })
		time.Sleep(time.Second)
		if j := g.want(id, vedette.JobSucceeded); j.Attempt != 1 || g.meter.stale != 0 {
			t.Errorf("attempt %d, %+v", j.Attempt, g.meter)
		}
	})
}

// An answer that was lost is no loss: what is said again is the same.
func TestFinishIsRepeatedAfterALostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, succeed)
		synctest.Wait()
		g.queue.set(func() {
			g.queue.finish = func(ends []vedette.End) error {
				if g.queue.calls.Load() > 1 {
					return nil
				}
				_, _ = g.queue.Queue.Finish(context.Background(), ends...)
				return errAway
			}
		})
		id := g.push()
		time.Sleep(time.Second)
		g.want(id, vedette.JobSucceeded)
		if g.meter.stale != 0 || g.meter.ended[vedette.JobSucceeded] != 1 {
			t.Errorf("%+v", g.meter)
		}
	})
}

// The claim has ended for the queue, so that a beat calls it lost: the answer to the end counts.
func TestBeatBetweenAnEndAndItsAnswerLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, succeed)
		synctest.Wait()
		began := time.Now()
		g.queue.set(func() {
			g.queue.finish = func(ends []vedette.End) error {
				if time.Since(began) > 5*time.Second {
					return nil
				}
				_, _ = g.queue.Queue.Finish(context.Background(), ends...)
				return errAway
			}
		})
		g.push()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if g.meter.stale != 0 || g.meter.lost != 0 || g.meter.ended[vedette.JobSucceeded] != 1 {
			t.Errorf("%+v", g.meter)
		}
	})
}

func TestRefusedEndDoesNotPoisonTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, func(_ context.Context, t *vedette.Task) (string, error) {
			time.Sleep(time.Second)
			return string(t.Job.Params), nil
		}, func(c *worker.Config) { c.Concurrency = 100 })
		g.queue.finish = func(ends []vedette.End) error {
			for _, e := range ends {
				if e.Result == `"bad"` {
					return fmt.Errorf("what is this: %w", vedette.ErrRefused)
				}
			}
			return nil
		}
		var ids []vedette.ID
		for i := range 100 {
			ids = append(ids, g.push(func(j *vedette.Job) {
				if j.Params = vedette.Raw(`"good"`); i == 42 {
					j.Params = vedette.Raw(`"bad"`)
				}
			}))
		}
		time.Sleep(2 * time.Second)
		for i, id := range ids {
			if j := g.want(id, vedette.JobSucceeded); i == 42 && !strings.Contains(j.Error, "what is this") {
				t.Errorf("the refused one says %q", j.Error)
			}
		}
	})
}

func TestEndThatIsNeverTakenIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, succeed)
		bad := g.push(func(j *vedette.Job) { j.RunAt = time.Now().Add(time.Second) })
		g.queue.set(func() {
			g.queue.finish = func(ends []vedette.End) error {
				for _, e := range ends {
					if e.Job == bad {
						return vedette.ErrRefused
					}
				}
				return nil
			}
		})
		time.Sleep(1500 * time.Millisecond)
		id := g.push()
		time.Sleep(100 * time.Millisecond)
		g.want(id, vedette.JobSucceeded)
		g.want(bad, vedette.JobStarted)
	})
}

func TestStaleEndIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, outlast(time.Second))
		id := g.push(func(j *vedette.Job) { j.Scraper = "s" })
		time.Sleep(500 * time.Millisecond)
		err := g.store.Schedules().Fire(t.Context(), g.lead(), vedette.Firing{
			Scraper: "s", Now: vedette.Cursor{Scraper: "s", Version: 1}, Terminate: []vedette.ID{id},
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		g.want(id, vedette.JobCancelled)
		if g.meter.stale != 1 || g.meter.ended != nil {
			t.Errorf("%+v", g.meter)
		}
	})
}

func TestClaimsPauseWhileTooManyEndsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, succeed, func(c *worker.Config) { c.Concurrency = 1000 })
		synctest.Wait()
		g.queue.set(func() { g.queue.finish = func([]vedette.End) error { return errAway } })
		jobs := make([]vedette.Job, 15_000)
		for i := range jobs {
			jobs[i] = vedette.Job{ID: vedette.NewID(time.Now()), Handler: "h"}
		}
		if _, err := g.store.Jobs().Push(t.Context(), jobs...); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		g.meter.mu.Lock()
		started := g.meter.started
		g.meter.mu.Unlock()
		if started < 10_000 || started > 11_000 {
			t.Errorf("%d jobs were started", started)
		}
		g.queue.set(func() { g.queue.finish = nil })
		time.Sleep(5 * time.Second)
		synctest.Wait()
		for _, j := range jobs {
			if s := g.job(j.ID).State; s != vedette.JobSucceeded {
				t.Fatalf("job is %s when the store is back", s)
			}
		}
	})
}

func TestClaimErrorsAreOutlived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, succeed)
		g.queue.set(func() { g.queue.claim = func(context.Context, int, []vedette.Want) error { return errors.New("no") } })
		time.Sleep(time.Minute)
		id := g.push() // taken by the claim that was under way before
		next := g.push()
		time.Sleep(time.Minute)
		g.queue.set(func() { g.queue.claim = nil })
		time.Sleep(5 * time.Second)
		g.want(id, vedette.JobSucceeded)
		g.want(next, vedette.JobSucceeded)
	})
}
