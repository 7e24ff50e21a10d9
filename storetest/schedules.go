package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vedettehq/vedette"
)

// scheduleCases hold Schedules to its contract.
func scheduleCases() map[string]func(*desk) {
	return map[string]func(*desk){
		"keeps cursors":                         testCursor,
		"moves a cursor from where it was read": testFireFrom,
		"fires each whole or not at all":        testFireWhole,
		"fires for who leads alone":             testFireFenced,
		"drops a cursor":                        testCursorDrop,
		"lists cursors in pages":                testCursorPages,
		"says what is due and what is next":     testCursorDue,
		"says what lives of each that is due":   testCursorLive,
		"fires once for two leaders":            testFireRace,
		"refuses runs that make no sense":       testFireRefuses,
		"counts runs that it may not make":      testFireSkips,
	}
}

func (d *desk) fire(leader vedette.Lease, f ...vedette.Firing) {
	d.t.Helper()
	if err := d.s.Schedules().Fire(d.t.Context(), leader, f...); err != nil {
		d.t.Fatalf("Fire: %v", err)
	}
}

// cursors returns all, by scraper.
func (d *desk) cursors() map[vedette.ScraperID]vedette.Cursor {
	d.t.Helper()
	page, err := d.s.Schedules().List(d.t.Context(), "", 1000)
	if err != nil {
		d.t.Fatalf("List: %v", err)
	}
	all := map[vedette.ScraperID]vedette.Cursor{}
	for _, c := range page {
		all[c.Scraper] = c
	}
	return all
}

func (d *desk) due(n int) ([]vedette.Cursor, time.Time) {
	d.t.Helper()
	due, next, err := d.s.Schedules().Due(d.t.Context(), n)
	if err != nil {
		d.t.Fatalf("Due: %v", err)
	}
	return due, next
}

// cursorAt returns a firing that keeps a first cursor.
func cursorAt(s vedette.ScraperID, at time.Time) vedette.Firing {
	return vedette.Firing{Scraper: s, Now: vedette.Cursor{Scraper: s, Version: 1, At: at}}
}

// moveOn returns a firing that moves c on by d.
func moveOn(c vedette.Cursor, by time.Duration, push ...vedette.Job) vedette.Firing {
	next := c
	next.At, next.Last = c.At.Add(by), c.At
	return vedette.Firing{Scraper: c.Scraper, Was: c, Now: next, Push: push}
}

func testCursor(d *desk) {
	want := vedette.Cursor{
		Scraper: "s", Version: 3, At: d.began.Add(time.Hour), Last: d.began.Add(-time.Hour), Skipped: 5, Dropped: 7,
		Since: d.began.Add(-2 * time.Hour), Failed: vedette.NewID(d.began),
	}
	d.fire(d.lead(), vedette.Firing{Scraper: "s", Now: want})
	same(d.t, "kept", d.cursors()["s"], want)
	never := vedette.Cursor{Scraper: "never", Version: 1}
	d.fire(d.lead(), vedette.Firing{Scraper: "never", Now: never})
	same(d.t, "never due", d.cursors()["never"], never)
	due, next := d.due(5)
	if len(due) != 0 || !next.Equal(want.At) {
		d.t.Errorf("due %+v, next %v; want none, and %v", due, next, want.At)
	}
}

func testFireFrom(d *desk) {
	leader := d.lead()
	d.fire(leader, cursorAt("s", d.began))
	first := d.cursors()["s"]
	for what, change := range map[string]func(*vedette.Cursor){
		"another time":    func(c *vedette.Cursor) { c.At = c.At.Add(time.Microsecond) },
		"another version": func(c *vedette.Cursor) { c.Version++ },
		"not kept yet":    func(c *vedette.Cursor) { *c = vedette.Cursor{} },
	} {
		was, j := first, d.job()
		change(&was)
		f := moveOn(first, time.Minute, j)
		f.Was = was
		d.fire(leader, f)
		same(d.t, what, d.cursors()["s"], first)
		_, err := d.s.Jobs().Get(d.t.Context(), j.ID)
		wantErr(d.t, what+": its run", err, vedette.ErrNotFound)
	}
	loose := first
	loose.Last, loose.Skipped, loose.Dropped = d.began, 7, 7
	j := d.job()
	f := moveOn(first, time.Minute, j)
	f.Was = loose
	d.fire(leader, f)
	same(d.t, "from the same version and time", d.cursors()["s"], f.Now)
	d.wantState("its run", j.ID, vedette.JobPending)
}

