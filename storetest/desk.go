package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// A desk is where a case works with a store: its calls fail the test where an answer is not
// what any caller may expect.
type desk struct {
	t testing.TB
	c Clock
	s QueueStore
	// began is the store's time at the beginning: the suites never ask for their own.
	began time.Time
	made  int
}

func newDesk(t *testing.T, c Clock, s QueueStore) *desk {
	d := &desk{t: t, c: c, s: s}
	d.began = d.now()
	return d
}

// now returns the store's time, as it is kept: to the microsecond.
func (d *desk) now() time.Time {
	d.t.Helper()
	held := acquire(d.t, d.s.Leases(), "desk", time.Hour, "desk")
	return held[0].At.UTC().Truncate(time.Microsecond)
}

// lead returns a lease to lead by.
func (d *desk) lead() vedette.Lease {
	d.t.Helper()
	return acquire(d.t, d.s.Leases(), "leader", time.Hour, "leader")[0]
}

// job returns one that is the last by ID of all that were made.
func (d *desk) job(change ...func(*vedette.Job)) vedette.Job {
	d.made++
	j := vedette.Job{ID: vedette.NewID(d.began.Add(time.Duration(d.made) * time.Microsecond)), Handler: "h", Queue: "q"}
	for _, f := range change {
		f(&j)
	}
	return j
}

func (d *desk) push(jobs ...vedette.Job) {
	d.t.Helper()
	if refused := d.pushed(jobs...); len(refused) > 0 {
		d.t.Fatalf("Push refused %v", refused)
	}
}

// pushed returns what Push refuses.
func (d *desk) pushed(jobs ...vedette.Job) []vedette.ID {
	d.t.Helper()
	refused, err := d.s.Jobs().Push(d.t.Context(), jobs...)
	if err != nil {
		d.t.Fatalf("Push: %v", err)
	}
	return refused
}

// one pushes a job and returns it.
func (d *desk) one(change ...func(*vedette.Job)) vedette.Job {
	d.t.Helper()
	j := d.job(change...)
	d.push(j)
	return j
}

func (d *desk) get(id vedette.ID) vedette.Job {
	d.t.Helper()
	j, err := d.s.Jobs().Get(d.t.Context(), id)
	if err != nil {
		d.t.Fatalf("Get: %v", err)
	}
	return j
}

// wantState checks the state of a job, and returns it.
func (d *desk) wantState(what string, id vedette.ID, want vedette.JobState) vedette.Job {
	d.t.Helper()
	j := d.get(id)
	if j.State != want {
		d.t.Errorf("%s: the job is %s, want %s", what, j.State, want)
	}
	return j
}

func (d *desk) beat(owner string, ttl time.Duration, held ...vedette.Ref) []vedette.Order {
	d.t.Helper()
	orders, err := d.s.Queue().Beat(d.t.Context(), owner, ttl, held...)
	if err != nil {
		d.t.Fatalf("Beat: %v", err)
	}
	return orders
}

// claim takes up to n jobs, of which there must be one at least, and lets owner live for long.
func (d *desk) claim(owner string, n int, queues ...string) []vedette.Job {
	d.t.Helper()
	if len(queues) == 0 {
		queues = []string{"q"}
	}
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	jobs, err := d.s.Queue().Claim(ctx, owner, n, wants(queues)...)
	if err != nil {
		d.t.Fatalf("Claim: %v", err)
	}
	if len(jobs) == 0 || len(jobs) > n {
		d.t.Fatalf("Claim of %d returned %d jobs", n, len(jobs))
	}
	return jobs
}

// wants asks for as many as there are of each queue.
func wants(queues []string) []vedette.Want {
	all := make([]vedette.Want, len(queues))
	for i, q := range queues {
		all[i].Queue = q
	}
	return all
}

// own lets owner live and claim one job.
func (d *desk) own(owner string, queues ...string) vedette.Job {
	d.t.Helper()
	d.beat(owner, time.Hour)
	return d.claim(owner, 1, queues...)[0]
}

// wantNone checks that there is nothing to claim.
func (d *desk) wantNone(what string, queues ...string) {
	d.t.Helper()
	if len(queues) == 0 {
		queues = []string{"q"}
	}
	d.beat("nobody", time.Hour)
	ctx, cancel := context.WithTimeout(d.t.Context(), d.c.s(1))
	defer cancel()
	jobs, err := d.s.Queue().Claim(ctx, "nobody", 10, wants(queues)...)
	if !errors.Is(err, context.DeadlineExceeded) {
		d.t.Errorf("%s: Claim returned %v, %v; want nothing until the deadline", what, idsOf(jobs), err)
	}
}

// finish ends claims that must all be valid.
func (d *desk) finish(ends ...vedette.End) {
	d.t.Helper()
	if stale := d.finished(ends...); len(stale) > 0 {
		d.t.Fatalf("Finish says that these are stale: %v", stale)
	}
}

// finished returns what Finish says is stale.
func (d *desk) finished(ends ...vedette.End) []vedette.Ref {
	d.t.Helper()
	stale, err := d.s.Queue().Finish(d.t.Context(), ends...)
	if err != nil {
		d.t.Fatalf("Finish: %v", err)
	}
	return stale
}

func (d *desk) rescue(leader vedette.Lease) []vedette.Job {
	d.t.Helper()
	jobs, err := d.s.Queue().Rescue(d.t.Context(), leader)
	if err != nil {
		d.t.Fatalf("Rescue: %v", err)
	}
	return jobs
}

func (d *desk) cancel(reason string, ids ...vedette.ID) {
	d.t.Helper()
	if err := d.s.Jobs().Cancel(d.t.Context(), reason, ids...); err != nil {
		d.t.Fatalf("Cancel: %v", err)
	}
}

// lose lets the time of an owner run out.
func (d *desk) lose(owner string, held ...vedette.Ref) {
	d.t.Helper()
	d.beat(owner, 0, held...)
}

// end says that the claim of j ended so.
func end(j vedette.Job, state vedette.JobState) vedette.End {
	return vedette.End{Ref: j.Ref(), State: state}
}

func idsOf(jobs []vedette.Job) []vedette.ID {
	all := make([]vedette.ID, len(jobs))
	for i, j := range jobs {
		all[i] = j.ID
	}
	return all
}

// wantJobs checks which jobs they are, in their order.
func wantJobs(t testing.TB, what string, got []vedette.Job, want ...vedette.Job) {
	t.Helper()
	same(t, what, idsOf(got), idsOf(want))
}
