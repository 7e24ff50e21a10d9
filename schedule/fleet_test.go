package schedule_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/schedule"
)

// A node is a process with a leader in it. While it is stopped, what it asks of the store is carried
// out, if it had begun, and its answer waits: as it is with SIGSTOP.
type node struct {
	mu      sync.Mutex
	goes    chan struct{} // closed while it is not stopped
	end     context.CancelFunc
	dead    context.Context // of a node that was killed: nothing of it reaches the store
	kill    context.CancelFunc
	release func() // of the wait for its end
	snare   *snare
}

func (n *node) stop(stopped bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if stopped {
		n.goes = make(chan struct{})
	} else {
		close(n.goes)
	}
}

// pass waits until the node goes on, and says if it never will.
func (n *node) pass() error {
	n.mu.Lock()
	goes := n.goes
	n.mu.Unlock()
	select {
	case <-goes:
		return n.dead.Err()
	case <-n.dead.Done():
		return n.dead.Err()
	}
}

// A snare stops the first node that has read what is due, or has fired it, at a moment that chance
// would not hit: on this clock it takes no time.
type snare struct {
	mu     sync.Mutex
	after  string // "" stops nobody
	caught chan *node
}

func (s *snare) set(after string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after = after
}

func (n *node) did(what string) {
	n.snare.mu.Lock()
	defer n.snare.mu.Unlock()
	if n.snare.after == what {
		n.snare.after = ""
		n.stop(true)
		n.snare.caught <- n
	}
}

// A wire is what lies between a node and the store.
type wire struct {
	vedette.Schedules
	vedette.Leaser
	n *node
}

func (w wire) Due(ctx context.Context, n int) ([]vedette.Cursor, time.Time, error) {
	if err := w.n.pass(); err != nil {
		return nil, time.Time{}, err
	}
	due, next, err := w.Schedules.Due(ctx, n)
	if len(due) > 0 {
		w.n.did("read")
	}
	if e := w.n.pass(); e != nil {
		return nil, time.Time{}, e
	}
	return due, next, err
}

func (w wire) Fire(ctx context.Context, leader vedette.Lease, f ...vedette.Firing) error {
	if err := w.n.pass(); err != nil {
		return err
	}
	// A stopped process has its statement on the way already; its ctx does not end it.
	err := w.Schedules.Fire(context.WithoutCancel(ctx), leader, f...)
	if err == nil {
		w.n.did("fired")
	}
	if e := w.n.pass(); e != nil {
		return e
	}
	return err
}

func (w wire) Acquire(ctx context.Context, owner string, ttl time.Duration, names ...string) ([]vedette.Lease, error) {
	if err := w.n.pass(); err != nil {
		return nil, err
	}
	return w.Leaser.Acquire(ctx, owner, ttl, names...)
}

func (w wire) Release(ctx context.Context, leases ...vedette.Lease) error {
	if err := w.n.pass(); err != nil {
		return err
	}
	return w.Leaser.Release(ctx, leases...)
}

// cursorsOf and leasesOf take one contract each of a wire, whose List is that of both.
type cursorsOf struct{ wire }

func (c cursorsOf) List(ctx context.Context, after vedette.ScraperID, n int) ([]vedette.Cursor, error) {
	return c.Schedules.List(ctx, after, n)
}

type leasesOf struct{ wire }

func (l leasesOf) List(ctx context.Context, prefix string) ([]vedette.Lease, error) {
	return l.Leaser.List(ctx, prefix)
}

