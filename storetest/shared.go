package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// A pair is two stores opened on the same data, as two processes have it.
type pair struct{ a, b *desk }

// TestQueueShared holds two stores to what they promise together: what one does counts in the other, and
// wakes who waits there. Each call of open returns a pair, opened on data of its own, which it closes with
// the test.
func TestQueueShared(t *testing.T, c Clock, open func(t *testing.T) (a, b QueueStore)) {
	for name, test := range map[string]func(*testing.T, pair){
		"a push wakes who waits elsewhere":                       testSharedPush,
		"a slot that frees wakes who waits elsewhere":            testSharedSlot,
		"a job is finished where it was not claimed":             testSharedFinish,
		"an owner beats where it does not claim":                 testSharedBeat,
		"a pause holds elsewhere, and its end wakes":             testSharedPause,
		"a cancel reaches the owner elsewhere":                   testSharedCancel,
		"a rescue ends what is claimed elsewhere":                testSharedRescue,
		"a key is taken elsewhere, too":                          testSharedUnique,
		"an entry wakes who reads elsewhere":                     testSharedFeed,
		"a change of a scraper is seen elsewhere":                testSharedScraper,
		"claimers of both have each job once":                    testSharedRace,
		"nothing urgent that is pushed elsewhere is passed over": func(_ *testing.T, p pair) { p.a.invert(p.b) },
	} {
		t.Run(name, func(t *testing.T) {
			c.run(t, func(t *testing.T) {
				a, b := open(t)
				test(t, pair{newDesk(t, c, a), newDesk(t, c, b)})
			})
		})
	}
}

func testSharedPush(_ *testing.T, p pair) {
	for _, owner := range []string{"v", "w", "x"} { // who begins to listen looks once more, and could find the first so
		w := p.a.wait(owner)
		at := time.Now()
		p.a.wantWoken("a push elsewhere", w, at, p.b.one().ID)
	}
	due := p.b.one(func(j *vedette.Job) { j.RunAt = p.b.now().Add(p.b.c.s(3)) })
	ready := time.Now().Add(due.RunAt.Sub(p.b.now()))
	w := p.a.begin("y")
	p.a.wantWoken("what was pushed elsewhere and comes due", w, ready, due.ID)
}

func testSharedSlot(_ *testing.T, p pair) {
	p.a.one(limited("k", 1))
	held := p.b.one(limited("k", 1))
	j := p.a.own("a")
	w := p.b.wait("b")
	at := time.Now()
	p.a.finish(end(j, vedette.JobSucceeded))
	p.b.wantWoken("a slot that was freed elsewhere", w, at, held.ID)
}

func testSharedFinish(_ *testing.T, p pair) {
	p.a.one()
	j := p.a.own("a")
	p.b.finish(end(j, vedette.JobSucceeded))
	got := p.a.wantState("finished elsewhere", j.ID, vedette.JobSucceeded)
	if got.Owner != "a" || got.Attempt != 1 {
		p.a.t.Errorf("finished elsewhere: %+v, want the first attempt of a", got)
	}
	p.a.finish(end(j, vedette.JobSucceeded))
	same(p.a.t, "another end, said here", p.a.finished(end(j, vedette.JobFailed)), []vedette.Ref{j.Ref()})
}

func testSharedBeat(t *testing.T, p pair) {
	p.a.beat("w", time.Hour)
	p.b.one(attempts(3))
	j := p.b.claim("w", 1)[0]
	for range 4 {
		if orders := p.a.beat("w", time.Hour, j.Ref()); len(orders) > 0 {
			t.Fatalf("orders %+v for what was claimed elsewhere, and is held", orders)
		}
	}
	for range 3 {
		p.a.beat("w", time.Hour)
	}
	p.b.wantState("not held in three beats elsewhere", j.ID, vedette.JobPending)
	same(t, "orders", p.b.beat("w", time.Hour, j.Ref()), []vedette.Order{{Ref: j.Ref(), Lost: true}})
	p.a.lose("w")
	_, err := p.b.s.Queue().Claim(t.Context(), "w", 1, vedette.Want{Queue: "q"})
	wantErr(t, "Claim of who was lost elsewhere", err, vedette.ErrLeaseLost)
}

