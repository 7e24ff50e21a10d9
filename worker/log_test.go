package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/worker"
)

func TestLogIsKeptBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g *rig
		g = start(t, func(_ context.Context, t *vedette.Task) (string, error) {
			t.Log.Info("begun", "url", "http://a", "n", 3)
			t.Log.With("page", 2).WithGroup("x").Warn("slow", slog.Duration("took", time.Second))
			t.Log.Debug("detail")
			return "", nil
		}, func(c *worker.Config) {
			c.Queue.(*broken).finish = func([]vedette.End) error {
				if n := len(g.log(g.newest())); n != 3 {
					return fmt.Errorf("%d lines are kept when the end is told", n)
				}
				return nil
			}
		})
		synctest.Wait()
		id := g.push()
		g.want(id, vedette.JobSucceeded)
		want := []string{
			`{"level":"INFO","msg":"begun","attempt":1,"url":"http://a","n":3}`,
			`{"level":"WARN","msg":"slow","attempt":1,"page":2,"x":{"took":1000000000}}`,
			`{"level":"DEBUG","msg":"detail","attempt":1}`,
		}
		if diff := cmp.Diff(want, g.log(id)); diff != "" {
			t.Error(diff)
		}
	})
}

func (g *rig) newest() vedette.ID {
	jobs, err := g.store.Jobs().List(context.Background(), vedette.Job{}, vedette.ID{}, 1)
	if err != nil || len(jobs) == 0 {
		return vedette.ID{}
	}
	return jobs[0].ID
}

func TestLogCanBeFollowedWhileTheJobRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, func(ctx context.Context, t *vedette.Task) (string, error) {
			time.Sleep(3 * time.Second)
			t.Log.Info("half way")
			return outlast(3*time.Second)(ctx, t)
		})
		id := g.push()
		time.Sleep(3*time.Second + 100*time.Millisecond)
		synctest.Wait()
		entries, _ := g.store.Feed().Last(t.Context(), vedette.LogTopic(id), 10)
		if len(entries) != 1 || time.Since(entries[0].At) != 100*time.Millisecond {
			t.Errorf("entries %+v, want one of 100ms ago", entries)
		}
	})
}

func TestLogOfOneJobIsBounded(t *testing.T) {
	for name, line := range map[string]string{"lines": "x", "bytes": strings.Repeat("x", 8<<10)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := start(t, func(_ context.Context, t *vedette.Task) (string, error) {
					for range 110_000 {
						t.Log.Info(line)
					}
					return "", nil
				})
				id := g.push()
				g.want(id, vedette.JobSucceeded)
				lines := g.log(id)
				size := 0
				for _, l := range lines {
					size += len(l)
				}
				last := lines[len(lines)-1]
				if len(lines) > 100_001 || size > 10<<20+200 || !strings.Contains(last, "log cut") {
					t.Errorf("%d lines, %d bytes, the last is %s", len(lines), size, last)
				}
				if len(lines) < 100_001 && size < 10<<20-10_000 {
					t.Errorf("cut at %d lines and %d bytes", len(lines), size)
				}
			})
		})
	}
}

func TestLongLineKeepsItsMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, func(_ context.Context, t *vedette.Task) (string, error) {
			t.Log.Error("look", "body", strings.Repeat("<p>", 100_000))
			return "", nil
		})
		id := g.push()
		g.want(id, vedette.JobSucceeded)
		lines := g.log(id)
		if len(lines) != 1 || !strings.HasPrefix(lines[0], `{"level":"ERROR","msg":"look","attempt":1,"cut_bytes":`) {
			t.Errorf("%.200q", lines)
		}
	})
}

func TestLogOutlivesAStoreThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lines = 30_000
		var took time.Duration
		g := start(t, func(_ context.Context, t *vedette.Task) (string, error) {
			time.Sleep(time.Second)
			began := time.Now()
			for i := range lines {
				t.Log.Info(strings.Repeat("x", 100), "i", i)
			}
			took = time.Since(began)
			time.Sleep(time.Minute)
			t.Log.Info("back")
			return "", nil
		})
		g.feed.fail(errAway)
		id := g.push()
		time.Sleep(40 * time.Second)
		g.feed.fail(nil)
		time.Sleep(time.Minute)
		g.want(id, vedette.JobSucceeded)
		if took > 3*time.Second {
			t.Errorf("logging took %v", took)
		}
		kept, lost := 0, 0
		for _, line := range g.log(id) {
			var l struct {
				Msg  string
				Lost int `json:"lost_lines"`
			}
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatal(err)
			}
			if lost += l.Lost; strings.HasPrefix(l.Msg, "xxx") {
				kept++
			}
		}
		if kept == 0 || lost == 0 || kept+lost != lines {
			t.Errorf("%d lines kept and %d said to be lost of %d", kept, lost, lines)
		}
		if all := g.log(id); !strings.Contains(all[len(all)-1], "back") {
			t.Errorf("the last line is %s", all[len(all)-1])
		}
	})
}

func TestEndDoesNotWaitLongForTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, func(_ context.Context, t *vedette.Task) (string, error) {
			t.Log.Info("hello")
			return "", nil
		})
		g.feed.fail(errAway)
		id := g.push()
		time.Sleep(2 * time.Second)
		g.want(id, vedette.JobSucceeded)
		g.feed.fail(nil)
		time.Sleep(3 * time.Second)
		if n := len(g.log(id)); n != 1 {
			t.Errorf("%d lines kept later, want 1", n)
		}
	})
}

func TestLossIsToldAtTheEndOfTheJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, func(_ context.Context, t *vedette.Task) (string, error) {
			time.Sleep(time.Second)
			for range 30_000 {
				t.Log.Info(strings.Repeat("x", 100))
			}
			return "", nil
		})
		g.feed.fail(errAway)
		id := g.push()
		time.Sleep(10 * time.Second)
		g.feed.fail(nil)
		time.Sleep(10 * time.Second)
		lines := g.log(id)
		if n := len(lines); n == 0 || !strings.Contains(lines[n-1], fmt.Sprintf(`"lost_lines":%d}`, 30_001-n)) {
			t.Errorf("%d lines, the last is %.200q", n, lines[max(n-1, 0):])
		}
	})
}

func TestStopWaitsForTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, func(_ context.Context, t *vedette.Task) (string, error) {
			t.Log.Info("hello")
			return "", nil
		})
		g.feed.fail(errAway)
		id := g.push()
		time.Sleep(5 * time.Second)
		time.AfterFunc(5*time.Second, func() { g.feed.fail(nil) })
		g.stop()
		if n := len(g.log(id)); n != 1 {
			t.Errorf("%d lines kept, want 1", n)
		}
	})
}

func TestItemsAreNumberedAndKeptAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g *rig
		var second int
		g = start(t, func(ctx context.Context, t *vedette.Task) (string, error) {
			if err := t.Emit(ctx, vedette.Raw(`{"a":1}`), vedette.Raw(`2`)); err != nil {
				return "", err
			}
			second = len(g.items(t.Job.ID))
			g.feed.fail(errAway)
			if err := t.Emit(ctx, vedette.Raw(`3`)); !errors.Is(err, errAway) {
				return "", fmt.Errorf("emit while the store is away: %w", err)
			}
			g.feed.fail(nil)
			return "", errors.Join(t.Emit(ctx, vedette.Raw(`3`)), t.Emit(ctx))
		})
		synctest.Wait()
		id := g.push()
		g.want(id, vedette.JobSucceeded)
		want := []string{
			`{"epoch":1,"n":1,"item":{"a":1}}`, `{"epoch":1,"n":2,"item":2}`, `{"epoch":1,"n":3,"item":3}`,
		}
		if diff := cmp.Diff(want, g.items(id)); diff != "" || second != 2 {
			t.Errorf("%d items were kept when Emit returned\n%s", second, diff)
		}
	})
}

// The items of an Emit that failed may be kept: a number never stands for two of them.
func TestOtherItemsAfterAFailureHaveOtherNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g *rig
		g = start(t, func(ctx context.Context, t *vedette.Task) (string, error) {
			item := vedette.Raw(`1`)
			g.feed.fail(errAway)
			err := errors.Join(t.Emit(ctx, item, vedette.Raw(`2`)), t.Emit(ctx, item, vedette.Raw(`2`)))
			g.feed.fail(nil)
			item[0] = '3' // what was emitted is the handler's again
			return "", errors.Join(t.Emit(ctx, item), t.Emit(ctx, vedette.Raw(`4`)), expect(err, errAway))
		})
		synctest.Wait()
		id := g.push()
		g.want(id, vedette.JobSucceeded)
		if diff := cmp.Diff([]string{`{"epoch":1,"n":3,"item":3}`, `{"epoch":1,"n":4,"item":4}`}, g.items(id)); diff != "" {
			t.Error(diff)
		}
	})
}

// expect returns an error unless err is want.
func expect(err, want error) error {
	if errors.Is(err, want) {
		return nil
	}
	return fmt.Errorf("got %w, want %w", err, want)
}

func TestItemsThatAreNoneAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var errs []error
		g := start(t, func(ctx context.Context, t *vedette.Task) (string, error) {
			for _, bad := range []string{``, `{`, `1,"n":9`} {
				errs = append(errs, t.Emit(ctx, vedette.Raw(`1`), vedette.Raw(bad)))
			}
			return "", nil
		})
		id := g.push()
		g.want(id, vedette.JobSucceeded)
		if slices.ContainsFunc(errs, func(err error) bool { return !errors.Is(err, vedette.ErrRefused) }) || len(g.items(id)) > 0 {
			t.Errorf("errors %v, items %v", errs, g.items(id))
		}
	})
}

func TestItemsAfterALostClaimOrTheEndAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lost, late error
		var task *vedette.Task
		g := start(t, func(ctx context.Context, t *vedette.Task) (string, error) {
			task = t
			if t.Job.Attempt > 1 {
				return "", nil
			}
			<-ctx.Done()
			lost = t.Emit(context.WithoutCancel(ctx), vedette.Raw(`1`))
			return "", ctx.Err()
		})
		id := g.push(func(j *vedette.Job) { j.MaxAttempts = 2 })
		time.Sleep(time.Millisecond)
		g.queue.set(func() { g.queue.beat = func(context.Context) error { return errAway } })
		time.Sleep(12 * time.Second)
		synctest.Wait()
		if !errors.Is(lost, vedette.ErrLeaseLost) {
			t.Errorf("emit of a lost claim: %v", lost)
		}
		g.queue.set(func() { g.queue.beat = nil })
		if _, err := g.store.Queue().Rescue(t.Context(), g.lead()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		g.want(id, vedette.JobSucceeded)
		if late = task.Emit(t.Context(), vedette.Raw(`1`)); late == nil {
			t.Error("an item is taken after the end")
		}
		if items := g.items(id); len(items) != 0 {
			t.Errorf("items %v", items)
		}
	})
}
