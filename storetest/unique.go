package storetest

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/vedettehq/vedette"
)

// uniqueCases hold Jobs to what may be there once.
func uniqueCases() map[string]func(*desk) {
	return map[string]func(*desk){
		"one of a key lives":                    testUnique,
		"one of a key lives under 64 pushers":   testUniqueRace,
		"one of a key waits":                    testUniqueWaiting,
		"a key of one batch is taken in order":  testUniqueBatch,
		"keys of both kinds are apart":          testUniqueKinds,
		"a fire is fired once":                  testFiredOnce,
		"a fire is fired once under 64 pushers": testFiredRace,
		"a trigger is none of the schedule's":   testTrigger,
	}
}

func unique(key string) func(*vedette.Job) { return func(j *vedette.Job) { j.Unique = key } }

func (d *desk) wantRefused(what string, j vedette.Job) {
	d.t.Helper()
	same(d.t, what, d.pushed(j), []vedette.ID{j.ID})
	_, err := d.s.Jobs().Get(d.t.Context(), j.ID)
	wantErr(d.t, what+", and is not kept", err, vedette.ErrNotFound)
}

func testUnique(d *desk) {
	first := d.job(unique("k"), func(j *vedette.Job) { j.RunAt, j.MaxAttempts = d.now().Add(d.c.s(2)), 5 })
	d.push(first)
	d.wantRefused("while the first is scheduled", d.job(unique("k")))
	d.push(d.job(unique("another"), func(j *vedette.Job) { j.Queue = "other" }))
	d.c.wait(d.c.s(3))
	d.wantRefused("while it is pending", d.job(unique("k")))
	j := d.own("a")
	d.wantRefused("while it is started", d.job(unique("k")))
	d.finish(vedette.End{Ref: j.Ref(), State: vedette.JobRetrying, RunAt: d.now().Add(d.c.s(2))})
	d.wantRefused("while it is to be retried", d.job(unique("k")))
	d.c.wait(d.c.s(3))
	j = d.own("a")
	d.finish(end(j, vedette.JobFailed))
	next := d.one(unique("k"))
	d.cancel("enough", next.ID)
	d.one(unique("k"))
}

func testUniqueRace(d *desk) {
	for round := range 5 {
		key := string(numbered[vedette.ScraperID](round))
		if got := d.raceToPush(unique(key)); got != 1 {
			d.t.Errorf("round %d: %d jobs of a key live, want 1", round, got)
		}
		if got := d.raceToPush(func(j *vedette.Job) { j.UniqueWaiting = key }); got != 1 {
			d.t.Errorf("round %d: %d jobs of a key wait, want 1", round, got)
		}
	}
}

// raceToPush lets 64 push a job each, and returns how many of these are kept.
func (d *desk) raceToPush(change func(*vedette.Job)) int {
	var (
		done sync.WaitGroup
		jobs []vedette.Job
		out  atomic.Int64
	)
	for range 64 {
		jobs = append(jobs, d.job(change))
	}
	for _, j := range jobs {
		done.Go(func() {
			refused, err := d.s.Jobs().Push(d.t.Context(), j)
			if err != nil {
				d.t.Errorf("Push: %v", err)
			}
			out.Add(int64(len(refused)))
		})
	}
	done.Wait()
	kept := 0
	for _, j := range jobs {
		if _, err := d.s.Jobs().Get(d.t.Context(), j.ID); err == nil {
			kept++
		}
	}
	if !jobs[0].Fired && kept+int(out.Load()) != len(jobs) {
		d.t.Errorf("%d kept and %d refused of %d", kept, out.Load(), len(jobs))
	}
	return kept
}

func testUniqueWaiting(d *desk) {
	waiting := func(j *vedette.Job) { j.UniqueWaiting = "k" }
	d.one(waiting, func(j *vedette.Job) { j.RunAt, j.MaxAttempts = d.began.Add(-time.Hour), 5 })
	d.wantRefused("while the first waits", d.job(waiting))
	first := d.own("a")
	second := d.one(waiting)
	d.wantRefused("while the second waits", d.job(waiting))
	d.finish(end(first, vedette.JobPending))
	d.wantState("a claim that is given back", first.ID, vedette.JobPending)
	d.wantRefused("while both wait", d.job(waiting))
	first = d.own("a")
	d.wantRefused("while the second waits again", d.job(waiting))
	d.finish(end(first, vedette.JobRetrying))
	d.wantRefused("while the first is retried", d.job(waiting))
	d.cancel("enough", second.ID)
	third := d.one(waiting)
	d.wantRefused("while the third waits", d.job(waiting))
	d.cancel("enough", third.ID)
}

func testUniqueBatch(d *desk) {
	a, b, c := d.job(unique("k")), d.job(unique("k")), d.job()
	same(d.t, "the second of a batch", d.pushed(a, b, c), []vedette.ID{b.ID})
	d.wantState("the first", a.ID, vedette.JobPending)
	d.wantState("the last", c.ID, vedette.JobPending)
	same(d.t, "a known ID with a key that is its own", d.pushed(a), nil)
}

func testUniqueKinds(d *desk) {
	d.push(d.job(unique("k")), d.job(func(j *vedette.Job) { j.UniqueWaiting = "k" }))
	both := d.job(unique("new"), func(j *vedette.Job) { j.UniqueWaiting = "k" })
	d.wantRefused("one key of two is taken", both)
	d.push(d.job(unique("new")))
}

func firedAt(s vedette.ScraperID, at time.Time) func(*vedette.Job) {
	return func(j *vedette.Job) { j.Scraper, j.FireAt, j.Fired = s, at, true }
}

func testFiredOnce(d *desk) {
	at := d.began.Add(-time.Minute)
	first := d.one(firedAt("s", at))
	again := d.job(firedAt("s", at))
	same(d.t, "refused of a fire that is there", d.pushed(again), nil)
	d.push(d.job(firedAt("s", at.Add(time.Second))), d.job(firedAt("other", at)))
	if got := d.queues()["q"].Ready[0]; got != 3 {
		d.t.Errorf("%d ready, want 3", got)
	}
	j := d.own("a")
	if j.ID != first.ID {
		d.t.Fatalf("claimed %s, want the first", j.ID)
	}
	d.finish(end(j, vedette.JobSucceeded))
	d.push(again)
	_, err := d.s.Jobs().Get(d.t.Context(), again.ID)
	wantErr(d.t, "a fire whose job is history", err, vedette.ErrNotFound)
}

func testFiredRace(d *desk) {
	if got := d.raceToPush(firedAt("s", d.began)); got != 1 {
		d.t.Errorf("%d jobs of a fire, want 1", got)
	}
}

func testTrigger(d *desk) {
	at := d.began.Add(-time.Minute)
	byHand := func(j *vedette.Job) { j.Scraper, j.FireAt = "s", at }
	d.push(d.job(byHand), d.job(firedAt("s", at)), d.job(byHand))
	if got := d.queues()["q"].Ready[0]; got != 3 {
		d.t.Errorf("%d ready, want 3", got)
	}
}