func testSharedPause(t *testing.T, p pair) {
	p.b.one()
	p.b.own("w") // which is to find the queue open
	if err := p.a.s.Queues().Pause(t.Context(), "q"); err != nil {
		t.Fatal(err)
	}
	j := p.b.one()
	if got := p.b.queues()["q"]; !got.Paused {
		t.Errorf("%+v, want it paused elsewhere", got)
	}
	p.b.wantNone("a queue that is paused elsewhere")
	w := p.b.wait("w")
	at := time.Now()
	if err := p.a.s.Queues().Resume(t.Context(), "q"); err != nil {
		t.Fatal(err)
	}
	p.b.wantWoken("Resume elsewhere", w, at, j.ID)
}

func testSharedCancel(t *testing.T, p pair) {
	p.a.one()
	j := p.a.own("w")
	p.b.cancel("enough", j.ID)
	same(t, "orders", p.a.beat("w", time.Hour, j.Ref()), []vedette.Order{{Ref: j.Ref(), Reason: "enough"}})
	p.a.finish(end(j, vedette.JobCancelled))
	p.b.wantState("ended by its owner elsewhere", j.ID, vedette.JobCancelled)
}

func testSharedRescue(_ *testing.T, p pair) {
	p.a.one(attempts(2))
	j := p.a.own("lost")
	w := p.a.wait("w")
	p.a.lose("lost")
	at := time.Now()
	wantJobs(p.b.t, "rescued", p.b.rescue(p.b.lead()), j)
	p.a.wantWoken("a rescue elsewhere", w, at, j.ID)
	same(p.a.t, "the end of the claim before", p.a.finished(end(j, vedette.JobSucceeded)), []vedette.Ref{j.Ref()})
}

func testSharedUnique(t *testing.T, p pair) {
	p.a.one(unique("k"))
	second := p.b.job(unique("k"))
	same(t, "refused", p.b.pushed(second), []vedette.ID{second.ID})
	j := p.b.own("w")
	p.b.finish(end(j, vedette.JobSucceeded))
	p.a.one(unique("k"))
}

func testSharedFeed(t *testing.T, p pair) {
	for i := range 3 {
		var at time.Time
		var got []vedette.Entry
		var reads sync.WaitGroup
		reads.Go(func() {
			var err error
			if got, err = p.a.s.Feed().Read(t.Context(), "t", int64(i), 9); err != nil {
				t.Errorf("Read: %v", err)
			}
			at = time.Now()
		})
		p.a.c.settle()
		began := time.Now()
		p.b.append(entry("t", i))
		reads.Wait()
		p.a.wantEntries("appended elsewhere", got, int64(i+1), entry("t", i))
		if took := at.Sub(began); took > p.a.c.soon() {
			t.Errorf("an entry that was appended elsewhere was read after %v", took)
		}
	}
}

func testSharedScraper(t *testing.T, p pair) {
	var at time.Time
	var now []vedette.Scraper
	var reads sync.WaitGroup
	reads.Go(func() {
		var err error
		if now, _, _, err = p.a.s.Scrapers().Changes(t.Context(), 0); err != nil {
			t.Errorf("Changes: %v", err)
		}
		at = time.Now()
	})
	p.a.c.settle()
	began := time.Now()
	if err := p.b.s.Scrapers().Put(t.Context(), vedette.Scraper{ID: "s"}); err != nil {
		t.Fatal(err)
	}
	reads.Wait()
	if len(now) != 1 || now[0].ID != "s" || at.Sub(began) > p.a.c.soon() {
		t.Errorf("after %v: %+v, want what was put elsewhere", at.Sub(began), now)
	}
}

func testSharedRace(t *testing.T, p pair) {
	const n = 600
	var mu sync.Mutex
	had := map[vedette.ID]int{}
	var all []vedette.Job
	for range n {
		all = append(all, p.a.job())
	}
	p.a.push(all[:n/2]...)
	p.b.push(all[n/2:]...)
	var crowds sync.WaitGroup
	for _, d := range []*desk{p.a, p.b} {
		crowds.Go(func() {
			d.crowd(8, 3, func(j vedette.Job) {
				mu.Lock()
				defer mu.Unlock()
				had[j.ID]++
			})
		})
	}
	crowds.Wait()
	for id, times := range had {
		if times > 1 {
			t.Errorf("%s was claimed %d times", id, times)
		}
	}
	if len(had) != n {
		t.Errorf("%d of %d jobs were claimed", len(had), n)
	}
}
