package storetest

import (
	"context"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
)

// claimCases hold Claim to the order in which it takes jobs.
func claimCases() map[string]func(*desk) {
	return map[string]func(*desk){
		"takes by priority, time and ID":             testClaimByUrgency,
		"takes its queues one after the other":       testClaimQueues,
		"takes no more of a queue than is wanted":    testClaimWants,
		"takes what is urgent although it came late": testClaimUrgent,
		"starves nobody behind what it has passed":   testClaimPassed,
		"takes what there is":                        testClaimSome,
		"fills in what a claim is":                   testClaimFields,
		"takes nothing before its time":              testClaimLater,
		"takes nothing of a paused queue":            testClaimPaused,
		"takes nothing for who does not live":        testClaimStranger,
		"takes nothing in a context that ended":      testClaimEndedContext,
		"goes by the store's clock":                  testClaimClocks,
	}
}

func run(priority int, at time.Time) func(*vedette.Job) {
	return func(j *vedette.Job) { j.Priority, j.RunAt = priority, at }
}

func testClaimByUrgency(d *desk) {
	old, older := d.began.Add(-time.Hour), d.began.Add(-2*time.Hour)
	want := []vedette.Job{
		d.job(run(-1, old)),
		d.job(run(vedette.Utmost, older)), d.job(run(vedette.Utmost, old)),
		d.job(run(vedette.High, old)), d.job(run(vedette.High, old)), d.job(run(vedette.High, old)),
		d.job(run(vedette.Normal, older)),
		d.job(run(1000, older)),
	}
	shuffled := slices.Clone(want)
	for i, k := range []int{5, 2, 7, 0, 4, 1, 6, 3} {
		shuffled[i] = want[k]
	}
	d.push(shuffled...)
	d.beat("a", time.Hour)
	got := append(d.claim("a", 3), d.claim("a", 5)...)
	wantJobs(d.t, "claimed", got, want...)
}

func testClaimQueues(d *desk) {
	old := d.began.Add(-time.Hour)
	in := func(q string) func(*vedette.Job) { return func(j *vedette.Job) { j.Queue = q } }
	want := []vedette.Job{
		d.job(run(1, old), in("c")),
		d.job(run(0, old), in("a")), d.job(run(1, old), in("a")),
		d.job(run(0, old.Add(-time.Hour)), in("b")), d.job(run(0, old), in("b")),
	}
	d.push(d.job(run(-1, old), in("not asked for")), want[4], want[2], want[0], want[3], want[1])
	d.beat("w", time.Hour)
	got := append(d.claim("w", 2, "c", "a", "b"), d.claim("w", 10, "a", "b", "c", "a")...)
	wantJobs(d.t, "claimed", got, want...)
}

// testClaimWants lets a worker have little room for some queues.
func testClaimWants(d *desk) {
	var in [3][]vedette.Job
	for i, name := range []string{"a", "b", "c"} {
		for range 4 {
			in[i] = append(in[i], d.one(func(j *vedette.Job) { j.Queue = name }))
		}
	}
	d.beat("w", time.Hour)
	claim := func(n int, from ...vedette.Want) []vedette.Job {
		d.t.Helper()
		jobs, err := d.s.Queue().Claim(d.t.Context(), "w", n, from...)
		if err != nil {
			d.t.Fatalf("Claim: %v", err)
		}
		return jobs
	}
	got := claim(6, vedette.Want{Queue: "a", N: 1}, vedette.Want{Queue: "b"}, vedette.Want{Queue: "c", N: 9})
	wantJobs(d.t, "one, all, and what is left", got, in[0][0], in[1][0], in[1][1], in[1][2], in[1][3], in[2][0])
	got = claim(9, vedette.Want{Queue: "c", N: 2}, vedette.Want{Queue: "b", N: 1}, vedette.Want{Queue: "a", N: 2})
	wantJobs(d.t, "two, none, and two", got, in[2][1], in[2][2], in[0][1], in[0][2])
}

func testClaimUrgent(d *desk) {
	d.push(d.job(run(1, d.began)), d.job(run(1, d.began)))
	d.own("a")
	urgent := d.one(run(0, d.began))
	wantJobs(d.t, "next", []vedette.Job{d.own("a")}, urgent)
}

// testClaimPassed pushes jobs in front of those that were claimed before: a store that remembers
// how far it has come must go back.
func testClaimPassed(d *desk) {
	at := func(n int) time.Time { return d.began.Add(time.Duration(n) * time.Second) }
	d.beat("a", time.Hour)
	for i := range 20 {
		d.push(d.job(run(5, at(-100+i))), d.job(run(5, at(-100+i))))
		d.claim("a", 1)
		before := d.one(run(5, at(-200-i)))
		wantJobs(d.t, "an earlier one, pushed later", d.claim("a", 1), before)
	}
	wantCount(d, "in the end", 20)
	for range 2 {
		d.claim("a", 10)
	}
	d.wantNone("when all are claimed")
}

