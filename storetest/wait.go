package storetest

import (
	"context"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
)

// waitCases hold Claim to its waiting: it wakes at once, for whatever makes a job ready.
func waitCases() map[string]func(*desk) {
	return map[string]func(*desk){
		"ends with its context":              testWaitEnds,
		"wakes for a push":                   testWaitPush,
		"wakes for a job that is due":        testWaitDue,
		"wakes for one due sooner":           testWaitDueSooner,
		"wakes for a retry":                  testWaitRetry,
		"wakes for what is given back":       testWaitGivenBack,
		"wakes for a slot that frees":        testWaitSlot,
		"wakes for a rate that allows":       testWaitRate,
		"wakes when a queue goes on":         testWaitResume,
		"wakes for a rescue":                 testWaitRescue,
		"wakes for what nobody heard of":     testWaitUnheard,
		"wakes for a fire":                   testWaitFire,
		"wakes for a slot that a fire frees": testWaitTerminate,
		"wakes one for each of 32 jobs":      testWaitEach,
		"passes on what it cannot have":      testWaitPassesOn,
		"ends when its owner is lost":        testWaitLost,
	}
}

// A waiter is a Claim that has begun to wait.
type waiter struct {
	jobs []vedette.Job
	err  error
	at   time.Time
	done chan struct{}
}

// wait begins a Claim of one job and lets it come to a halt.
func (d *desk) wait(owner string, queues ...string) *waiter {
	d.t.Helper()
	w := d.begin(owner, queues...)
	d.c.settle()
	select {
	case <-w.done:
		d.t.Fatalf("Claim returned %v, %v before there was anything", idsOf(w.jobs), w.err)
	default:
	}
	return w
}

// begin begins a Claim of one job.
func (d *desk) begin(owner string, queues ...string) *waiter {
	d.t.Helper()
	if len(queues) == 0 {
		queues = []string{"q"}
	}
	d.beat(owner, time.Hour)
	w := &waiter{done: make(chan struct{})}
	go func() {
		defer close(w.done)
		ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
		defer cancel()
		w.jobs, w.err = d.s.Queue().Claim(ctx, owner, 1, wants(queues)...)
		w.at = time.Now()
	}()
	return w
}

// wantWoken checks that w got the job id soon after it became ready.
func (d *desk) wantWoken(what string, w *waiter, ready time.Time, id vedette.ID) {
	d.t.Helper()
	<-w.done
	if w.err != nil || len(w.jobs) != 1 || w.jobs[0].ID != id {
		d.t.Fatalf("%s: Claim returned %v, %v; want %s", what, idsOf(w.jobs), w.err, id)
	}
	if took := w.at.Sub(ready); took > d.c.soon() {
		d.t.Errorf("%s: woke after %v", what, took)
	}
}

func testWaitEnds(d *desk) {
	d.wantNone("an empty queue")
	ctx, cancel := context.WithCancel(d.t.Context())
	d.beat("a", time.Hour)
	done := make(chan error, 1)
	go func() {
		_, err := d.s.Queue().Claim(ctx, "a", 1, vedette.Want{Queue: "q"})
		done <- err
	}()
	d.c.settle()
	cancel()
	wantErr(d.t, "a Claim that is given up", <-done, context.Canceled)
	j := d.one()
	wantJobs(d.t, "what came later", []vedette.Job{d.own("b")}, j)
}

func testWaitPush(d *desk) {
	w := d.wait("a", "other", "q")
	at := time.Now()
	d.wantWoken("a push", w, at, d.one().ID)
}

func testWaitDue(d *desk) {
	due := d.one(func(j *vedette.Job) { j.RunAt = d.now().Add(d.c.s(4)) })
	ready := time.Now().Add(due.RunAt.Sub(d.now()))
	w := d.wait("a")
	d.wantWoken("a job that comes due", w, ready, due.ID)
	if got := w.jobs[0]; got.StartedAt.Before(due.RunAt) {
		d.t.Errorf("started at %v, due at %v", got.StartedAt, due.RunAt)
	}
}

func testWaitDueSooner(d *desk) {
	d.one(func(j *vedette.Job) { j.RunAt = d.now().Add(d.c.s(30)) })
	w := d.wait("a")
	due := d.one(func(j *vedette.Job) { j.RunAt = d.now().Add(d.c.s(3)) })
	d.wantWoken("a job that comes due first", w, time.Now().Add(d.c.s(3)), due.ID)
}

func testWaitRetry(d *desk) {
	d.one(func(j *vedette.Job) { j.MaxAttempts = 2 })
	j := d.own("a")
	w := d.wait("b")
	d.finish(vedette.End{Ref: j.Ref(), State: vedette.JobRetrying, RunAt: d.now().Add(d.c.s(3))})
	d.wantWoken("a retry", w, time.Now().Add(d.c.s(3)), j.ID)
}

func testWaitGivenBack(d *desk) {
	d.one()
	j := d.own("a")
	w := d.wait("b")
	at := time.Now()
	d.finish(end(j, vedette.JobPending))
	d.wantWoken("what is given back", w, at, j.ID)
}

