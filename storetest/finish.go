package storetest

import (
	"time"

	"github.com/vedettehq/vedette"
)

// finishCases hold Finish to its contract.
func finishCases() map[string]func(*desk) {
	return map[string]func(*desk){
		"makes history":                       testFinish,
		"takes the same again":                testFinishAgain,
		"refuses another end of the same":     testFinishOther,
		"tells valid claims from stale ones":  testFinishMixed,
		"retries at a time":                   testRetry,
		"retries until there are no attempts": testRetryExhausted,
		"gives back without counting":         testGiveBack,
		"keeps each attempt":                  testAttempts,
		"refuses what no claim ends with":     testFinishRefuses,
		"refuses who is not the owner":        testFinishZombie,
		"says which attempt counts":           testCounts,
		"lets no attempt count that was lost": testCountsNone,
	}
}

func attempts(n int) func(*vedette.Job) { return func(j *vedette.Job) { j.MaxAttempts = n } }

func testFinish(d *desk) {
	for _, state := range []vedette.JobState{vedette.JobSucceeded, vedette.JobFailed, vedette.JobDead, vedette.JobCancelled} {
		want := d.one(attempts(3))
		j := d.own("w")
		before := d.now()
		d.finish(vedette.End{Ref: j.Ref(), State: state, Result: "42 items", Error: "of " + string(state)})
		got := d.get(want.ID)
		if got.FinishedAt.Before(before) || got.FinishedAt.After(d.now()) {
			d.t.Errorf("finished at %v, want the store's time, %v", got.FinishedAt, before)
		}
		if got.State != state || got.Result != "42 items" || got.Error != "of "+string(state) || got.Epoch != j.Epoch || got.Attempt != 1 || got.Owner != "w" {
			d.t.Errorf("after %s: %+v", state, got)
		}
		if q := d.queues()["q"]; q.Started != 0 || len(q.Ready) != 0 {
			d.t.Errorf("after %s the queue holds %+v", state, q)
		}
		d.wantNone("after " + string(state))
	}
}

func testFinishAgain(d *desk) {
	for _, state := range []vedette.JobState{
		vedette.JobSucceeded, vedette.JobFailed, vedette.JobDead, vedette.JobCancelled, vedette.JobRetrying, vedette.JobPending,
	} {
		d.one(attempts(3))
		j := d.own("w")
		e := vedette.End{Ref: j.Ref(), State: state, Error: "e"}
		d.finish(e)
		d.finish(e, e)
		if got := d.get(j.ID); got.Epoch != j.Epoch || len(got.Attempts) > 1 {
			d.t.Errorf("%s said three times: %+v", state, got)
		}
		d.cancel("make room", j.ID)
	}
	d.one(attempts(3))
	j := d.own("w")
	e := end(j, vedette.JobRetrying)
	d.finish(e)
	next := d.own("w")
	d.finish(e)
	d.wantState("an end said again when the next attempt runs", j.ID, vedette.JobStarted)
	d.finish(end(next, vedette.JobSucceeded))
	d.finish(e)
	d.wantState("and when that has ended", j.ID, vedette.JobSucceeded)
}

func testFinishOther(d *desk) {
	d.one()
	j := d.own("w")
	d.finish(end(j, vedette.JobSucceeded))
	for _, state := range []vedette.JobState{vedette.JobFailed, vedette.JobRetrying, vedette.JobPending} {
		same(d.t, "stale of another end", d.finished(end(j, state)), []vedette.Ref{j.Ref()})
	}
	d.wantState("after others", j.ID, vedette.JobSucceeded)
}

