package storetest

import (
	"slices"
	"time"

	"github.com/vedettehq/vedette"
)

// jobCases hold Jobs to its contract.
func jobCases() map[string]func(*desk) {
	return map[string]func(*desk){
		"keeps what is pushed":                  testPushKeeps,
		"knows what was pushed before":          testPushKnown,
		"pushes all or none":                    testPushAllOrNone,
		"refuses what makes no sense":           testPushRefuses,
		"does nothing in a context that ended":  testPushEnded,
		"shares no memory of jobs":              testJobSharing,
		"lists what agrees, in pages":           testJobPages,
		"counts what its queues hold":           testQueueStates,
		"says that it knows no such job":        testUnknownJob,
		"knows what is due from what is not":    testDue,
		"ignores what is the queue's to decide": testPushIgnores,
	}
}

func fullJob(d *desk) vedette.Job {
	return d.job(func(j *vedette.Job) {
		j.Scraper, j.Handler, j.Params, j.Queue = "shop/prices", "prices", vedette.Raw(`{"shop":1}`), "slow"
		j.Priority, j.FireAt, j.Fired = -7, d.began.Add(-time.Hour), true
		j.Timeout, j.MaxAttempts, j.RetryAfter, j.Keep = time.Hour, 3, time.Minute, 50
		j.Unique, j.UniqueWaiting = "shop/prices", "shop/prices/next"
		j.LimitKey, j.Limit = "shop", 2
		j.RateKey, j.RateEvery, j.RateBurst = "example.com", time.Second, 5
		j.RunAt = d.began.Add(-time.Minute)
	})
}

func testPushKeeps(d *desk) {
	want := fullJob(d)
	d.push(want)
	got := d.get(want.ID)
	if got.CreatedAt.Before(d.began) || got.CreatedAt.After(d.now()) {
		d.t.Errorf("created at %v, want the store's time, %v", got.CreatedAt, d.began)
	}
	want.State, want.CreatedAt = vedette.JobPending, got.CreatedAt
	same(d.t, "what was pushed", got, want)

	plain := d.one(func(j *vedette.Job) { j.Queue = "" })
	got = d.get(plain.ID)
	if got.Queue != vedette.DefaultQueue || got.MaxAttempts != 1 || !got.RunAt.Equal(got.CreatedAt) {
		d.t.Errorf("queue %q, %d attempts, run at %v; want the default queue, one attempt, and at once (%v)",
			got.Queue, got.MaxAttempts, got.RunAt, got.CreatedAt)
	}
}

func testPushIgnores(d *desk) {
	want := d.one(func(j *vedette.Job) {
		j.State, j.Epoch, j.Attempt, j.Owner, j.Cancel = vedette.JobDead, 7, 7, "me", "why not"
		j.Result, j.Error, j.CreatedAt = "42", "wrong", d.began.Add(-time.Hour)
		j.StartedAt, j.BeatAt, j.FinishedAt = d.began, d.began, d.began
		j.Attempts = []vedette.Attempt{{Epoch: 7}}
	})
	got := d.get(want.ID)
	clean := vedette.Job{
		ID: want.ID, Handler: "h", Queue: "q", MaxAttempts: 1, State: vedette.JobPending,
		CreatedAt: got.CreatedAt, RunAt: got.RunAt,
	}
	same(d.t, "what was pushed with a life of its own", got, clean)
	if got.CreatedAt.Before(d.began) {
		d.t.Errorf("created at %v, as its pusher said", got.CreatedAt)
	}
}

func testPushKnown(d *desk) {
	first := d.one(func(j *vedette.Job) { j.Result = "first" })
	again := first
	again.Handler, again.Queue = "other", "other"
	d.push(again, d.job(), again)
	if got := d.get(first.ID); got.Handler != "h" || got.Queue != "q" {
		d.t.Errorf("the second Push of an ID changed it: %+v", got)
	}
	j := d.own("a")
	d.finish(end(j, vedette.JobSucceeded))
	d.push(first)
	d.wantState("a Push of what has ended", first.ID, vedette.JobSucceeded)
}

