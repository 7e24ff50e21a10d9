package redis

import (
	"context"
	"encoding/binary"
	"runtime"
	"slices"
	"strconv"
	"sync"

	"github.com/vedettehq/vedette"
)

// desks claim on behalf of those who claim the same for one owner, by the owner and what is wanted.
type desks struct {
	mu  sync.Mutex
	all map[string]*desk
}

// A desk makes one call for all who stand in line: it asks for what they want together, and hands it
// out in their order. It is there while somebody is.
type desk struct {
	q     queue
	key   string
	owner string
	from  []vedette.Want
	whole bool // no queue's share is bounded, so that what two want is what one wants who wants as much
	x     *waiter

	// The lock of the desks guards these.
	line   []*claimer
	flying int // how many of the first in line the present call is for
}

// A claimer stands in line.
type claimer struct {
	ctx  context.Context
	at   *desk
	n    int
	gone bool // it has given up, and gets what nobody else can have
	jobs []vedette.Job
	err  error
	done chan struct{} // closed when jobs or err are there
}

// deskKey names what is claimed for whom. Who wants nothing must not stand before others.
func deskKey(owner string, some bool, from []vedette.Want) string {
	b := append(binary.AppendUvarint(strconv.AppendBool(nil, some), uint64(len(owner))), owner...)
	for _, w := range from {
		b = binary.AppendVarint(append(binary.AppendUvarint(b, uint64(len(w.Queue))), w.Queue...), int64(w.N))
	}
	return string(b)
}

// claim stands in line until there are jobs, or ctx ends. What the server is asked for meanwhile is waited
// for, since it may be for nobody else.
func (d *desks) claim(ctx context.Context, q queue, owner string, n int, from []vedette.Want) ([]vedette.Job, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := d.enter(ctx, q, owner, n, from)
	select {
	case <-c.done:
	case <-ctx.Done():
		if d.quit(c) {
			return nil, ctx.Err()
		}
		<-c.done
	}
	return c.jobs, c.err
}

// enter puts a claimer in its line.
func (d *desks) enter(ctx context.Context, q queue, owner string, n int, from []vedette.Want) *claimer {
	c := &claimer{ctx: ctx, n: n, done: make(chan struct{})}
	key := deskKey(owner, n > 0, from)
	d.mu.Lock()
	defer d.mu.Unlock()
	c.at = d.all[key]
	if c.at == nil {
		bounded := slices.ContainsFunc(from, func(w vedette.Want) bool { return w.N > 0 })
		c.at = &desk{q: q, key: key, owner: owner, from: slices.Clone(from), whole: !bounded}
		c.at.x = q.s.wakes.join(roomsOf("queue", queuesOf(from)...)...)
		d.all[key] = c.at
		go c.at.run(d)
	}
	c.at.line = append(c.at.line, c)
	poke(c.at.x.news)
	return c
}

func queuesOf(from []vedette.Want) []string {
	var names []string
	for _, w := range from {
		if !slices.Contains(names, w.Queue) {
			names = append(names, w.Queue)
		}
	}
	return names
}

// quit takes c out of its line, unless a call for it is under way or has ended.
func (d *desks) quit(c *claimer) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	c.gone = true
	i := slices.Index(c.at.line, c)
	if i < c.at.flying {
		return false
	}
	c.at.line = slices.Delete(c.at.line, i, i+1)
	if len(c.at.line) == 0 {
		poke(c.at.x.news)
	}
	return true
}

// run claims until nobody stands in line.
func (d *desk) run(all *desks) {
	defer d.q.s.wakes.leave(d.x)
	for {
		runtime.Gosched() // who is about to enter may come along
		select {
		case <-d.x.news: // of before the look that follows
		default:
		}
		ctx, n := all.fly(d)
		if ctx == nil {
			return
		}
		jobs, sleep, err := d.q.take(ctx, d.owner, n, d.from)
		more := all.land(d, jobs, err)
		if len(jobs) > 0 {
			d.q.s.wakes.pass(d.x)
		}
		for err == nil && sleep == 0 && !all.asked(d) { // who comes next is to find all that is due
			_, sleep, err = d.q.take(ctx, d.owner, 0, d.from)
		}
		if !more || err != nil || len(jobs) > 0 && (len(jobs) == n || !d.whole) {
			continue
		}
		if err := d.q.s.wakes.wait(context.Background(), d.x, sleep); err != nil {
			all.abandon(d, err)
			return
		}
	}
}

// fly returns what is to be asked for now, and the context of the first who asks; nil if there is
// nobody: then the desk is no more.
func (d *desks) fly(at *desk) (context.Context, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(at.line) == 0 {
		delete(d.all, at.key)
		return nil, 0
	}
	n := at.line[0].n
	for at.flying = 1; at.whole && at.flying < len(at.line) && n+at.line[at.flying].n <= pieceJobs; at.flying++ {
		n += at.line[at.flying].n
	}
	return context.WithoutCancel(at.line[0].ctx), n
}

// land hands out what a call came to, first to those who have not given up, and says whether anybody is left.
func (d *desks) land(at *desk, jobs []vedette.Job, err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	asked, rest := at.line[:at.flying], at.line[at.flying:]
	for _, gone := range []bool{false, true} {
		for _, c := range asked {
			if c.gone == gone {
				some := min(c.n, len(jobs))
				c.jobs, jobs = jobs[:some:some], jobs[some:]
			}
		}
	}
	var left []*claimer
	for _, c := range asked {
		switch {
		case len(c.jobs) > 0:
		case err != nil:
			c.err = err
		case c.gone:
			c.err = c.ctx.Err()
		default:
			left = append(left, c)
			continue
		}
		close(c.done)
	}
	at.line, at.flying = slices.Concat(left, rest), 0
	return len(at.line) > 0
}

// asked says whether somebody stands in line.
func (d *desks) asked(at *desk) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(at.line) > 0
}

// abandon ends the waits of all in line.
func (d *desks) abandon(at *desk, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.all, at.key)
	for _, c := range at.line {
		c.err = err
		close(c.done)
	}
	at.line = nil
}
