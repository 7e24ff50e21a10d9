package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vedettehq/vedette"
)

// raceCases let many work at once.
func raceCases() map[string]func(*desk) {
	return map[string]func(*desk){
		"64 claimers have each job once":          testRaceClaim,
		"a claim is ended by its owner or rescue": testRaceRescue,
		"a cancel and a claim agree":              testRaceCancel,
		"what is given back is had again":         testRaceGiveBack,
	}
}

// crowd lets n owners claim up to k jobs of q at a time until there are no more, and hands each
// job to do.
func (d *desk) crowd(n, k int, do func(vedette.Job)) {
	d.t.Helper()
	ctx, stop := context.WithCancel(d.t.Context())
	defer stop()
	var done sync.WaitGroup
	for i := range n {
		owner := fmt.Sprintf("owner %d", i)
		d.beat(owner, time.Hour)
		done.Go(func() {
			for {
				short, cancel := context.WithTimeout(ctx, d.c.s(2))
				jobs, err := d.s.Queue().Claim(short, owner, k, vedette.Want{Queue: "q"})
				cancel()
				if errors.Is(err, context.DeadlineExceeded) {
					return
				}
				if err != nil || len(jobs) == 0 || len(jobs) > k {
					d.t.Errorf("Claim of %d: %d jobs, %v", k, len(jobs), err)
					return
				}
				for _, j := range jobs {
					do(j)
				}
			}
		})
	}
	done.Wait()
}

func testRaceClaim(d *desk) {
	const n = 2000
	var jobs []vedette.Job
	for i := range n {
		jobs = append(jobs, d.job(run(i%3, d.began)))
	}
	d.push(jobs[:n/2]...)
	var pushers sync.WaitGroup
	for i := n / 2; i < n; i += 100 {
		pushers.Go(func() {
			if _, err := d.s.Jobs().Push(d.t.Context(), jobs[i:i+100]...); err != nil {
				d.t.Errorf("Push: %v", err)
			}
		})
	}
	var mu sync.Mutex
	owners := map[vedette.ID]string{}
	d.crowd(64, 7, func(j vedette.Job) {
		mu.Lock()
		defer mu.Unlock()
		if owners[j.ID] != "" || j.Attempt != 1 {
			d.t.Errorf("%s claimed %s, attempt %d, which %q had", j.Owner, j.ID, j.Attempt, owners[j.ID])
		}
		owners[j.ID] = j.Owner
	})
	pushers.Wait()
	if len(owners) != n {
		d.t.Errorf("%d of %d jobs were claimed", len(owners), n)
	}
	if got := d.queues()["q"]; got.Started != n || len(got.Ready) != 0 {
		d.t.Errorf("in the end the queue holds %+v", got)
	}
}

// testRaceRescue lets an owner finish while a rescue takes its claim: one of them wins, and the
// store says the same to both.
func testRaceRescue(d *desk) {
	leader := d.lead()
	for i := range 50 {
		d.one(attempts(5))
		j := d.own(fmt.Sprintf("owner %d", i))
		d.lose(j.Owner)
		var stale []vedette.Ref
		var rescued []vedette.Job
		var done sync.WaitGroup
		done.Go(func() {
			var err error
			if stale, err = d.s.Queue().Finish(d.t.Context(), end(j, vedette.JobSucceeded)); err != nil {
				d.t.Errorf("Finish: %v", err)
			}
		})
		done.Go(func() {
			var err error
			if rescued, err = d.s.Queue().Rescue(d.t.Context(), leader); err != nil {
				d.t.Errorf("Rescue: %v", err)
			}
		})
		done.Wait()
		if len(stale) != len(rescued) {
			d.t.Fatalf("round %d: Finish says stale %v, Rescue took %v", i, stale, idsOf(rescued))
		}
		want := vedette.JobSucceeded
		if len(rescued) == 1 {
			want = vedette.JobPending
		}
		d.wantState("after the race", j.ID, want)
		d.cancel("make room", j.ID)
	}
}

func testRaceCancel(d *desk) {
	const n = 200
	var jobs []vedette.Job
	for range n {
		jobs = append(jobs, d.job())
	}
	d.push(jobs...)
	var cancels sync.WaitGroup
	for _, j := range jobs {
		cancels.Go(func() {
			if err := d.s.Jobs().Cancel(d.t.Context(), "enough", j.ID); err != nil {
				d.t.Errorf("Cancel: %v", err)
			}
		})
	}
	var mu sync.Mutex
	had := map[vedette.ID]bool{}
	d.crowd(8, 1, func(j vedette.Job) {
		mu.Lock()
		defer mu.Unlock()
		had[j.ID] = true
	})
	cancels.Wait()
	for _, j := range jobs {
		got := d.get(j.ID)
		if had[j.ID] != (got.State == vedette.JobStarted) || !had[j.ID] && got.State != vedette.JobCancelled || got.Cancel == "" {
			d.t.Errorf("claimed %v, and it is %s, cancelled for %q", had[j.ID], got.State, got.Cancel)
		}
	}
}

// testRaceGiveBack lets eight give back each job some times before they finish it.
func testRaceGiveBack(d *desk) {
	const n = 200
	for range n {
		d.one()
	}
	var finished atomic.Int64
	d.crowd(8, 3, func(j vedette.Job) {
		state := vedette.JobPending
		if j.Epoch%4 == 3 || j.Attempt != 1 {
			state = vedette.JobSucceeded
			finished.Add(1)
		}
		if stale, err := d.s.Queue().Finish(d.t.Context(), end(j, state)); err != nil || len(stale) > 0 {
			d.t.Errorf("Finish: %v stale, %v", stale, err)
		}
	})
	if got := finished.Load(); got != n {
		d.t.Errorf("%d finished of %d", got, n)
	}
	if got := d.queues(); len(got) != 0 {
		d.t.Errorf("in the end: %+v", got)
	}
}