func testPushAllOrNone(d *desk) {
	good, bad, behind := d.job(), d.job(func(j *vedette.Job) { j.Handler = "" }), d.job()
	_, err := d.s.Jobs().Push(d.t.Context(), good, bad, behind)
	wantErr(d.t, "Push with a bad one in the middle", err, vedette.ErrRefused)
	for _, j := range []vedette.Job{good, behind} {
		_, err := d.s.Jobs().Get(d.t.Context(), j.ID)
		wantErr(d.t, "Get of what came with a bad one", err, vedette.ErrNotFound)
	}
	d.wantNone("after a Push that was refused")
}

func testPushRefuses(d *desk) {
	for what, change := range map[string]func(*vedette.Job){
		"no id":                       func(j *vedette.Job) { j.ID = vedette.ID{} },
		"no handler":                  func(j *vedette.Job) { j.Handler = "" },
		"params that are not JSON":    func(j *vedette.Job) { j.Params = vedette.Raw(`{`) },
		"fired by nobody":             func(j *vedette.Job) { j.Fired, j.FireAt = true, d.began },
		"fired for no time":           func(j *vedette.Job) { j.Fired, j.Scraper = true, "s" },
		"a limit without a key":       func(j *vedette.Job) { j.Limit = 1 },
		"a rate without a key":        func(j *vedette.Job) { j.RateEvery = time.Second },
		"attempts below 0":            func(j *vedette.Job) { j.MaxAttempts = -1 },
		"a limit below 0":             func(j *vedette.Job) { j.Limit, j.LimitKey = -1, "k" },
		"a time between starts below": func(j *vedette.Job) { j.RateEvery, j.RateKey = -1, "k" },
	} {
		_, err := d.s.Jobs().Push(d.t.Context(), d.job(change))
		wantErr(d.t, what, err, vedette.ErrRefused)
	}
}

func testPushEnded(d *desk) {
	j := d.job()
	if _, err := d.s.Jobs().Push(ended(d.t), j); err == nil {
		d.t.Error("Push in a context that has ended says that it did")
	}
	_, err := d.s.Jobs().Get(d.t.Context(), j.ID)
	wantErr(d.t, "Get of it", err, vedette.ErrNotFound)
	d.push(j)
	if err := d.s.Jobs().Cancel(ended(d.t), "", j.ID); err == nil {
		d.t.Error("Cancel in a context that has ended says that it did")
	}
	d.wantState("not cancelled", j.ID, vedette.JobPending)
}

func testJobSharing(d *desk) {
	j := d.job(func(j *vedette.Job) { j.Params = vedette.Raw(`{"a":1}`) })
	d.push(j)
	j.Params[2] = 'x'
	got := d.get(j.ID)
	got.Params[2] = 'y'
	claimed := d.own("a")
	claimed.Params[2] = 'z'
	same(d.t, "after its holders changed their copies", string(d.get(j.ID).Params), `{"a":1}`)
}

func testUnknownJob(d *desk) {
	_, err := d.s.Jobs().Get(d.t.Context(), d.job().ID)
	wantErr(d.t, "Get of an unknown job", err, vedette.ErrNotFound)
	d.cancel("no reason", d.job().ID)
}

func testJobPages(d *desk) {
	var all []vedette.Job
	for i := range 23 {
		all = append(all, d.job(func(j *vedette.Job) {
			j.Scraper, j.Handler, j.Queue = numbered[vedette.ScraperID](i%3), string(numbered[vedette.ScraperID](i%2)), "q"
		}))
	}
	all[22].Queue, all[22].RunAt = "other", d.began.Add(time.Hour)
	d.push(all...)
	owned := d.own("a")
	for what, c := range map[string]struct {
		like vedette.Job
		want func(vedette.Job) bool
	}{
		"all":           {vedette.Job{}, func(vedette.Job) bool { return true }},
		"of a scraper":  {vedette.Job{Scraper: "shop/00001"}, func(j vedette.Job) bool { return j.Scraper == "shop/00001" }},
		"of a handler":  {vedette.Job{Handler: "shop/00001"}, func(j vedette.Job) bool { return j.Handler == "shop/00001" }},
		"of a queue":    {vedette.Job{Queue: "other"}, func(j vedette.Job) bool { return j.Queue == "other" }},
		"scheduled":     {vedette.Job{State: vedette.JobScheduled}, func(j vedette.Job) bool { return j.ID == all[22].ID }},
		"of an owner":   {vedette.Job{Owner: "a"}, func(j vedette.Job) bool { return j.ID == owned.ID }},
		"of both":       {vedette.Job{Scraper: "shop/00001", Queue: "other"}, func(j vedette.Job) bool { return j.ID == all[22].ID }},
		"pending of an": {vedette.Job{Owner: "a", State: vedette.JobPending}, func(vedette.Job) bool { return false }},
	} {
		var want []vedette.ID
		for _, j := range slices.Backward(all) {
			if c.want(j) {
				want = append(want, j.ID)
			}
		}
		same(d.t, what, d.pages(c.like, 5), want)
	}
}

