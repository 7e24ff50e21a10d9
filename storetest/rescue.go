package storetest

import (
	"time"

	"github.com/vedettehq/vedette"
)

// rescueCases hold Rescue and Retire to their contract.
func rescueCases() map[string]func(*desk) {
	return map[string]func(*desk){
		"lets run again what lost its worker":    testRescue,
		"buries what has no attempts left":       testRescueDead,
		"believes an owner until it was rescued": testRescueLate,
		"leaves alone who lives":                 testRescueLiving,
		"works for who leads alone":              testRescueFenced,
		"retires by time":                        testRetireTime,
		"retires by count":                       testRetireKeep,
		"retires in bounded pieces":              testRetireMany,
		"retires logs and items with their job":  testRetireTopics,
	}
}

func testRescue(d *desk) {
	first := d.one(attempts(3), run(0, d.began.Add(-time.Hour)))
	j := d.own("w")
	d.one(run(0, d.began))
	d.lose("w")
	d.wantState("before the rescue", j.ID, vedette.JobStarted)
	rescued := d.rescue(d.lead())
	wantJobs(d.t, "rescued", rescued, j)
	got := d.wantState("rescued", j.ID, vedette.JobPending)
	if got.Attempt != 1 || got.Epoch <= j.Epoch || got.Owner != "" || got.Error == "" || !got.RunAt.Equal(first.RunAt) {
		d.t.Errorf("rescued: %+v, want its attempt counted, an epoch above %d, why, and its old place", got, j.Epoch)
	}
	if rescued[0].State != got.State || rescued[0].Epoch != got.Epoch {
		d.t.Errorf("Rescue returned %+v, want it as it is now", rescued[0])
	}
	if len(got.Attempts) != 1 || got.Attempts[0].Epoch != j.Epoch || got.Attempts[0].Owner != "w" || got.Attempts[0].State != vedette.JobPending || got.Attempts[0].Error == "" {
		d.t.Errorf("attempts %+v, want the one that was lost", got.Attempts)
	}
	if again := d.own("w2"); again.ID != j.ID || again.Attempt != 2 {
		d.t.Errorf("claimed %s, attempt %d; want the one rescued, which is the oldest, attempt 2", again.ID, again.Attempt)
	}
	if got := d.rescue(d.lead()); len(got) != 0 {
		d.t.Errorf("rescued again: %v", idsOf(got))
	}
}

func testRescueDead(d *desk) {
	d.one(attempts(2), unique("k"))
	for _, want := range []vedette.JobState{vedette.JobPending, vedette.JobDead} {
		j := d.own("owner until " + string(want))
		d.lose(j.Owner)
		wantJobs(d.t, "rescued", d.rescue(d.lead()), j)
		got := d.wantState("its worker lost", j.ID, want)
		if last := got.Attempts[len(got.Attempts)-1]; last.State != want || last.Epoch != j.Epoch {
			d.t.Errorf("last attempt %+v, want %s", last, want)
		}
	}
	d.one(unique("k"))
}

func testRescueLate(d *desk) {
	d.one()
	j := d.own("w")
	d.lose("w")
	d.finish(end(j, vedette.JobSucceeded))
	if got := d.rescue(d.lead()); len(got) != 0 {
		d.t.Errorf("rescued %v, which its owner had finished", idsOf(got))
	}
	d.wantState("finished by an owner whose time ran out, before anybody took it", j.ID, vedette.JobSucceeded)
}

func testRescueLiving(d *desk) {
	d.push(d.job(), d.job())
	lost, living := d.own("lost"), d.own("living")
	waiting := d.one()
	d.lose("lost")
	wantJobs(d.t, "rescued", d.rescue(d.lead()), lost)
	d.wantState("of who lives", living.ID, vedette.JobStarted)
	d.wantState("of nobody", waiting.ID, vedette.JobPending)
}

// testRescueFenced lets a leader act after its lease was another's, which it cannot know.
func testRescueFenced(d *desk) {
	d.one()
	j := d.own("w")
	d.lose("w")
	done := d.one(func(j *vedette.Job) { j.Queue = "done" })
	d.finish(end(d.own("w2", "done"), vedette.JobSucceeded))
	for what, leader := range d.deposed() {
		got, err := d.s.Queue().Rescue(d.t.Context(), leader)
		wantErr(d.t, "Rescue by "+what, err, vedette.ErrLeaseLost)
		same(d.t, "rescued by "+what, idsOf(got), nil)
		_, err = d.s.Queue().Retire(d.t.Context(), leader, d.now().Add(time.Hour))
		wantErr(d.t, "Retire by "+what, err, vedette.ErrLeaseLost)
	}
	d.wantState("what was to be rescued", j.ID, vedette.JobStarted)
	d.wantState("what was to be retired", done.ID, vedette.JobSucceeded)
	leader := d.lead()
	if _, err := d.s.Queue().Rescue(ended(d.t), leader); err == nil {
		d.t.Error("Rescue in a context that has ended says that it did")
	}
	wantJobs(d.t, "rescued by who leads", d.rescue(leader), j)
}

