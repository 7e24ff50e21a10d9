package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"

	"github.com/vedettehq/vedette"
)

var (
	_ vedette.Queue  = queue{}
	_ vedette.Queues = queue{}
)

// queue is the jobs, as everybody sees them.
type queue struct{ s *Store }

// Queue returns what workers ask of the jobs.
func (s *Store) Queue() vedette.Queue { return queue{s} }

// Queues returns what stops queues and lets them go on.
func (s *Store) Queues() vedette.Queues { return queue{s} }

// A claimer waits for jobs. Who holds the connection that writes may look at one.
type claimer struct {
	owner string
	n     int
	from  []vedette.Want
	waits bool          // among those that wait
	done  chan struct{} // closed when it has them, or an error
	jobs  []vedette.Job
	err   error
}

// Claim takes jobs, as [vedette.Queue] says. Whoever waits is handed its jobs by the transaction
// that makes them ready, or by the next one after another process made them so.
func (q queue) Claim(ctx context.Context, owner string, n int, from ...vedette.Want) (jobs []vedette.Job, err error) {
	c := &claimer{owner: owner, n: n, from: from, done: make(chan struct{})}
	err = q.s.update(ctx, func(t *tx) (err error) {
		if jobs, err = t.claimFor(c, map[string]bool{}); err == nil && len(jobs) == 0 {
			c.waits = true
			q.s.claimers = append(q.s.claimers, c)
		}
		return err
	})
	switch {
	case err != nil && c.waits:
		q.s.leave(c, err)
	case err == nil && len(jobs) == 0:
		jobs, err = q.s.await(ctx, c)
	}
	if err != nil {
		return nil, fmt.Errorf("claim jobs: %w", err)
	}
	return jobs, nil
}

// claimFor takes what c may have at once. Queues that are empty hold nothing more; it adds those
// that it has emptied.
func (t *tx) claimFor(c *claimer, empty map[string]bool) (jobs []vedette.Job, err error) {
	o, err := t.lives(c.owner)
	if err != nil {
		return nil, err
	}
	if err := t.promote(); err != nil {
		return nil, err
	}
	for _, w := range c.from {
		want := c.n - len(jobs)
		if w.N > 0 {
			want = min(want, w.N)
		}
		if empty[w.Queue] || want <= 0 {
			continue
		}
		got, err := t.claimOf(w.Queue, want, o)
		if err != nil {
			return nil, fmt.Errorf("queue %q: %w", w.Queue, err)
		}
		empty[w.Queue] = len(got) < want
		if jobs == nil {
			jobs = got
			continue
		}
		jobs = append(jobs, got...)
	}
	return jobs, nil
}

// claimOf takes up to n jobs of a queue: those that nothing holds back, and in between the
// first of each lane that is open.
func (t *tx) claimOf(name string, n int, o owner) (jobs []vedette.Job, err error) {
	num, open, err := t.find("select num from queues where name = ? and paused = 0", name)
	if err != nil || !open {
		return nil, err
	}
	for len(jobs) < n {
		if err := t.settle(); err != nil {
			return nil, err
		}
		rows, last, err := t.first(num, n-len(jobs))
		if err != nil {
			return nil, err
		}
		jobs = slices.Grow(jobs, len(rows))
		for _, r := range rows {
			j, err := t.start(r, o, num)
			if err != nil {
				return nil, fmt.Errorf("job %s: %w", r.id, err)
			}
			jobs = append(jobs, j)
		}
		if err := t.own(rows); err != nil {
			return nil, err
		}
		if last {
			break
		}
	}
	return jobs, t.settle()
}

// first returns jobs of a queue that start next, at most n, and whether these are all. What
// follows has to be asked for again where a start may have closed lanes.
func (t *tx) first(num int64, n int) (rows []*row, last bool, err error) {
	const (
		open = "select priority, run_at, job from lanes where queue = +? and held = 0 order by priority, run_at, job limit 1"
		free = "select " + rowColumns + " from jobs where lane = +? and state = 2"
		most = " order by priority, run_at, id limit ? + 0"
	)
	var head []driver.Value
	err = t.query(func(row []driver.Value) error {
		head = slices.Clone(row)
		return nil
	}, open, num)
	if err != nil {
		return nil, false, err
	}
	if head == nil {
		rows, err = t.rows(free+most, num, int64(n))
		return rows, true, err
	}
	rows, err = t.rows(free+" and (priority, run_at, id) < (?, ?, ?)"+most, num, head[0], head[1], head[2], int64(n))
	counts := func(r *row) bool { return r.flags&isLimited != 0 }
	if err != nil || len(rows) == n || slices.ContainsFunc(rows, counts) {
		return rows, false, err
	}
	var id vedette.ID
	copy(id[:], head[2].([]byte))
	r, err := t.row(id)
	if err == nil && r == nil {
		err = fmt.Errorf("job %s, the first of its lane, is gone", id)
	}
	return append(rows, r), false, err
}

// start gives r of a queue to an owner, for own to write.
func (t *tx) start(r *row, o owner, queue int64) (j vedette.Job, err error) {
	if r.flags != 0 {
		var said *vedette.Job
		if said, err = r.said(); err == nil {
			err = t.release(r, said, isWaiting)
		}
		if err == nil {
			err = t.occupy(r, said)
		}
	}
	if err != nil {
		return j, err
	}
	if r.lane < 0 {
		t.unsettle(r.lane)
	}
	r.lane, r.state, r.owner, r.started, r.beat = queue, started, o.num, t.now, o.beats
	r.epoch++
	r.attempt++
	j, err = r.job()
	j.Owner = o.name
	return j, err
}

// owned is how many jobs one statement gives to an owner.
const owned = 25

// own writes that rows, all of one queue, are started. Those that were never claimed before differ in
// their IDs alone, and so one statement does for many.
func (t *tx) own(rows []*row) error {
	const one = "update or fail jobs set lane = ?, state = 3, owner = ?, life = ? where id in (?"
	many := one + strings.Repeat(", ?", owned-1) + ")"
	for len(rows) > 0 {
		text, n := one+")", 1
		if len(rows) >= owned && alike(rows[:owned]) {
			text, n = many, owned
		}
		args := append(make([]any, 0, 3+n), rows[0].lane, rows[0].owner, rows[0].stored())
		for _, r := range rows[:n] {
			args = append(args, r.id[:])
		}
		if _, err := t.exec(text, args...); err != nil {
			return fmt.Errorf("job %s: %w", rows[0].id, err)
		}
		rows = rows[n:]
	}
	return nil
}

// alike says whether rows have the same life, and nothing behind it.
func alike(rows []*row) bool {
	for _, r := range rows {
		if r.life != rows[0].life || len(r.tail) > 0 {
			return false
		}
	}
	return true
}

// Pause stops claims, as [vedette.Queues] says.
func (q queue) Pause(ctx context.Context, queues ...string) error { return q.pause(ctx, 1, queues) }

// Resume lets claims go on, as [vedette.Queues] says.
func (q queue) Resume(ctx context.Context, queues ...string) error { return q.pause(ctx, 0, queues) }

func (q queue) pause(ctx context.Context, paused int64, queues []string) error {
	err := q.s.update(ctx, func(t *tx) error {
		t.ready = true
		for _, name := range queues {
			num, err := t.queue(name)
			if err == nil {
				_, err = t.exec("update queues set paused = ? where num = ?", paused, num)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("pause or resume queues: %w", err)
	}
	return nil
}