// start runs a node.
func start(t *testing.T, store *memory.Store, name string, s *snare) *node {
	t.Helper()
	n := &node{goes: make(chan struct{}), snare: s}
	close(n.goes)
	n.dead, n.kill = context.WithCancel(t.Context())
	w := wire{store.Schedules(), store.Leases(), n}
	l, err := schedule.New(schedule.Config{
		Owner: name, Leases: leasesOf{w}, Scrapers: store.Scrapers(), Schedules: cursorsOf{w}, Jobs: store.Jobs(), Queue: store.Queue(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := l.Run(ctx); err != nil {
			t.Errorf("node %s: %v", name, err)
		}
	}()
	n.end, n.release = end, func() { <-done }
	return n
}

// fleet makes n scrapers: beats of ten minutes to four hours, and what is due by the clock on
// the wall of 14 zones.
func fleet(r *rand.Rand, n int) []vedette.Scraper {
	texts := []string{"30 2 * * *", "30 1 * * *", "0 * * * *", "15 0-4 * * *", "0 0 * * *", "59 3 * * *", "45 1,2,23 * * *"}
	all := make([]vedette.Scraper, n)
	for i := range all {
		s := vedette.Schedule{Zone: zones()[r.IntN(14)]}
		switch i % 5 {
		case 0, 1:
			s = vedette.Schedule{Every: time.Duration(10+r.IntN(230)) * time.Minute}
		case 2:
			s.Calendar = []vedette.Calendar{{Hour: []int{0, 1, 2, 3, 12}, Minute: []int{r.IntN(60)}}}
		default:
			s.Cron = texts[r.IntN(len(texts))]
		}
		all[i] = fresh(fmt.Sprintf("s%05d", i), s)
	}
	return all
}

// TestThreeNodesLoseAndDoubleNothingOverAClockChange lets three nodes lead 10,000 schedules over
// 26 March 2000, when clocks went forward in Europe and Africa and back in Australia, while nodes are
// killed, stopped past their lease with what they have read or written, or told to go. Under the race
// detector it is a tenth of them for half as long: how nodes race does not depend on that. make test
// runs both.
func TestThreeNodesLoseAndDoubleNothingOverAClockChange(t *testing.T) {
	if testing.Short() {
		t.Skip("a day of 10,000 schedules takes some seconds")
	}
	n, hours := 10_000, 26
	if raced {
		n, hours = 1000, 13
	}
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // to be the same again
		began := time.Date(2000, 3, 25, 14, 0, 0, 0, time.UTC)
		time.Sleep(time.Until(began))
		store := memory.New()
		all := fleet(r, n)
		put(t, store, all...)
		trap := &snare{caught: make(chan *node)}
		nodes := []*node{start(t, store, "n0", trap), start(t, store, "n1", trap), start(t, store, "n2", trap)}
		ends := began.Add(time.Duration(hours) * time.Hour)
		blows := map[string]int{}
		for made := len(nodes); time.Now().Before(ends); {
			time.Sleep(time.Minute + time.Duration(r.Int64N(int64(20*time.Minute))))
			i := r.IntN(len(nodes))
			switch n := nodes[i]; r.IntN(5) {
			case 0:
				blows["killed"]++
				n.kill()
				n.end()
				nodes[i] = start(t, store, fmt.Sprintf("n%d", made), trap)
				made++
			case 1:
				blows["stopped"]++
				n.stop(true)
				time.Sleep(15 * time.Second)
				n.stop(false)
			case 2, 3:
				after := []string{"read", "fired"}[r.IntN(2)]
				blows["stopped when it had "+after]++
				trap.set(after)
				caught := <-trap.caught
				time.Sleep(15 * time.Second)
				caught.stop(false)
			default:
				blows["resigned"]++
				n.end()
				n.release()
				nodes[i] = start(t, store, fmt.Sprintf("n%d", made), trap)
				made++
			}
		}
		time.Sleep(time.Minute) // the last that is due is fired
		ends = time.Now()
		for _, n := range nodes {
			n.end()
			n.release()
		}
		fires := 0
		for _, s := range all {
			want := compile(t, s).Upcoming(began.Add(time.Second), 400)
			got := runs(t, store, s.ID)
			for i, due := range want {
				if due.After(ends.Add(-time.Second)) {
					break
				}
				if i >= len(got) || !got[i].Equal(due) {
					t.Fatalf("%s %+v: run %d of %v, want it for %v", s.ID, s.Schedule, i, got, due)
				}
				fires++
			}
		}
		for _, c := range cursors(t, store) {
			if c.Dropped > 0 || c.Skipped > 0 {
				t.Errorf("%+v, want nothing dropped or skipped", c)
			}
		}
		t.Logf("%d schedules fired %d times, once each, under %v", len(all), fires, blows)
		if fires < n*hours*2/5 || len(blows) < 5 {
			t.Errorf("%d fires under %v are not what was meant", fires, blows)
		}
	})
}