func testFinishMixed(d *desk) {
	d.push(d.job(), d.job(), d.job())
	d.beat("w", time.Hour)
	jobs := d.claim("w", 3)
	unknown := vedette.Ref{Job: d.job().ID, Epoch: 1}
	older := jobs[1].Ref()
	older.Epoch--
	newer := jobs[1].Ref()
	newer.Epoch++
	stale := d.finished(
		end(jobs[0], vedette.JobSucceeded),
		vedette.End{Ref: unknown, State: vedette.JobSucceeded},
		vedette.End{Ref: older, State: vedette.JobSucceeded},
		vedette.End{Ref: newer, State: vedette.JobSucceeded},
		end(jobs[2], vedette.JobFailed),
	)
	same(d.t, "stale", stale, []vedette.Ref{unknown, older, newer})
	d.wantState("the first", jobs[0].ID, vedette.JobSucceeded)
	d.wantState("the one of another epoch", jobs[1].ID, vedette.JobStarted)
	d.wantState("the last", jobs[2].ID, vedette.JobFailed)
	pending := d.one()
	ref := pending.Ref()
	same(d.t, "a job that nobody claimed", d.finished(vedette.End{Ref: ref, State: vedette.JobSucceeded}), []vedette.Ref{ref})
}

func testRetry(d *desk) {
	d.one(attempts(2))
	j := d.own("w")
	at := d.now().Add(d.c.s(3))
	d.finish(vedette.End{Ref: j.Ref(), State: vedette.JobRetrying, RunAt: at, Error: "timed out"})
	got := d.wantState("until it is due", j.ID, vedette.JobRetrying)
	if !got.RunAt.Equal(at) || got.Error != "timed out" || got.Owner != "" || got.Attempt != 1 {
		d.t.Errorf("to be retried: %+v, want it at %v without an owner", got, at)
	}
	if q := d.queues()["q"]; q.Scheduled != 1 {
		d.t.Errorf("the queue holds %+v, want one scheduled", q)
	}
	d.wantNone("before the retry is due")
	d.c.wait(d.c.s(3))
	again := d.own("w")
	if again.ID != j.ID || again.Attempt != 2 || again.Epoch <= j.Epoch {
		d.t.Errorf("claimed again: %+v, want attempt 2 of a higher epoch than %d", again, j.Epoch)
	}
	d.finish(end(again, vedette.JobSucceeded))
}

func testRetryExhausted(d *desk) {
	d.one(attempts(2))
	for i := range 2 {
		j := d.own("w")
		d.finish(vedette.End{Ref: j.Ref(), State: vedette.JobRetrying, Error: "no"})
		want := []vedette.JobState{vedette.JobPending, vedette.JobDead}[i]
		d.wantState("after an attempt that failed", j.ID, want)
		d.finish(vedette.End{Ref: j.Ref(), State: vedette.JobRetrying, Error: "no"})
	}
	d.wantNone("when there are no attempts left")
}

func testGiveBack(d *desk) {
	first := d.one(run(0, d.began.Add(-time.Hour)))
	d.one()
	for range 3 {
		j := d.own("w")
		if j.ID != first.ID || j.Attempt != 1 {
			d.t.Fatalf("claimed %s, attempt %d; want the one that was given back, attempt 1", j.ID, j.Attempt)
		}
		d.finish(end(j, vedette.JobPending))
		got := d.wantState("given back", first.ID, vedette.JobPending)
		if got.Attempt != 0 || got.Owner != "" || len(got.Attempts) != 0 || !got.RunAt.Equal(first.RunAt) {
			d.t.Errorf("given back: %+v, want it as if it had not been claimed", got)
		}
	}
}

func testAttempts(d *desk) {
	d.one(attempts(4))
	var want []vedette.Attempt
	for i, state := range []vedette.JobState{vedette.JobRetrying, vedette.JobPending, vedette.JobRetrying, vedette.JobSucceeded} {
		j := d.own(string(numbered[vedette.ScraperID](i)))
		why := "attempt of " + j.Owner
		d.finish(vedette.End{Ref: j.Ref(), State: state, Error: why})
		if state != vedette.JobPending {
			want = append(want, vedette.Attempt{Epoch: j.Epoch, Owner: j.Owner, StartedAt: j.StartedAt, State: state, Error: why})
		}
	}
	j := d.claimedLast()
	got := d.get(j.ID).Attempts
	for i := range got {
		if got[i].FinishedAt.Before(got[i].StartedAt) {
			d.t.Errorf("attempt %d: %+v", i, got[i])
		}
		got[i].FinishedAt = time.Time{}
	}
	same(d.t, "attempts", got, want)
	if j.Attempts != nil {
		d.t.Errorf("List fills attempts: %+v", j.Attempts)
	}
}