// testFireWhole fires three of which the middle one comes too late.
func testFireWhole(d *desk) {
	leader := d.lead()
	d.fire(leader, cursorAt("a", d.began), cursorAt("b", d.began), cursorAt("c", d.began))
	at := d.cursors()
	victim := d.one()
	d.fire(leader, moveOn(at["b"], time.Minute))
	var f []vedette.Firing
	var jobs []vedette.Job
	for _, s := range []vedette.ScraperID{"a", "b", "c"} {
		jobs = append(jobs, d.job(firedAt(s, d.began)), d.job())
		f = append(f, moveOn(at[s], time.Hour, jobs[len(jobs)-2:]...))
	}
	f[1].Cancel = []vedette.ID{victim.ID}
	d.fire(leader, f...)
	now := d.cursors()
	same(d.t, "a", now["a"], f[0].Now)
	same(d.t, "b, which was moved before", now["b"].At, d.began.Add(time.Minute))
	same(d.t, "c", now["c"], f[2].Now)
	d.wantState("what the one left out was to cancel", victim.ID, vedette.JobPending)
	same(d.t, "jobs", d.pages(vedette.Job{}, 10), []vedette.ID{jobs[5].ID, jobs[4].ID, jobs[1].ID, jobs[0].ID, victim.ID})
}

func testFireFenced(d *desk) {
	j := d.job()
	running := d.one()
	d.own("w")
	for what, leader := range d.deposed() {
		f := cursorAt("s", d.began)
		f.Push, f.Cancel, f.Terminate = []vedette.Job{j}, []vedette.ID{running.ID}, []vedette.ID{running.ID}
		wantErr(d.t, "Fire by "+what, d.s.Schedules().Fire(d.t.Context(), leader, f), vedette.ErrLeaseLost)
	}
	same(d.t, "cursors", d.cursors(), nil)
	same(d.t, "jobs", d.pages(vedette.Job{}, 5), []vedette.ID{running.ID})
	if got := d.get(running.ID); got.State != vedette.JobStarted || got.Cancel != "" {
		d.t.Errorf("what runs: %+v", got)
	}
	if err := d.s.Schedules().Fire(ended(d.t), d.lead(), cursorAt("s", d.began)); err == nil {
		d.t.Error("Fire in a context that has ended says that it did")
	}
	same(d.t, "cursors after it", d.cursors(), nil)
}

func testCursorDrop(d *desk) {
	leader := d.lead()
	d.fire(leader, cursorAt("s", d.began), cursorAt("t", d.began))
	d.fire(leader, vedette.Firing{Scraper: "s", Was: d.cursors()["s"]})
	if got := d.cursors(); len(got) != 1 || got["t"].Version != 1 {
		d.t.Errorf("left: %+v, want t", got)
	}
	d.fire(leader, cursorAt("s", d.began.Add(time.Hour)))
	same(d.t, "kept again", d.cursors()["s"].At, d.began.Add(time.Hour))
}

func testCursorPages(d *desk) {
	var f []vedette.Firing
	for i := range 25 {
		f = append(f, cursorAt(numbered[vedette.ScraperID](24-i), d.began))
	}
	d.fire(d.lead(), f...)
	for i, after := 0, vedette.ScraperID(""); ; {
		page, err := d.s.Schedules().List(d.t.Context(), after, 10)
		if err != nil {
			d.t.Fatal(err)
		}
		for _, c := range page {
			same(d.t, "cursor", c.Scraper, numbered[vedette.ScraperID](i))
			i, after = i+1, c.Scraper
		}
		if len(page) < 10 {
			same(d.t, "how many", i, 25)
			return
		}
	}
}

func testCursorDue(d *desk) {
	at := func(n int) time.Time { return d.began.Add(time.Duration(n) * time.Hour) }
	d.fire(d.lead(), cursorAt("c", at(-1)), cursorAt("b", at(-3)), cursorAt("a", at(-2)), cursorAt("z", at(-2)),
		cursorAt("later", at(5)), cursorAt("next", at(3)), cursorAt("never", time.Time{}))
	names := func(due []vedette.Cursor) (all []vedette.ScraperID) {
		for _, c := range due {
			all = append(all, c.Scraper)
		}
		return all
	}
	due, next := d.due(10)
	same(d.t, "due", names(due), []vedette.ScraperID{"b", "a", "z", "c"})
	same(d.t, "next", next.UTC(), at(3))
	due, _ = d.due(2)
	same(d.t, "the first two", names(due), []vedette.ScraperID{"b", "a"})
	soon := d.now().Add(d.c.s(2))
	d.fire(d.lead(), cursorAt("soon", soon))
	if _, next = d.due(10); !next.Equal(soon) {
		d.t.Errorf("next %v, want %v", next, soon)
	}
	d.c.wait(d.c.s(3))
	due, _ = d.due(10)
	same(d.t, "when its time has come", names(due), []vedette.ScraperID{"b", "a", "z", "c", "soon"})
}