func limited(key string, n int) func(*vedette.Job) {
	return func(j *vedette.Job) { j.LimitKey, j.Limit = key, n }
}

func testWaitSlot(d *desk) {
	d.one(limited("k", 1))
	held := d.one(limited("k", 1), func(j *vedette.Job) { j.Queue = "other" })
	j := d.own("a")
	w := d.wait("b", "other")
	at := time.Now()
	d.finish(end(j, vedette.JobSucceeded))
	d.wantWoken("a slot", w, at, held.ID)
}

func testWaitRate(d *desk) {
	slow := func(j *vedette.Job) { j.RateKey, j.RateEvery = "k", d.c.s(4) }
	d.one(slow)
	next := d.one(slow)
	first := d.own("a")
	w := d.wait("b")
	d.wantWoken("a rate", w, time.Now().Add(d.c.s(4)), next.ID)
	if got := w.jobs[0].StartedAt.Sub(first.StartedAt); got < d.c.s(4)-time.Millisecond {
		d.t.Errorf("started %v after the one before, want %v at least", got, d.c.s(4))
	}
}

func testWaitResume(d *desk) {
	if err := d.s.Queues().Pause(d.t.Context(), "q"); err != nil {
		d.t.Fatal(err)
	}
	j := d.one()
	w := d.wait("a")
	at := time.Now()
	if err := d.s.Queues().Resume(d.t.Context(), "q"); err != nil {
		d.t.Fatal(err)
	}
	d.wantWoken("Resume", w, at, j.ID)
}

func testWaitRescue(d *desk) {
	d.one(func(j *vedette.Job) { j.MaxAttempts = 2 })
	j := d.own("a")
	w := d.wait("b")
	d.lose("a")
	at := time.Now()
	d.rescue(d.lead())
	d.wantWoken("a rescue", w, at, j.ID)
}

func testWaitUnheard(d *desk) {
	d.one()
	j := d.own("a")
	d.beat("a", time.Hour)
	w := d.wait("b")
	at := time.Now()
	for range 2 {
		d.beat("a", time.Hour)
	}
	d.wantWoken("a claim whose answer was lost", w, at, j.ID)
}

func testWaitFire(d *desk) {
	leader, w := d.lead(), d.wait("a")
	j := d.job()
	f := cursorAt("s", d.began)
	f.Push = []vedette.Job{j}
	at := time.Now()
	d.fire(leader, f)
	d.wantWoken("a fire", w, at, j.ID)
}

func testWaitTerminate(d *desk) {
	d.one(limited("k", 1))
	held := d.one(limited("k", 1))
	j := d.own("a")
	w := d.wait("b")
	at := time.Now()
	d.terminate(j)
	d.wantWoken("a slot that a fire frees", w, at, held.ID)
}

// testWaitEach pushes one job after another to many who wait: none may sleep on while there
// is work.
func testWaitEach(d *desk) {
	var waiters []*waiter
	for i := range 32 {
		waiters = append(waiters, d.begin(string(numbered[vedette.ScraperID](i))))
	}
	d.c.settle()
	at := time.Now()
	var pushers sync.WaitGroup
	for range 32 {
		j := d.job()
		pushers.Go(func() {
			if _, err := d.s.Jobs().Push(d.t.Context(), j); err != nil {
				d.t.Errorf("Push: %v", err)
			}
		})
	}
	pushers.Wait()
	seen := map[vedette.ID]bool{}
	for _, w := range waiters {
		<-w.done
		if w.err != nil || len(w.jobs) != 1 || seen[w.jobs[0].ID] {
			d.t.Fatalf("a Claim returned %v, %v", idsOf(w.jobs), w.err)
		}
		seen[w.jobs[0].ID] = true
		if took := w.at.Sub(at); took > 2*d.c.soon() {
			d.t.Errorf("woke after %v", took)
		}
	}
}

// testWaitPassesOn wakes who asks for another queue, and who has given up.
func testWaitPassesOn(d *desk) {
	other := d.wait("a", "other")
	ctx, cancel := context.WithCancel(d.t.Context())
	d.beat("b", time.Hour)
	gone := make(chan error, 1)
	go func() {
		_, err := d.s.Queue().Claim(ctx, "b", 1, vedette.Want{Queue: "q"})
		gone <- err
	}()
	d.c.settle()
	w := d.wait("c")
	cancel()
	wantErr(d.t, "the one that gave up", <-gone, context.Canceled)
	at := time.Now()
	j := d.one()
	d.wantWoken("the one that still waits", w, at, j.ID)
	at = time.Now()
	last := d.one(func(j *vedette.Job) { j.Queue = "other" })
	d.wantWoken("the one that waits for another queue", other, at, last.ID)
}

func testWaitLost(d *desk) {
	w := d.wait("a")
	d.lose("a")
	j := d.one()
	<-w.done
	wantErr(d.t, "a Claim whose owner's time ran out", w.err, vedette.ErrLeaseLost)
	d.wantState("what it would have had", j.ID, vedette.JobPending)
}
