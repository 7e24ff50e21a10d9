package storetest

import (
	"errors"
	"time"

	"github.com/vedettehq/vedette"
)

// overlapCases express the six policies as firings: what the schedule decides is the store's to
// hold to, whatever happens in between.
func overlapCases() map[string]func(*desk) {
	return map[string]func(*desk){
		"skip":            testOverlapSkip,
		"buffer one":      testOverlapBufferOne,
		"buffer all":      testOverlapBufferAll,
		"cancel other":    testOverlapCancel,
		"terminate other": testOverlapTerminate,
		"allow all":       testOverlapAllow,
	}
}

// A series is a schedule that fires run after run.
type series struct {
	*desk
	leader vedette.Lease
	at     vedette.Cursor
}

func (d *desk) series() *series {
	d.t.Helper()
	s := &series{desk: d, leader: d.lead()}
	d.fire(s.leader, cursorAt("s", d.began.Add(-time.Hour)))
	s.at = d.cursors()["s"]
	return s
}

// next fires the next run, and what f adds; it returns the run's ID.
func (s *series) next(change func(*vedette.Job), f vedette.Firing) vedette.ID {
	s.t.Helper()
	j := s.job(firedAt("s", s.at.At), attempts(3), change)
	move := moveOn(s.at, time.Second, j)
	move.Cancel, move.Terminate = f.Cancel, f.Terminate
	s.fire(s.leader, move)
	s.at = s.cursors()["s"]
	_, err := s.s.Jobs().Get(s.t.Context(), j.ID)
	if errors.Is(err, vedette.ErrNotFound) {
		move.Now.Skipped++
	}
	same(s.t, "the cursor, whatever came of the run", s.at, move.Now)
	return j.ID
}

// wantGone checks that a run was not kept.
func (s *series) wantGone(what string, id vedette.ID) {
	s.t.Helper()
	_, err := s.s.Jobs().Get(s.t.Context(), id)
	wantErr(s.t, what, err, vedette.ErrNotFound)
}

func testOverlapSkip(d *desk) {
	s := d.series()
	first := s.next(unique("s"), vedette.Firing{})
	s.wantGone("a run while the first waits", s.next(unique("s"), vedette.Firing{}))
	j := d.own("w")
	s.wantGone("a run while the first runs", s.next(unique("s"), vedette.Firing{}))
	d.finish(vedette.End{Ref: j.Ref(), State: vedette.JobRetrying, RunAt: d.now().Add(d.c.s(2))})
	s.wantGone("a run while the first is to be retried", s.next(unique("s"), vedette.Firing{}))
	d.c.wait(d.c.s(3))
	d.own("w")
	d.lose("w")
	d.rescue(d.lead())
	s.wantGone("a run while the first is rescued", s.next(unique("s"), vedette.Firing{}))
	j = d.own("w2")
	d.finish(end(j, vedette.JobSucceeded))
	d.wantState("the first", first, vedette.JobSucceeded)
	d.wantState("the next", s.next(unique("s"), vedette.Firing{}), vedette.JobPending)
}

func testOverlapBufferOne(d *desk) {
	s := d.series()
	buffer := func(j *vedette.Job) { j.UniqueWaiting, j.LimitKey, j.Limit = "s/next", "s", 1 }
	first := s.next(buffer, vedette.Firing{})
	s.wantGone("a second that waits", s.next(buffer, vedette.Firing{}))
	j := d.own("w")
	same(d.t, "the first", j.ID, first)
	second := s.next(buffer, vedette.Firing{})
	d.wantState("one behind it", second, vedette.JobPending)
	s.wantGone("a third", s.next(buffer, vedette.Firing{}))
	d.wantNone("while the first runs")
	d.finish(end(j, vedette.JobFailed))
	j = d.own("w")
	same(d.t, "then", j.ID, second)
	d.wantState("room for one more", s.next(buffer, vedette.Firing{}), vedette.JobPending)
	d.wantNone("while the second runs")
}

func testOverlapBufferAll(d *desk) {
	s := d.series()
	var want []vedette.ID
	for range 5 {
		want = append(want, s.next(limited("s", 1), vedette.Firing{}))
	}
	for _, id := range want {
		j := d.own("w")
		same(d.t, "in turn", j.ID, id)
		d.wantNone("while one runs")
		d.finish(end(j, vedette.JobSucceeded))
	}
}

func testOverlapCancel(d *desk) {
	s := d.series()
	first := s.next(limited("s", 1), vedette.Firing{})
	j := d.own("w")
	second := s.next(limited("s", 1), vedette.Firing{Cancel: []vedette.ID{first}})
	d.wantState("the first, until it says so", first, vedette.JobStarted)
	d.wantNone("while the first ends")
	third := s.next(limited("s", 1), vedette.Firing{Cancel: []vedette.ID{first, second}})
	d.wantState("the second, which had not begun", second, vedette.JobCancelled)
	orders := d.beat("w", time.Hour, j.Ref())
	if len(orders) != 1 || orders[0].Ref != j.Ref() || orders[0].Lost || orders[0].Reason == "" {
		d.t.Errorf("orders %+v, want to end it, with a reason", orders)
	}
	d.finish(end(j, vedette.JobCancelled))
	same(d.t, "then", d.own("w").ID, third)
}

func testOverlapTerminate(d *desk) {
	s := d.series()
	first := s.next(unique("s"), vedette.Firing{})
	j := d.own("w")
	second := s.next(unique("s"), vedette.Firing{Terminate: []vedette.ID{first}})
	got := d.wantState("the first, at once", first, vedette.JobCancelled)
	if got.Epoch <= j.Epoch || len(got.Attempts) != 1 || got.FinishedAt.IsZero() {
		d.t.Errorf("terminated: %+v, want an epoch above %d and the attempt", got, j.Epoch)
	}
	same(d.t, "orders", d.beat("w", time.Hour, j.Ref()), []vedette.Order{{Ref: j.Ref(), Lost: true}})
	same(d.t, "its end", d.finished(end(j, vedette.JobSucceeded)), []vedette.Ref{j.Ref()})
	third := s.next(unique("s"), vedette.Firing{Terminate: []vedette.ID{first, second}})
	d.wantState("the second, which had not begun", second, vedette.JobCancelled)
	same(d.t, "then", d.own("w2").ID, third)
}

func testOverlapAllow(d *desk) {
	s := d.series()
	var want []vedette.ID
	for range 3 {
		want = append(want, s.next(func(*vedette.Job) {}, vedette.Firing{}))
	}
	d.beat("w", time.Hour)
	same(d.t, "at once", idsOf(d.claim("w", 5)), want)
}
