package storetest

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/vedettehq/vedette"
)

// limitCases hold Claim to the limits and rates of jobs.
func limitCases() map[string]func(*desk) {
	return map[string]func(*desk){
		"starts no more of a key than its limit": testLimit,
		"holds back nobody else":                 testLimitHeld,
		"counts a key over all queues":           testLimitQueues,
		"goes by the limit of each job":          testLimitMixed,
		"frees a slot with every exit":           testLimitExits,
		"gives no slot to what is known":         testLimitKnown,
		"is kept by 64 claimers":                 testLimitRace,
		"starts in order when slots free":        testLimitOrder,
		"paces the starts of a key":              testRate,
		"paces nobody else":                      testRateHeld,
		"saves up no more than the burst":        testRateBurst,
		"paces 64 claimers":                      testRateRace,
		"says what is held":                      testHeldStates,
	}
}

func testLimit(d *desk) {
	for range 5 {
		d.one(limited("k", 2))
	}
	d.beat("w", time.Hour)
	jobs := d.claim("w", 5)
	if len(jobs) != 2 {
		d.t.Fatalf("claimed %d of a key whose limit is 2", len(jobs))
	}
	d.wantNone("while both run")
	d.finish(end(jobs[0], vedette.JobSucceeded))
	if got := d.claim("w", 5); len(got) != 1 {
		d.t.Errorf("claimed %d when one slot is free", len(got))
	}
}

// testLimitHeld puts jobs that are held before all others.
func testLimitHeld(d *desk) {
	urgent := run(-1, d.began.Add(-time.Hour))
	for range 50 {
		d.one(limited("k", 1), urgent)
	}
	free := []vedette.Job{d.one(), d.one(limited("other", 1)), d.one()}
	d.beat("w", time.Hour)
	got := d.claim("w", 50)
	if len(got) != 4 || got[0].LimitKey != "k" {
		d.t.Fatalf("claimed %d, want one of the key and three behind all that are held", len(got))
	}
	wantJobs(d.t, "behind the held", got[1:], free...)
	d.wantNone("while one runs")
}

func testLimitQueues(d *desk) {
	in := func(q string) func(*vedette.Job) { return func(j *vedette.Job) { j.Queue = q } }
	a, b := d.one(limited("k", 1), in("a")), d.one(limited("k", 1), in("b"))
	if err := d.s.Queues().Pause(d.t.Context(), "a"); err != nil {
		d.t.Fatal(err)
	}
	d.beat("w", time.Hour)
	first := d.claim("w", 5, "a", "b")
	wantJobs(d.t, "when the queue of the first is paused", first, b)
	if err := d.s.Queues().Resume(d.t.Context(), "a"); err != nil {
		d.t.Fatal(err)
	}
	d.wantNone("while the other runs", "a", "b")
	d.finish(end(first[0], vedette.JobSucceeded))
	wantJobs(d.t, "when it has ended", d.claim("w", 5, "a", "b"), a)
}

func testLimitMixed(d *desk) {
	d.one(limited("k", 1))
	strict, lax := d.one(limited("k", 1)), d.one(limited("k", 3))
	counted := d.one(func(j *vedette.Job) { j.LimitKey = "k" })
	d.beat("w", time.Hour)
	first := d.claim("w", 1)
	wantJobs(d.t, "those whose limit allows it", d.claim("w", 5), lax, counted)
	another := d.one(limited("k", 3))
	d.wantNone("when three run")
	d.finish(end(first[0], vedette.JobSucceeded))
	wantJobs(d.t, "when two run", d.claim("w", 5), another)
	d.cancel("enough", strict.ID)
}

// testLimitKnown pushes a job anew that has ended, before one that waits for the same limit.
func testLimitKnown(d *desk) {
	known := d.one(limited("k", 1))
	d.finish(end(d.own("w"), vedette.JobSucceeded))
	next := d.job(limited("k", 1))
	d.push(known, next)
	d.beat("w", time.Hour)
	wantJobs(d.t, "behind a job that is known", d.claim("w", 5), next)
}

// testLimitExits leaves the state started in every way there is: none may keep the slot.
func testLimitExits(d *desk) {
	exits := losses()
	for _, state := range []vedette.JobState{
		vedette.JobSucceeded, vedette.JobFailed, vedette.JobDead, vedette.JobCancelled, vedette.JobPending, vedette.JobRetrying,
	} {
		exits["finished as "+string(state)] = func(d *desk, j vedette.Job) {
			e := vedette.End{Ref: j.Ref(), State: state, RunAt: d.began.Add(time.Hour)}
			d.finish(e)
			d.finish(e)
		}
	}
	for way, leave := range exits {
		first := d.one(limited("k", 1), attempts(5))
		j := d.own("owner " + way)
		if j.ID != first.ID {
			d.t.Fatalf("%s: claimed %s, want %s", way, j.ID, first.ID)
		}
		next := d.one(limited("k", 1), run(-1, d.began))
		d.wantNone("before one was " + way)
		leave(d, j)
		got := d.own("next " + way)
		if got.ID != next.ID {
			d.t.Fatalf("%s: claimed %s, want %s", way, got.ID, next.ID)
		}
		d.wantNone("after one was " + way)
		d.cancel("make room", j.ID)
		d.finish(end(got, vedette.JobSucceeded))
	}
}

