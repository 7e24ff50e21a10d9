package storetest

import (
	"time"

	"github.com/vedettehq/vedette"
)

// testCounts ends jobs in all ways, and asks which attempt counts.
func testCounts(d *desk) {
	for _, state := range []vedette.JobState{vedette.JobSucceeded, vedette.JobFailed, vedette.JobDead, vedette.JobCancelled, vedette.JobRetrying} {
		d.one(attempts(2))
		first := d.own("first")
		d.wantCounts("started", first.ID, 0)
		d.finish(vedette.End{Ref: first.Ref(), State: vedette.JobRetrying})
		d.wantCounts("to be tried again", first.ID, 0)
		second := d.own("second")
		d.wantCounts("started again", first.ID, 0)
		d.finish(end(second, state))
		d.wantCounts("ended by its second owner as "+string(state), first.ID, second.Epoch)
	}
}

// testCountsNone ends jobs without a word of an owner that led to it.
func testCountsNone(d *desk) {
	for way, lose := range losses() {
		d.one(attempts(1))
		j := d.own("zombie " + way)
		lose(d, j)
		d.finished(end(j, vedette.JobSucceeded))
		if d.get(j.ID).State.Live() { // given back
			d.cancel("enough", j.ID)
		}
		d.wantCounts(way, j.ID, 0)
	}
	for way, e := range map[string]vedette.End{
		"failed":     {State: vedette.JobRetrying, RunAt: d.now().Add(time.Hour), Error: "no"},
		"given back": {State: vedette.JobPending},
	} {
		d.one(attempts(3))
		e.Ref = d.own("w").Ref()
		d.finish(e)
		d.cancel("enough", e.Job)
		d.wantCounts("cancelled when it was "+way, e.Job, 0)
	}
}

// wantCounts complains unless the attempt of this epoch counts; 0 is none.
func (d *desk) wantCounts(what string, id vedette.ID, want int64) {
	d.t.Helper()
	j := d.get(id)
	got, ok := j.Counts()
	if ok != (want != 0) || ok && got != want {
		d.t.Errorf("%s: epoch %d counts (%v), want %d: %+v", what, got, ok, want, j)
	}
}
