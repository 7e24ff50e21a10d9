package postgres

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
)

// grace is how long a claim goes on that nobody waits for any more: what the server has done by
// then is not to be lost.
const grace = 2 * time.Second

// Desks are those at which claims wait. It is safe for concurrent use.
type desks struct {
	mu  sync.Mutex
	all map[string]*desk
}

// A desk claims for all of one owner who want any jobs of the same queues: one statement a time
// takes what they want together, and one poll waits for all. The lock of the desks guards it.
type desk struct {
	q     queue
	key   string // "" is that of a desk for one call
	owner string
	from  []vedette.Want
	bell  *waiter

	waiting []*caller // in the order of their calls
	staying int       // of those for whom a claim is under way
	cancel  context.CancelFunc
}

// A caller waits at a desk.
type caller struct {
	ctx   context.Context
	n     int
	asked bool // a claim for it is under way
	left  bool // before that ended
	jobs  []vedette.Job
	err   error
	done  chan struct{} // closed when jobs and err are there
}

// keyOf returns what names the desk of a call, and how many jobs it wants there. Bounds of several
// queues cannot be added up.
func keyOf(owner string, n int, from []vedette.Want) (string, int) {
	if len(from) == 1 && from[0].N > 0 {
		n = min(n, from[0].N)
	}
	if n < 1 || slices.ContainsFunc(from, func(w vedette.Want) bool { return w.N > 0 && w.N < n }) {
		return "", n
	}
	names := []string{owner}
	for _, w := range from {
		names = append(names, w.Queue)
	}
	return strings.Join(names, "\x00"), n
}

// wait waits for jobs at the desk for them.
func (s *desks) wait(ctx context.Context, q queue, owner string, n int, from []vedette.Want) ([]vedette.Job, error) {
	key, n := keyOf(owner, n, from)
	c := &caller{ctx: ctx, n: n, done: make(chan struct{})}
	s.mu.Lock()
	d := s.all[key]
	if key == "" || d == nil {
		d = s.open(q, key, owner, from)
	}
	d.waiting = append(d.waiting, c)
	s.mu.Unlock()
	select {
	case <-c.done:
	case <-ctx.Done():
		if !s.leave(d, c) {
			return nil, ctx.Err()
		}
	}
	return c.jobs, c.err
}

// open opens a desk. The lock is held.
func (s *desks) open(q queue, key, owner string, from []vedette.Want) *desk {
	d := &desk{q: q, key: key, owner: owner, from: slices.Clone(from), bell: q.s.bells.wait(bellsOf(from)...)}
	if key != "" {
		for i := range d.from {
			d.from[i].N = 0
		}
		if s.all == nil {
			s.all = map[string]*desk{}
		}
		s.all[key] = d
	}
	go func() {
		for {
			ctx, n := s.ask(d)
			if ctx == nil {
				q.s.bells.leave(d.bell, true)
				return
			}
			s.serve(ctx, d, n)
		}
	}()
	return d
}

// leave takes c away from d, and reports whether it has its answer nevertheless: what is claimed
// for it just now it waits for.
func (s *desks) leave(d *desk, c *caller) (answered bool) {
	s.mu.Lock()
	if !c.asked {
		defer s.mu.Unlock()
		return s.drop(d, c)
	}
	s.mu.Unlock()
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case <-c.done:
		return true
	case <-late.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.asked { // it came at the same time
		return true
	}
	c.left = true
	if d.staying--; d.staying == 0 {
		d.cancel()
	}
	return false
}

// drop takes away c, for whom no claim is under way, unless it has its answer. The lock is held.
func (s *desks) drop(d *desk, c *caller) (answered bool) {
	i := slices.Index(d.waiting, c)
	if i < 0 {
		return true
	}
	if d.waiting = slices.Delete(d.waiting, i, i+1); len(d.waiting) == 0 {
		d.bell.wake()
	}
	return false
}

// ask begins a claim for all who wait, or closes the desk if nobody does.
func (s *desks) ask(d *desk) (ctx context.Context, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(d.waiting) == 0 {
		if s.all[d.key] == d {
			delete(s.all, d.key)
		}
		return nil, 0
	}
	for _, c := range d.waiting {
		c.asked = true
		n += c.n
	}
	ctx, d.cancel = context.WithCancel(context.WithoutCancel(d.waiting[0].ctx))
	d.staying = len(d.waiting)
	return ctx, n
}

// serve makes a claim, hands out what it gave, and waits for more if there are too few.
func (s *desks) serve(ctx context.Context, d *desk, n int) {
	got, err := d.q.take(ctx, d.owner, n, d.from)
	next := d.q.s.ripe.left()
	if err == nil && len(got) == 0 {
		if next, err = d.q.await(ctx, d.owner); err != nil {
			d.q.rewind(d.from) // an owner who lives no more is given nothing
		}
	}
	d.cancel()
	if over := s.answer(d, got, err); len(over) > 0 {
		d.q.giveBack(ctx, over)
	}
	if err == nil && len(got) < n {
		_ = d.bell.wait(context.WithoutCancel(ctx), next) // Close rings too
	}
}

// answer hands out jobs in the order of the calls, also to those that came meanwhile, or else the
// error to those who asked, and returns what nobody is left for.
func (s *desks) answer(d *desk, got []vedette.Job, err error) []vedette.Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.waiting = slices.DeleteFunc(d.waiting, func(c *caller) bool {
		asked := c.asked
		if c.asked = false; c.left {
			return true
		}
		k := min(c.n, len(got))
		switch {
		case k > 0:
			c.jobs, got = got[:k:k], got[k:]
		case c.ctx.Err() != nil:
			c.err = c.ctx.Err()
		case asked && err != nil:
			c.err = err
		default:
			return false
		}
		close(c.done)
		return true
	})
	return got
}

// giveBack undoes claims of callers who are gone. If that fails, their owner does so by its beats,
// which do not name them.
func (q queue) giveBack(ctx context.Context, jobs []vedette.Job) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	ends := make([]vedette.End, len(jobs))
	for i := range jobs {
		ends[i] = vedette.End{Ref: jobs[i].Ref(), State: vedette.JobPending}
	}
	if _, err := q.Finish(ctx, ends...); err != nil {
		q.s.log.Warn("cannot give back what was claimed for who is gone", "owner", jobs[0].Owner, "jobs", len(jobs), "err", err)
	}
}
