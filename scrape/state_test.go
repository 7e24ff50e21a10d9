//go:build unix

package scrape_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/scrape"
)

// remembered is the state that a program finds which runs now.
func remembered(t *testing.T, s *memory.Store) string {
	t.Helper()
	d := task(s, params("environ", "VEDETTE_STATE"))
	if _, err := counting(s).Run(t.Context(), d.Task); err != nil {
		t.Fatal(err)
	}
	_, state, _ := strings.Cut(d.log(), `"VEDETTE_STATE=`)
	return strings.ReplaceAll(strings.TrimSuffix(state, "\"\n"), `\"`, `"`)
}

func counting(s *memory.Store) vedette.Handler {
	return scrape.Exec(scrape.ExecOptions{Jobs: s.Jobs()})
}

// says are the params of a program that leaves a state.
func says(state string) map[string]any {
	return with(params("say", `{"$state":`+state+`}`), "items", "stdout")
}

// A works is a store whose jobs a test claims and ends by itself.
type works struct {
	*testing.T
	*memory.Store
}

// push adds a job of two attempts.
func (w works) push() {
	w.Helper()
	j := vedette.Job{ID: vedette.NewID(time.Now()), Scraper: "shop", Handler: "exec", MaxAttempts: 2, Keep: 1}
	if refused, err := w.Jobs().Push(w.Context(), j); err != nil || len(refused) > 0 {
		w.Fatal(refused, err)
	}
}

// claim lets an owner claim a job, whose program leaves a state when it is run.
func (w works) claim(owner, state string) *desk {
	w.Helper()
	if _, err := w.Queue().Beat(w.Context(), owner, time.Hour); err != nil {
		w.Fatal(err)
	}
	jobs, err := w.Queue().Claim(w.Context(), owner, 1, vedette.Want{Queue: vedette.DefaultQueue})
	if err != nil || len(jobs) != 1 {
		w.Fatal(jobs, err)
	}
	d := task(w.Store, says(state))
	jobs[0].Params = d.Job.Params
	d.Job = jobs[0]
	return d
}

// run runs what was claimed, and tells nobody.
func (w works) run(d *desk) {
	w.Helper()
	if _, err := counting(w.Store).Run(w.Context(), d.Task); err != nil {
		w.Fatal(err)
	}
}

func (w works) finish(d *desk) (stale bool) {
	w.Helper()
	refs, err := w.Queue().Finish(w.Context(), vedette.End{Ref: d.Job.Ref(), State: vedette.JobSucceeded})
	if err != nil {
		w.Fatal(err)
	}
	return len(refs) > 0
}

// crash ends the worker of what was claimed before it has told of anything.
func (w works) crash(d *desk) {
	w.Helper()
	if _, err := w.Queue().Beat(w.Context(), d.Job.Owner, 0); err != nil {
		w.Fatal(err)
	}
	if _, err := w.Queue().Rescue(w.Context(), w.lead()); err != nil {
		w.Fatal(err)
	}
}

// retire drops all history.
func (w works) retire() {
	w.Helper()
	if _, err := w.Queue().Retire(w.Context(), w.lead(), time.Now().Add(time.Hour)); err != nil {
		w.Fatal(err)
	}
}

func (w works) lead() vedette.Lease {
	held, err := w.Leases().Acquire(w.Context(), "leader", time.Hour, "leader")
	if err != nil || len(held) != 1 {
		w.Fatal(held, err)
	}
	return held[0]
}

func (w works) want(when, state string) {
	w.Helper()
	if got := remembered(w.T, w.Store); got != state {
		w.Errorf("%s the state is %s, want %s", when, got, state)
	}
}

func TestStateCountsWithTheItemsOfItsRun(t *testing.T) {
	w := works{t, memory.New()}
	w.push()
	first := w.claim("a", "1")
	w.run(first)
	w.want("before the queue knows of the end", "(unset)")
	w.crash(first)
	w.want("after a crash before that", "(unset)")
	second := w.claim("b", `{"page": "<2>"}`)
	w.run(second)
	if !w.finish(first) {
		t.Error("the lost attempt has ended the job")
	}
	w.finish(second)
	w.want("when the next attempt has ended", `{"page":"<2>"}`)
	w.retire()
	w.want("when its history is gone", `{"page":"<2>"}`)
	w.push()
	for _, owner := range []string{"c", "d"} {
		lost := w.claim(owner, "3")
		w.run(lost)
		w.crash(lost)
	}
	w.want("after crashes of all attempts", `{"page":"<2>"}`)
	w.retire()
	w.want("and when that is history no more", `{"page":"<2>"}`)
}

func TestStateIsNotKeptByASupersededRun(t *testing.T) {
	w := works{t, memory.New()}
	w.push()
	w.push()
	first, second := w.claim("a", "1"), w.claim("b", "2")
	kv := second.KV
	var early error
	second.KV = slyKV{kv, func() {
		second.KV = kv
		w.run(first)
		twin := task(w.Store, says("3"))
		twin.Job = second.Job
		_, early = counting(w.Store).Run(t.Context(), twin.Task)
		w.finish(first)
	}}
	if _, err := counting(w.Store).Run(t.Context(), second.Task); !errors.Is(err, vedette.ErrConflict) {
		t.Errorf("beside one that counts: error %v, want a conflict", err)
	}
	if !errors.Is(early, vedette.ErrConflict) {
		t.Errorf("beside one that may yet count: error %v, want a conflict", early)
	}
	w.want("then", "1")
	d := task(w.Store, says("3"))
	d.Job.Scraper = ""
	if _, err := d.run(t.Context()); err == nil {
		t.Error("a run of no scraper has set a state")
	}
}

func TestStateOfALostJobDoesNotCount(t *testing.T) {
	w := works{t, memory.New()}
	w.push()
	older := w.claim("a", "1")
	w.run(older)
	w.finish(older)
	w.push()
	gone := w.claim("b", "2")
	w.run(gone)
	w.finish(gone)
	w.want("while it is known", "2")
	d := task(w.Store, params("environ", "VEDETTE_STATE"))
	lost := scrape.Exec(scrape.ExecOptions{Jobs: forgetful{w.Jobs(), gone.Job.ID}})
	if _, err := lost.Run(t.Context(), d.Task); err != nil || !strings.Contains(d.log(), "VEDETTE_STATE=1") {
		t.Errorf("want the state of the one before, got %s, %v", d.log(), err)
	}
}

// forgetful has lost a job, as a queue may that has crashed.
type forgetful struct {
	vedette.Jobs
	lost vedette.ID
}

func (f forgetful) Get(ctx context.Context, id vedette.ID) (vedette.Job, error) {
	if id == f.lost {
		return vedette.Job{}, vedette.ErrNotFound
	}
	return f.Jobs.Get(ctx, id)
}

// slyKV lets something happen after its first Get.
type slyKV struct {
	vedette.KV
	then func()
}

func (k slyKV) Get(ctx context.Context, key string) (vedette.Value, error) {
	defer k.then()
	return k.KV.Get(ctx, key)
}