// wantCount checks how many jobs of q are ready.
func wantCount(d *desk, what string, want int) {
	d.t.Helper()
	got := 0
	for _, n := range d.queues()["q"].Ready {
		got += n
	}
	if got != want {
		d.t.Errorf("%s: %d ready, want %d", what, got, want)
	}
}

func testClaimSome(d *desk) {
	a, b := d.one(), d.one()
	d.beat("w", time.Hour)
	wantJobs(d.t, "more than there are", d.claim("w", 10), a, b)
}

func testClaimFields(d *desk) {
	want := fullJob(d)
	d.push(want)
	before := d.now()
	got := d.own("w", "slow")
	if got.StartedAt.Before(before) || got.StartedAt.After(d.now()) {
		d.t.Errorf("started at %v, want the store's time, %v", got.StartedAt, before)
	}
	if got.Epoch < 1 || got.BeatAt.IsZero() {
		d.t.Errorf("epoch %d, beat at %v; want an epoch above the 0 it began with, and a beat", got.Epoch, got.BeatAt)
	}
	want.State, want.Attempt, want.Owner = vedette.JobStarted, 1, "w"
	want.Epoch, want.CreatedAt, want.StartedAt, want.BeatAt = got.Epoch, got.CreatedAt, got.StartedAt, got.BeatAt
	same(d.t, "claimed", got, want)
	same(d.t, "read", d.get(got.ID), want)
	d.c.wait(d.c.s(2))
	d.beat("w", time.Hour, got.Ref())
	if again := d.get(got.ID); !again.BeatAt.After(got.BeatAt) {
		d.t.Errorf("beat at %v after another beat, was %v", again.BeatAt, got.BeatAt)
	}
	d.finish(end(got, vedette.JobSucceeded))
	if again := d.get(got.ID); !again.BeatAt.Equal(again.FinishedAt) {
		d.t.Errorf("beat at %v, want when it has ended, %v", again.BeatAt, again.FinishedAt)
	}
}

func testClaimLater(d *desk) {
	d.push(d.job(run(-5, d.now().Add(time.Hour))), d.job(run(-5, d.now().Add(24*time.Hour))))
	now := d.one()
	wantJobs(d.t, "the one that is due", []vedette.Job{d.own("a")}, now)
	d.wantNone("an hour before the next is due")
}

func testClaimPaused(d *desk) {
	d.one()
	running := d.own("a")
	stopped, other := d.one(), d.one(func(j *vedette.Job) { j.Queue = "other" })
	if err := d.s.Queues().Pause(d.t.Context(), "q", "unknown"); err != nil {
		d.t.Fatal(err)
	}
	d.wantNone("while the queue is paused")
	d.finish(end(running, vedette.JobSucceeded))
	wantJobs(d.t, "the queue that is not", d.claim("nobody", 5, "q", "other"), other)
	if err := d.s.Queues().Resume(d.t.Context(), "q", "never paused"); err != nil {
		d.t.Fatal(err)
	}
	wantJobs(d.t, "after Resume", d.claim("nobody", 5), stopped)
	if got := d.queues(); len(got) != 3 || !got["unknown"].Paused || got["q"].Paused {
		d.t.Errorf("in the end: %+v; want q, other and the one that is still paused", got)
	}
}

func testClaimStranger(d *desk) {
	d.one()
	_, err := d.s.Queue().Claim(d.t.Context(), "stranger", 1, vedette.Want{Queue: "q"})
	wantErr(d.t, "Claim of one that never beat", err, vedette.ErrLeaseLost)
	d.beat("late", d.c.s(1))
	d.c.wait(d.c.s(2))
	_, err = d.s.Queue().Claim(d.t.Context(), "late", 1, vedette.Want{Queue: "q"})
	wantErr(d.t, "Claim of one whose time ran out", err, vedette.ErrLeaseLost)
	wantCount(d, "after both", 1)
}

func testClaimEndedContext(d *desk) {
	d.one()
	d.beat("a", time.Hour)
	_, err := d.s.Queue().Claim(ended(d.t), "a", 1, vedette.Want{Queue: "q"})
	wantErr(d.t, "Claim in a context that has ended", err, context.Canceled)
	wantCount(d, "after it", 1)
}

// testClaimClocks pushes what clients make whose clocks are wrong by an hour.
func testClaimClocks(d *desk) {
	made := func(skew time.Duration) vedette.Job {
		j := d.job()
		j.ID = vedette.NewID(d.began.Add(skew))
		return j
	}
	ahead, behind := made(time.Hour), made(-time.Hour)
	for _, j := range []vedette.Job{ahead, behind} {
		d.push(j)
		d.c.wait(d.c.s(1))
	}
	d.beat("a", time.Hour)
	wantJobs(d.t, "in the order in which they came", d.claim("a", 2), ahead, behind)
	same(d.t, "listed by ID", d.pages(vedette.Job{}, 10), []vedette.ID{ahead.ID, behind.ID})
}