// claimedLast returns the newest job, as List shows it.
func (d *desk) claimedLast() vedette.Job {
	d.t.Helper()
	page, err := d.s.Jobs().List(d.t.Context(), vedette.Job{}, vedette.ID{}, 1)
	if err != nil || len(page) != 1 {
		d.t.Fatalf("List: %d jobs, %v", len(page), err)
	}
	return page[0]
}

func testFinishRefuses(d *desk) {
	d.push(d.job(), d.job())
	d.beat("w", time.Hour)
	jobs := d.claim("w", 2)
	for _, state := range []vedette.JobState{vedette.JobStarted, vedette.JobScheduled, "", "nonsense"} {
		_, err := d.s.Queue().Finish(d.t.Context(), end(jobs[0], vedette.JobSucceeded), end(jobs[1], state))
		wantErr(d.t, "Finish as "+string(state), err, vedette.ErrRefused)
	}
	if _, err := d.s.Queue().Finish(ended(d.t), end(jobs[0], vedette.JobSucceeded)); err == nil {
		d.t.Error("Finish in a context that has ended says that it did")
	}
	d.wantState("which came with a bad one", jobs[0].ID, vedette.JobStarted)
	d.wantState("the bad one", jobs[1].ID, vedette.JobStarted)
}

// testFinishZombie lets a former owner speak after each way of losing a claim.
func testFinishZombie(d *desk) {
	for way, lose := range losses() {
		d.one(attempts(5))
		j := d.own("zombie " + way)
		lose(d, j)
		states := []vedette.JobState{vedette.JobSucceeded, vedette.JobFailed, vedette.JobRetrying, vedette.JobPending}
		before := d.get(j.ID)
		for _, state := range states {
			same(d.t, way+": stale", d.finished(end(j, state)), []vedette.Ref{j.Ref()})
		}
		same(d.t, way+": what a zombie changed", d.get(j.ID), before)
		if !before.State.Live() {
			continue
		}
		again := d.own("heir")
		if again.ID != j.ID || again.Epoch <= j.Epoch {
			d.t.Errorf("%s: claimed %s of epoch %d, want %s above %d", way, again.ID, again.Epoch, j.ID, j.Epoch)
		}
		for _, state := range states {
			same(d.t, way+" and claimed again: stale", d.finished(end(j, state)), []vedette.Ref{j.Ref()})
		}
		d.wantState(way+" and claimed again", j.ID, vedette.JobStarted)
		d.finish(end(again, vedette.JobSucceeded))
	}
}

// losses are the ways to lose a claim.
func losses() map[string]func(*desk, vedette.Job) {
	return map[string]func(*desk, vedette.Job){
		"lost":       func(d *desk, j vedette.Job) { d.lose(j.Owner); d.rescue(d.lead()) },
		"unheard":    func(d *desk, j vedette.Job) { d.beat(j.Owner, time.Hour); d.beat(j.Owner, time.Hour) },
		"terminated": func(d *desk, j vedette.Job) { d.terminate(j) },
		"cancelled": func(d *desk, j vedette.Job) {
			d.cancel("enough", j.ID)
			d.c.wait(vedette.CancelGrace + d.c.s(1))
			d.rescue(d.lead())
		},
	}
}

// terminate takes j from its owner as a schedule does.
func (d *desk) terminate(j vedette.Job) {
	d.t.Helper()
	f := vedette.Firing{Scraper: vedette.ScraperID(j.ID.String()), Terminate: []vedette.ID{j.ID}, Now: vedette.Cursor{Version: 1}}
	if err := d.s.Schedules().Fire(d.t.Context(), d.lead(), f); err != nil {
		d.t.Fatalf("Fire: %v", err)
	}
}