func testCursorLive(d *desk) {
	d.fire(d.lead(), cursorAt("s", d.began), cursorAt("idle", d.began))
	of := func(j *vedette.Job) {
		j.Scraper, j.Params, j.MaxAttempts, j.Keep = "s", vedette.Raw(`{"large":1}`), 3, 9
	}
	running, waiting, past := d.one(of), d.one(of, run(9, d.began.Add(time.Hour))), d.past(of)
	d.one(func(j *vedette.Job) { j.Scraper = "another" })
	first := d.own("w")
	d.finish(vedette.End{Ref: first.Ref(), State: vedette.JobRetrying, RunAt: d.began, Result: "large", Error: "large"})
	first = d.own("w")
	due, _ := d.due(5)
	if len(due) != 2 || due[0].Scraper != "idle" || len(due[0].Live) != 0 || due[1].Scraper != "s" {
		d.t.Fatalf("due: %+v", due)
	}
	live := due[1].Live
	wantJobs(d.t, "live, by ID, without "+past.ID.String(), live, running, waiting)
	want := first
	want.Params, want.Result, want.Error, want.Attempts = nil, "", "", nil
	same(d.t, "the one that runs", live[0], want)
	same(d.t, "kept cursors have none", len(d.cursors()["s"].Live), 0)
}

// testFireRace lets two leaders, one of whom is deposed, and many threads of them, fire what is
// due until a schedule has come so far: every fire is there once.
func testFireRace(d *desk) {
	const fires = 50
	first := d.began.Add(-time.Hour)
	d.fire(d.lead(), cursorAt("s", first), cursorAt("t", first))
	old := acquire(d.t, d.s.Leases(), "old", d.c.s(1), "race")[0]
	d.c.wait(d.c.s(2))
	next := acquire(d.t, d.s.Leases(), "new", time.Hour, "race")[0]
	var done sync.WaitGroup
	late := moveOn(d.cursors()["s"], time.Second, d.job())
	wantErr(d.t, "Fire by the one deposed", d.s.Schedules().Fire(d.t.Context(), old, late), vedette.ErrLeaseLost)
	var turn atomic.Int64
	lead := func(leader vedette.Lease) {
		for {
			due, _, err := d.s.Schedules().Due(d.t.Context(), 10)
			if err != nil {
				d.t.Errorf("Due: %v", err)
				return
			}
			var f []vedette.Firing
			for _, c := range due {
				if c.At.Before(first.Add(fires * time.Second)) {
					j := vedette.Job{ID: vedette.NewID(d.began.Add(time.Duration(turn.Add(1)) * time.Microsecond)), Handler: "h"}
					firedAt(c.Scraper, c.At)(&j)
					f = append(f, moveOn(c, time.Second, j))
				}
			}
			if len(f) == 0 {
				return
			}
			err = d.s.Schedules().Fire(d.t.Context(), leader, f...)
			if errors.Is(err, vedette.ErrLeaseLost) {
				return
			}
			if err != nil {
				d.t.Errorf("Fire: %v", err)
				return
			}
		}
	}
	for range 8 {
		done.Go(func() { lead(old) })
		done.Go(func() { lead(next) })
	}
	done.Wait()
	jobs, err := d.s.Jobs().List(d.t.Context(), vedette.Job{}, vedette.ID{}, 10*fires)
	if err != nil {
		d.t.Fatal(err)
	}
	seen := map[string]int{}
	for _, j := range jobs {
		seen[fmt.Sprint(j.Scraper, j.FireAt.UTC())]++
	}
	if len(jobs) != 2*fires || len(seen) != 2*fires {
		d.t.Errorf("%d jobs of %d fires, want %d of each", len(jobs), len(seen), 2*fires)
	}
}

func testFireRefuses(d *desk) {
	f := cursorAt("bad", d.began)
	f.Push = []vedette.Job{{}}
	err := d.s.Schedules().Fire(d.t.Context(), d.lead(), cursorAt("good", d.began), f)
	wantErr(d.t, "Fire of a run that makes no sense", err, vedette.ErrRefused)
	same(d.t, "cursors", d.cursors(), nil)
}

// testFireSkips lets somebody push a run between the reading of a cursor and its move.
func testFireSkips(d *desk) {
	leader := d.lead()
	d.fire(leader, cursorAt("s", d.began))
	was := d.cursors()["s"]
	alone := func(j *vedette.Job) { j.Scraper, j.Unique = "s", "scraper/s" }
	d.push(d.job(alone))
	f := moveOn(was, time.Minute, d.job(alone), d.job(alone))
	f.Now.Skipped = 3
	d.fire(leader, f)
	f.Now.Skipped = 5
	same(d.t, "two runs that were kept out", d.cursors()["s"], f.Now)
}