// pages reads all jobs that agree with like, n at a time.
func (d *desk) pages(like vedette.Job, n int) []vedette.ID {
	d.t.Helper()
	var all []vedette.ID
	for before := (vedette.ID{}); ; before = all[len(all)-1] {
		page, err := d.s.Jobs().List(d.t.Context(), like, before, n)
		if err != nil || len(page) > n {
			d.t.Fatalf("List of %d: %d jobs, %v", n, len(page), err)
		}
		all = append(all, idsOf(page)...)
		if len(page) < n {
			return all
		}
	}
}

func (d *desk) queues() map[string]vedette.QueueState {
	d.t.Helper()
	list, err := d.s.Jobs().Queues(d.t.Context())
	if err != nil {
		d.t.Fatalf("Queues: %v", err)
	}
	byName, last := map[string]vedette.QueueState{}, ""
	for _, s := range list {
		if s.Name <= last {
			d.t.Errorf("queue %q behind %q", s.Name, last)
		}
		byName[s.Name], last = s, s.Name
	}
	return byName
}

func testQueueStates(d *desk) {
	if got := d.queues(); len(got) != 0 {
		d.t.Errorf("queues of an empty store: %+v", got)
	}
	at := func(n int) time.Time { return d.began.Add(time.Duration(n) * time.Hour) }
	kind := func(p int, at time.Time) func(*vedette.Job) {
		return func(j *vedette.Job) { j.Priority, j.RunAt = p, at }
	}
	limited := func(j *vedette.Job) { j.Queue, j.LimitKey, j.Limit = "held", "k", 1 }
	d.push(d.job(kind(0, at(-4))), d.job(kind(0, at(-2))), d.job(kind(2, at(-3))), d.job(kind(2, at(1))),
		d.job(limited), d.job(limited), d.job(limited))
	d.own("a", "q")
	first := d.own("b", "held")
	if err := d.s.Queues().Pause(d.t.Context(), "idle", "held"); err != nil {
		d.t.Fatal(err)
	}
	want := map[string]vedette.QueueState{
		"held": {Name: "held", Paused: true, Held: 2, Started: 1},
		"idle": {Name: "idle", Paused: true},
		"q":    {Name: "q", Ready: map[int]int{0: 1, 2: 1}, Scheduled: 1, Started: 1, Oldest: at(-3)},
	}
	same(d.t, "queues", d.queues(), want)
	d.finish(end(first, vedette.JobSucceeded))
	got := d.queues()["held"]
	if got.Ready[0] != 2 || got.Held != 0 || got.Started != 0 {
		d.t.Errorf("when the limit is not reached any more: %+v, want 2 ready", got)
	}
}

func testDue(d *desk) {
	j := d.one(func(j *vedette.Job) { j.RunAt = d.now().Add(d.c.s(2)) })
	d.wantState("before it is due", j.ID, vedette.JobScheduled)
	if got := d.queues()["q"]; got.Scheduled != 1 {
		d.t.Errorf("before it is due: %+v, want one scheduled", got)
	}
	d.c.wait(d.c.s(3))
	d.wantState("when it is due", j.ID, vedette.JobPending)
	if got := d.queues()["q"]; got.Ready[0] != 1 || got.Scheduled != 0 || !got.Oldest.Equal(j.RunAt) {
		d.t.Errorf("when it is due: %+v, want one ready since %v", got, j.RunAt)
	}
	same(d.t, "listed as pending", d.pages(vedette.Job{State: vedette.JobPending}, 5), []vedette.ID{j.ID})
}
