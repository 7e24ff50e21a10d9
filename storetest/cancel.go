package storetest

import (
	"time"

	"github.com/vedettehq/vedette"
)

// cancelCases hold Cancel to its contract.
func cancelCases() map[string]func(*desk) {
	return map[string]func(*desk){
		"ends at once what nobody runs":     testCancelWaiting,
		"asks the worker of what runs":      testCancelStarted,
		"lets the worker's word win":        testCancelWins,
		"ends what is not to run again":     testCancelNoMore,
		"ends what does not end in time":    testCancelGrace,
		"ends what lost its worker":         testCancelLost,
		"leaves alone what ended by itself": testCancelEnded,
	}
}

func testCancelWaiting(d *desk) {
	pending, scheduled := d.one(attempts(2)), d.one(run(0, d.began.Add(time.Hour)))
	j := d.own("w")
	d.finish(vedette.End{Ref: j.Ref(), State: vedette.JobRetrying, RunAt: d.began.Add(time.Hour)})
	waiting := d.one()
	d.cancel("not needed", pending.ID, scheduled.ID, waiting.ID, d.job().ID)
	for _, id := range []vedette.ID{pending.ID, scheduled.ID, waiting.ID} {
		got := d.wantState("cancelled while it waits", id, vedette.JobCancelled)
		if got.Cancel != "not needed" || got.FinishedAt.IsZero() {
			d.t.Errorf("cancelled: %+v, want the reason and when", got)
		}
	}
	if got := d.queues(); len(got) != 0 {
		d.t.Errorf("queues after all was cancelled: %+v", got)
	}
	d.wantNone("after all was cancelled")
}

func testCancelStarted(d *desk) {
	d.one(unique("k"))
	j := d.own("w")
	d.cancel("enough", j.ID)
	d.cancel("another reason", j.ID)
	if got := d.wantState("until its worker says so", j.ID, vedette.JobStarted); got.Cancel != "enough" {
		d.t.Errorf("the reason is %q, want the first", got.Cancel)
	}
	d.wantRefused("while it ends", d.job(unique("k")))
	want := []vedette.Order{{Ref: j.Ref(), Reason: "enough"}}
	same(d.t, "orders", d.beat("w", time.Hour, j.Ref()), want)
	same(d.t, "orders again", d.beat("w", time.Hour, j.Ref()), want)
	d.finish(end(j, vedette.JobCancelled))
	d.wantState("when its worker has said so", j.ID, vedette.JobCancelled)
	d.one(unique("k"))
}

func testCancelWins(d *desk) {
	for _, state := range []vedette.JobState{vedette.JobSucceeded, vedette.JobFailed, vedette.JobDead} {
		d.one()
		j := d.own("w")
		d.cancel("enough", j.ID)
		d.finish(end(j, state))
		d.wantState("what its worker says", j.ID, state)
	}
}

func testCancelNoMore(d *desk) {
	for _, state := range []vedette.JobState{vedette.JobPending, vedette.JobRetrying} {
		d.one(attempts(5))
		j := d.own("w")
		d.cancel("enough", j.ID)
		d.finish(end(j, state))
		d.wantState("cancelled, then to be run again as "+string(state), j.ID, vedette.JobCancelled)
		d.finish(end(j, state))
		d.wantNone("after it")
	}
}

func testCancelGrace(d *desk) {
	d.one(unique("k"), attempts(5))
	j := d.own("w")
	d.cancel("enough", j.ID)
	leader := d.lead()
	if got := d.rescue(leader); len(got) != 0 {
		d.t.Errorf("rescued %+v before its grace ended", got)
	}
	d.c.wait(vedette.CancelGrace / 2)
	d.beat("w", time.Hour, j.Ref())
	if got := d.rescue(leader); len(got) != 0 {
		d.t.Errorf("rescued %+v before its grace ended", got)
	}
	d.c.wait(vedette.CancelGrace/2 + d.c.s(1))
	wantJobs(d.t, "rescued when the grace has ended", d.rescue(leader), j)
	got := d.wantState("then", j.ID, vedette.JobCancelled)
	if got.Epoch <= j.Epoch || got.Cancel != "enough" {
		d.t.Errorf("taken from its worker: %+v, want an epoch above %d and the reason", got, j.Epoch)
	}
	same(d.t, "orders", d.beat("w", time.Hour, j.Ref()), []vedette.Order{{Ref: j.Ref(), Lost: true}})
	d.one(unique("k"))
}

func testCancelLost(d *desk) {
	d.one(attempts(5))
	j := d.own("w")
	d.cancel("enough", j.ID)
	d.lose("w")
	wantJobs(d.t, "rescued", d.rescue(d.lead()), j)
	d.wantState("cancelled, and its worker lost", j.ID, vedette.JobCancelled)
	d.wantNone("after it")
}

func testCancelEnded(d *desk) {
	d.one()
	j := d.own("w")
	d.finish(end(j, vedette.JobSucceeded))
	before := d.get(j.ID)
	d.cancel("too late", j.ID)
	same(d.t, "what a late Cancel changed", d.get(j.ID), before)
}
