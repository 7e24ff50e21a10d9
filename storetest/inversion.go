package storetest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// inversionCases hold Claim to the order of priorities where a store may be tempted to go on with what
// it saw last.
func inversionCases() map[string]func(*desk) {
	return map[string]func(*desk){
		"passes over nothing urgent while all are busy":      func(d *desk) { d.invert(d) },
		"passes over nothing urgent behind much that is due": testInversionDue,
	}
}

// slip is for how long those of lower priority may be started before a job that is ready.
func (c Clock) slip() time.Duration {
	if c.virtual {
		return 0
	}
	return time.Second
}

// A tally is what busy claimers have started.
type tally struct {
	mu     sync.Mutex
	urgent []vedette.Job
	others []vedette.Job
	enough func()
}

func (n *tally) add(want int, jobs ...vedette.Job) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, j := range jobs {
		if j.Priority == vedette.Utmost {
			n.urgent = append(n.urgent, j)
		} else {
			n.others = append(n.others, j)
		}
	}
	if len(n.urgent) == want {
		n.enough()
	}
}

// invert lets a desk push urgent jobs while claimers of d are busy with others, of which there are more
// than they can do while one may be passed over.
func (d *desk) invert(from *desk) {
	const urgent, others = 3, 4000
	all := make([]vedette.Job, others)
	for i := range all {
		all[i] = d.job(run(vedette.Normal, d.began))
	}
	d.push(all...)
	ctx, stop := context.WithCancel(d.t.Context())
	defer stop()
	n := &tally{enough: stop}
	var busy sync.WaitGroup
	for _, owner := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		d.beat(owner, time.Hour)
		busy.Go(func() {
			for ctx.Err() == nil {
				jobs, err := d.s.Queue().Claim(ctx, owner, 1, vedette.Want{Queue: "q"})
				if err != nil && ctx.Err() == nil {
					d.t.Errorf("Claim: %v", err)
					return
				}
				n.add(urgent, jobs...)
				d.c.wait(d.c.s(1) / 20)
			}
		})
	}
	for range urgent {
		d.c.wait(d.c.s(1) / 2)
		from.push(from.job(run(vedette.Utmost, d.began)))
	}
	busy.Wait()
	for _, u := range n.urgent {
		d.wantFirst(u, n.others)
	}
}

// wantFirst checks that no other was started while u was passed over for too long.
func (d *desk) wantFirst(u vedette.Job, others []vedette.Job) {
	d.t.Helper()
	before := 0
	for _, j := range others {
		if j.StartedAt.After(u.CreatedAt.Add(d.c.slip())) && j.StartedAt.Before(u.StartedAt) {
			before++
		}
	}
	if before > 0 {
		d.t.Errorf("an urgent job was started after %v, and %d others before it but too late for that", u.StartedAt.Sub(u.CreatedAt), before)
	}
}

// testInversionDue finds what is urgent behind all that came due before it.
func testInversionDue(d *desk) {
	const n = 10_000
	due := d.now().Add(d.c.s(10))
	all := make([]vedette.Job, n, n+1)
	for i := range all {
		all[i] = d.job(run(vedette.Normal, due.Add(time.Duration(i)*time.Microsecond)))
	}
	last := d.job(run(vedette.Utmost, due.Add(n*time.Microsecond)))
	d.push(append(all, last)...)
	d.beat("w", time.Hour)
	for {
		j := d.claim("w", 1)[0]
		if j.ID == last.ID {
			return
		}
		if j.StartedAt.After(last.RunAt.Add(time.Second)) {
			d.t.Fatalf("what is urgent is passed over a second after it came due with %d others", n)
		}
		d.c.wait(d.c.s(1) / 20)
	}
}

// testHeld claims behind much that a limit holds back, and where there is none: it may not take longer. It
// is run in real time, of which it is a measurement.
func testHeld(t *testing.T, s QueueStore) {
	const keys, each, free, rounds = 10, 500, 50, 3
	d := newDesk(t, Real(time.Second), s)
	in := func(queue string) func(*vedette.Job) { return func(j *vedette.Job) { j.Queue = queue } }
	var all []vedette.Job
	for i := range keys * each {
		all = append(all, d.job(in("held"), limited(string(numbered[vedette.ScraperID](i%keys)), 1), run(vedette.Utmost, d.began)))
	}
	for range rounds * free {
		all = append(all, d.job(in("held"), run(vedette.Normal, d.began)), d.job(in("free"), run(vedette.Normal, d.began)))
	}
	d.push(all...)
	d.beat("w", time.Hour)
	if got := d.claim("w", keys, "held"); got[keys-1].LimitKey == "" {
		t.Fatalf("claimed %v first, want one of each key", idsOf(got))
	}
	spent := map[string][]time.Duration{}
	middle := func(queue string) time.Duration {
		slices.Sort(spent[queue])
		return spent[queue][len(spent[queue])/2]
	}
	for range rounds {
		clear(spent)
		for range free {
			for _, queue := range []string{"held", "free"} {
				began := time.Now()
				if got := d.claim("w", 1, queue)[0]; got.LimitKey != "" {
					t.Fatal("claimed what is held")
				}
				spent[queue] = append(spent[queue], time.Since(began))
			}
		}
		if middle("held") <= 2*middle("free") {
			return
		}
	}
	t.Errorf("a claim behind %d held jobs takes %v, and %v where there are none", keys*(each-1), middle("held"), middle("free"))
}