// deposed returns leases that are not held, though their holders may think so.
func (d *desk) deposed() map[string]vedette.Lease {
	d.t.Helper()
	l := d.s.Leases()
	older := d.lead()
	if err := l.Release(d.t.Context(), older); err != nil {
		d.t.Fatal(err)
	}
	over := acquire(d.t, l, "paused", d.c.s(1), "leader")[0]
	d.c.wait(d.c.s(2))
	stolen := acquire(d.t, l, "successor", time.Hour, "leader")[0]
	resigned := acquire(d.t, l, "resigned", time.Hour, "other")[0]
	if err := l.Release(d.t.Context(), resigned, stolen); err != nil {
		d.t.Fatal(err)
	}
	again := d.lead()
	forged := again
	forged.Owner = "forger"
	return map[string]vedette.Lease{
		"a paused first leader":   over,
		"its own former self":     older,
		"one that resigned":       resigned,
		"one that was succeeded":  stolen,
		"one of another's token":  forged,
		"one of no lease":         {},
		"one of an unknown lease": {Name: "unknown", Owner: "leader", Token: again.Token, Expires: again.Expires},
	}
}

// retire drops all that is to be dropped.
func (d *desk) retire(before time.Time) {
	d.t.Helper()
	leader := d.lead()
	for range 100 {
		more, err := d.s.Queue().Retire(d.t.Context(), leader, before)
		if err != nil {
			d.t.Fatalf("Retire: %v", err)
		}
		if !more {
			return
		}
	}
	d.t.Fatal("Retire always has more to do")
}

// past pushes a job and ends it.
func (d *desk) past(change ...func(*vedette.Job)) vedette.Job {
	d.t.Helper()
	d.push(d.job(append(change, func(j *vedette.Job) { j.Queue = "past" })...))
	j := d.own("historian", "past")
	d.finish(end(j, vedette.JobSucceeded))
	return j
}

func testRetireTime(d *desk) {
	old, live := d.past(), d.one(run(0, d.began.Add(-time.Hour)))
	fire := d.past(firedAt("s", d.began))
	d.c.wait(d.c.s(1))
	at := d.now()
	d.c.wait(d.c.s(1))
	young := d.past(func(j *vedette.Job) { j.RunAt = d.began.Add(-time.Hour) })
	d.retire(d.began.Add(-time.Hour))
	same(d.t, "before anything was old", len(d.pages(vedette.Job{}, 10)), 4)
	d.retire(at)
	same(d.t, "what is left", d.pages(vedette.Job{}, 10), []vedette.ID{young.ID, live.ID})
	_, err := d.s.Jobs().Get(d.t.Context(), old.ID)
	wantErr(d.t, "Get of what was retired", err, vedette.ErrNotFound)
	same(d.t, "the end of what was retired", d.finished(end(fire, vedette.JobFailed)), []vedette.Ref{fire.Ref()})
}

func testRetireKeep(d *desk) {
	of := func(s vedette.ScraperID, keep int) func(*vedette.Job) {
		return func(j *vedette.Job) { j.Scraper, j.Keep = s, keep }
	}
	var want []vedette.ID
	for i := range 5 {
		a, b, all := d.past(of("a", 9)), d.past(of("b", 2)), d.past(of("all", 0))
		if i >= 3 {
			want = append(want, b.ID)
		}
		want = append(want, all.ID, a.ID)
		d.past()
	}
	live := d.one(of("a", 3))
	d.retire(time.Time{})
	got := map[vedette.ScraperID]int{}
	for _, s := range []vedette.ScraperID{"a", "b", "all"} {
		got[s] = len(d.pages(vedette.Job{Scraper: s}, 3))
	}
	same(d.t, "runs by scraper: 3 and a live one, 2, and all", got, map[vedette.ScraperID]int{"a": 4, "b": 2, "all": 5})
	same(d.t, "of b the newest", d.pages(vedette.Job{Scraper: "b"}, 3), []vedette.ID{want[len(want)-3], want[len(want)-6]})
	same(d.t, "of nobody", len(d.pages(vedette.Job{Queue: "past"}, 9)), 3+2+5+5)
	d.wantState("live", live.ID, vedette.JobPending)
}

func testRetireMany(d *desk) {
	const n = 3000
	jobs := make([]vedette.Job, n)
	for i := range jobs {
		jobs[i] = d.job()
	}
	d.push(jobs...)
	d.beat("w", time.Hour)
	for left := n; left > 0; {
		claimed := d.claim("w", 500)
		ends := make([]vedette.End, len(claimed))
		for i, j := range claimed {
			ends[i] = end(j, vedette.JobSucceeded)
		}
		d.finish(ends...)
		left -= len(claimed)
	}
	d.retire(d.now().Add(time.Hour))
	same(d.t, "what is left", len(d.pages(vedette.Job{}, 1000)), 0)
}

func testRetireTopics(d *desk) {
	old := d.past()
	d.c.wait(d.c.s(1))
	at := d.now()
	d.c.wait(d.c.s(1))
	young := d.past()
	for _, j := range []vedette.Job{old, young} {
		d.append(entry(vedette.LogTopic(j.ID), 1), entry(vedette.ItemsTopic(j.ID), 2))
	}
	d.append(entry("news", 3))
	d.retire(at)
	for topic, want := range map[string]int{
		vedette.LogTopic(old.ID): 0, vedette.ItemsTopic(old.ID): 0,
		vedette.LogTopic(young.ID): 1, vedette.ItemsTopic(young.ID): 1, "news": 1,
	} {
		page, err := d.s.Feed().Last(d.t.Context(), topic, 9)
		if err != nil || len(page) != want {
			d.t.Errorf("Last of %s: %d entries, %v; want %d", topic, len(page), err, want)
		}
	}
}
