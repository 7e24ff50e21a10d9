package storetest

import (
	"time"

	"github.com/vedettehq/vedette"
)

// beatCases hold Beat to its contract.
func beatCases() map[string]func(*desk) {
	return map[string]func(*desk){
		"keeps what its owner holds":             testBeatKeeps,
		"tells what is lost":                     testBeatLost,
		"gives back claims that nobody heard of": testBeatUnheard,
		"spares claims whose answer is coming":   testBeatHeard,
		"never revives an owner":                 testBeatDead,
		"counts its time anew":                   testBeatTime,
	}
}

func testBeatKeeps(d *desk) {
	d.push(d.job(), d.job())
	d.beat("w", d.c.s(6))
	jobs := d.claim("w", 2)
	leader := d.lead()
	for range 4 {
		d.c.wait(d.c.s(2))
		if orders := d.beat("w", d.c.s(6), jobs[0].Ref(), jobs[1].Ref()); len(orders) != 0 {
			d.t.Errorf("orders %+v, want none", orders)
		}
		if got := d.rescue(leader); len(got) != 0 {
			d.t.Fatalf("rescued %v of an owner who beats", idsOf(got))
		}
	}
	d.c.wait(d.c.s(7))
	if got := d.rescue(leader); len(got) != 2 {
		d.t.Errorf("rescued %d of an owner who beats no more, want both", len(got))
	}
}

func testBeatLost(d *desk) {
	d.one()
	theirs := d.own("other")
	done := d.one()
	mine := d.own("w")
	d.finish(end(mine, vedette.JobSucceeded))
	d.one()
	held := d.own("w")
	older := held.Ref()
	older.Epoch--
	unknown := vedette.Ref{Job: d.job().ID, Epoch: 3}
	got := d.beat("w", time.Hour, theirs.Ref(), mine.Ref(), held.Ref(), older, unknown)
	want := map[vedette.Ref]vedette.Order{}
	for _, ref := range []vedette.Ref{theirs.Ref(), mine.Ref(), older, unknown} {
		want[ref] = vedette.Order{Ref: ref, Lost: true}
	}
	byRef := map[vedette.Ref]vedette.Order{}
	for _, o := range got {
		byRef[o.Ref] = o
	}
	same(d.t, "orders", byRef, want)
	d.wantState("another's", theirs.ID, vedette.JobStarted)
	d.wantState("what has ended", done.ID, vedette.JobSucceeded)
}

func testBeatUnheard(d *desk) {
	first := d.one()
	j := d.own("w")
	d.beat("w", time.Hour)
	d.wantState("one beat later, when its answer may be on its way", j.ID, vedette.JobStarted)
	for i := 0; d.get(j.ID).State == vedette.JobStarted; i++ {
		if i == 2 {
			d.t.Fatal("three beats later it is still started, and would be for good")
		}
		d.beat("w", time.Hour)
	}
	got := d.wantState("then", first.ID, vedette.JobPending)
	if got.Attempt != 0 || got.Owner != "" || got.Epoch <= j.Epoch {
		d.t.Errorf("given back: %+v, want no attempt counted, no owner, and an epoch above %d", got, j.Epoch)
	}
	heir := d.own("heir")
	if heir.ID != j.ID || heir.Epoch <= j.Epoch {
		d.t.Errorf("claimed %s of epoch %d, want %s above %d", heir.ID, heir.Epoch, j.ID, j.Epoch)
	}
	same(d.t, "orders when it is heard of after all", d.beat("w", time.Hour, j.Ref()), []vedette.Order{{Ref: j.Ref(), Lost: true}})
	same(d.t, "its end", d.finished(end(j, vedette.JobSucceeded)), []vedette.Ref{j.Ref()})
}

func testBeatHeard(d *desk) {
	d.one()
	old := d.own("w")
	d.beat("w", time.Hour, old.Ref())
	d.one()
	young := d.claim("w", 1)[0]
	d.beat("w", time.Hour, old.Ref()) // sent before the answer to Claim came
	for range 5 {
		if orders := d.beat("w", time.Hour, old.Ref(), young.Ref()); len(orders) != 0 {
			d.t.Fatalf("orders %+v for claims that are held", orders)
		}
	}
	d.finish(end(old, vedette.JobSucceeded), end(young, vedette.JobSucceeded))
}

func testBeatDead(d *desk) {
	d.one(attempts(5))
	d.beat("w", d.c.s(2))
	j := d.claim("w", 1)[0]
	d.c.wait(d.c.s(3))
	revive := func(when string) {
		d.t.Helper()
		_, err := d.s.Queue().Beat(d.t.Context(), "w", time.Hour, j.Ref())
		wantErr(d.t, "Beat "+when, err, vedette.ErrLeaseLost)
		_, err = d.s.Queue().Claim(d.t.Context(), "w", 1, vedette.Want{Queue: "q"})
		wantErr(d.t, "Claim "+when, err, vedette.ErrLeaseLost)
	}
	revive("before the rescue")
	wantJobs(d.t, "rescued", d.rescue(d.lead()), j)
	revive("after the rescue")
	again := d.own("w2")
	revive("when another has its job")
	d.finish(end(again, vedette.JobSucceeded))
	if _, err := d.s.Queue().Retire(d.t.Context(), d.lead(), d.began); err != nil {
		d.t.Fatal(err)
	}
	revive("after old things were retired")
}

func testBeatTime(d *desk) {
	d.beat("w", time.Hour)
	d.beat("w", d.c.s(1))
	d.c.wait(d.c.s(2))
	_, err := d.s.Queue().Beat(d.t.Context(), "w", time.Hour)
	wantErr(d.t, "Beat after a shorter time ran out", err, vedette.ErrLeaseLost)
	if _, err := d.s.Queue().Beat(ended(d.t), "x", time.Hour); err == nil {
		d.t.Error("Beat in a context that has ended says that it did")
	}
	_, err = d.s.Queue().Claim(d.t.Context(), "x", 1, vedette.Want{Queue: "q"})
	wantErr(d.t, "Claim after it", err, vedette.ErrLeaseLost)
}