// testLimitRace counts from the outside how many run at once.
func testLimitRace(d *desk) {
	const n, limit = 400, 3
	var jobs []vedette.Job
	for i := range n {
		jobs = append(jobs, d.job(limited(string(numbered[vedette.ScraperID](i%4)), limit)))
	}
	d.push(jobs...)
	var mu sync.Mutex
	running, most, ended := map[string]int{}, map[string]int{}, 0
	count := func(key string, by int) {
		mu.Lock()
		defer mu.Unlock()
		running[key] += by
		most[key] = max(most[key], running[key])
		ended -= min(by, 0)
	}
	d.crowd(64, 2, func(j vedette.Job) {
		count(j.LimitKey, 1)
		d.c.wait(d.c.s(1) / 100)
		count(j.LimitKey, -1)
		if stale, err := d.s.Queue().Finish(d.t.Context(), end(j, vedette.JobSucceeded)); err != nil || len(stale) > 0 {
			d.t.Errorf("Finish: %v stale, %v", stale, err)
		}
	})
	if ended != n {
		d.t.Errorf("%d ended of %d", ended, n)
	}
	for key, got := range most {
		if got > limit {
			d.t.Errorf("%d of %s ran at once, limit %d", got, key, limit)
		}
	}
}

func testLimitOrder(d *desk) {
	last := d.one(limited("k", 1), run(5, d.began))
	first := d.one(limited("k", 1), run(0, d.began))
	middle := d.one(limited("k", 1), run(1, d.began))
	d.beat("w", time.Hour)
	for _, want := range []vedette.Job{first, middle, last} {
		got := d.claim("w", 5)
		wantJobs(d.t, "the most urgent of those that were held", got, want)
		d.finish(end(got[0], vedette.JobSucceeded))
	}
}

func rated(key string, every time.Duration, burst int) func(*vedette.Job) {
	return func(j *vedette.Job) { j.RateKey, j.RateEvery, j.RateBurst = key, every, burst }
}

// starts claims n jobs of q one by one, ends each, and returns when they started after the first.
func (d *desk) starts(n int) []time.Duration {
	d.t.Helper()
	d.beat("w", time.Hour)
	var first time.Time
	all := make([]time.Duration, n)
	for i := range all {
		j := d.claim("w", 1)[0]
		if i == 0 {
			first = j.StartedAt
		}
		all[i] = j.StartedAt.Sub(first)
		d.finish(end(j, vedette.JobSucceeded))
	}
	return all
}

// wantStarts checks that no job started before its time, nor much later.
func (d *desk) wantStarts(what string, got []time.Duration, want ...time.Duration) {
	d.t.Helper()
	for i := range want {
		if got[i] < want[i]-time.Millisecond || got[i] > want[i]+d.c.soon()+time.Millisecond {
			d.t.Errorf("%s: started at %v, want %v", what, got, want)
			return
		}
	}
}

func testRate(d *desk) {
	for range 6 {
		d.one(rated("k", d.c.s(2), 3))
	}
	d.wantStarts("three at once, then one every two seconds", d.starts(6), 0, 0, 0, d.c.s(2), d.c.s(4), d.c.s(6))
}

func testRateHeld(d *desk) {
	for range 3 {
		d.one(rated("k", d.c.s(20), 0), run(-1, d.began))
	}
	free := []vedette.Job{d.one(), d.one(rated("other", d.c.s(20), 1))}
	d.beat("w", time.Hour)
	got := d.claim("w", 10)
	if len(got) != 3 || got[0].RateKey != "k" {
		d.t.Fatalf("claimed %d, want one of the key and two behind all that are held", len(got))
	}
	wantJobs(d.t, "behind the held", got[1:], free...)
	d.wantNone("before the time has come")
}

func testRateBurst(d *desk) {
	push := func() {
		for range 4 {
			d.one(rated("k", d.c.s(2), 2))
		}
	}
	push()
	d.wantStarts("at first", d.starts(4), 0, 0, d.c.s(2), d.c.s(4))
	d.c.wait(d.c.s(20))
	push()
	d.wantStarts("after a long silence", d.starts(4), 0, 0, d.c.s(2), d.c.s(4))
}

func testRateRace(d *desk) {
	for range 60 {
		d.one(rated("k", time.Hour, 5))
	}
	var started atomic.Int64
	d.crowd(64, 2, func(vedette.Job) { started.Add(1) })
	if got := started.Load(); got != 5 {
		d.t.Errorf("%d started at once, want the burst of 5", got)
	}
}

func testHeldStates(d *desk) {
	d.one(limited("k", 1))
	d.one(rated("r", d.c.s(4), 1))
	d.beat("w", time.Hour)
	jobs := d.claim("w", 5)
	d.push(d.job(limited("k", 1)), d.job(limited("k", 2)), d.job(rated("r", d.c.s(4), 1)))
	free := d.one(run(7, d.began.Add(-time.Hour)))
	got := d.queues()["q"]
	want := vedette.QueueState{Name: "q", Ready: map[int]int{0: 1, 7: 1}, Held: 2, Started: 2, Oldest: free.RunAt}
	same(d.t, "while a limit and a rate are reached", got, want)
	d.finish(end(jobs[0], vedette.JobSucceeded))
	d.c.wait(d.c.s(5))
	got = d.queues()["q"]
	want = vedette.QueueState{Name: "q", Ready: map[int]int{0: 3, 7: 1}, Started: 1, Oldest: free.RunAt}
	same(d.t, "when neither is", got, want)
}
