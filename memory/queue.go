package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
)

var (
	_ vedette.Jobs   = (*queue)(nil)
	_ vedette.Queue  = (*queue)(nil)
	_ vedette.Queues = (*queue)(nil)
)

// A queue keeps the jobs of all queues, live ones and history, and the cursors of the schedules,
// so that one lock makes one transaction of what touches both.
type queue struct {
	leases *leases
	feed   *feed // whose topics go with their jobs

	mu      sync.Mutex
	live    map[vedette.ID]*job
	past    map[vedette.ID]*job
	ids     []vedette.ID // of both, in order
	ended   []*job       // the past in the order of its ending, with some that were retired since
	unique  map[string]*job
	waiting map[string]*job // by UniqueWaiting
	fired   map[fire]struct{}
	runs    map[vedette.ScraperID]*runs
	cursors map[vedette.ScraperID]*dueCursor
	names   []vedette.ScraperID // of the cursors, in order

	due      pile[*dueCursor] // those that are ever due again, by At
	later    pile[*job]       // scheduled and retrying, by RunAt
	slow     pile[*lane]      // waiting for their rate
	lines    map[string]*line
	lanes    map[laneKey]*lane
	limits   map[string]*limit
	rates    map[string]*rate
	owners   map[string]*owner
	claimers []*claimer // who wait, the longest first
	timer    *time.Timer
}

func newQueue(l *leases, f *feed) *queue {
	return &queue{
		leases:  l,
		feed:    f,
		live:    map[vedette.ID]*job{},
		past:    map[vedette.ID]*job{},
		unique:  map[string]*job{},
		waiting: map[string]*job{},
		fired:   map[fire]struct{}{},
		runs:    map[vedette.ScraperID]*runs{},
		cursors: map[vedette.ScraperID]*dueCursor{},
		due: newPile(
			func(a, b *dueCursor) bool { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Scraper, b.Scraper)) < 0 },
			func(c *dueCursor) *int { return &c.place },
		),
		later: newPile(
			func(a, b *job) bool { return a.RunAt.Before(b.RunAt) },
			func(j *job) *int { return &j.place },
		),
		slow: newPile(
			func(a, b *lane) bool { return a.at.Before(b.at) },
			func(l *lane) *int { return &l.slow },
		),
		lines:  map[string]*line{},
		lanes:  map[laneKey]*lane{},
		limits: map[string]*limit{},
		rates:  map[string]*rate{},
		owners: map[string]*owner{},
	}
}

// lock begins a change and returns its time.
func (q *queue) lock() time.Time {
	q.mu.Lock()
	now := time.Now()
	q.promote(now)
	return now
}

// unlock ends a change: whoever waits gets what the change made ready, and the timer is set for
// what time alone will make ready.
func (q *queue) unlock(now time.Time) {
	q.serve(now)
	q.arm(now)
	q.mu.Unlock()
}

// promote makes ready what time alone kept from it.
func (q *queue) promote(now time.Time) {
	for q.later.len() > 0 && !q.later.top().RunAt.After(now) {
		j := q.later.top()
		q.later.drop(j)
		q.ready(j, now)
	}
	for q.slow.len() > 0 && !q.slow.top().at.After(now) {
		q.settle(q.slow.top(), now)
	}
}

// A claimer waits for jobs.
type claimer struct {
	owner string
	n     int
	from  []vedette.Want
	done  chan struct{} // closed when it has them, or an error
	jobs  []vedette.Job
	err   error
}

// Claim takes jobs, as [vedette.Queue] says. Whoever waits is handed its jobs by the change that
// makes them ready, so that no wake-up is lost and the others sleep on.
func (q *queue) Claim(ctx context.Context, owner string, n int, from ...vedette.Want) ([]vedette.Job, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("claim jobs: %w", err)
	}
	c := &claimer{owner: owner, n: n, from: from, done: make(chan struct{})}
	now := q.lock()
	q.claimers = append(q.claimers, c)
	q.unlock(now)
	select {
	case <-c.done:
	case <-ctx.Done():
		q.leave(c, ctx.Err())
	}
	if c.err != nil {
		return nil, fmt.Errorf("claim jobs: %w", c.err)
	}
	return c.jobs, nil
}

// leave ends c's wait with err, unless it has jobs by now.
func (q *queue) leave(c *claimer, err error) {
	now := q.lock()
	defer q.unlock(now)
	if i := slices.Index(q.claimers, c); i >= 0 {
		q.claimers = slices.Delete(q.claimers, i, i+1)
		c.err = err
	}
}

// serve hands jobs to those who wait for them.
func (q *queue) serve(now time.Time) {
	q.claimers = slices.DeleteFunc(q.claimers, func(c *claimer) bool {
		if c.jobs, c.err = q.claim(c, now); c.err == nil && len(c.jobs) == 0 {
			return false
		}
		close(c.done)
		return true
	})
}

// claim takes what c may have at once.
func (q *queue) claim(c *claimer, now time.Time) ([]vedette.Job, error) {
	if _, err := q.owner(c.owner, now); err != nil {
		return nil, err
	}
	var jobs []vedette.Job
	for _, w := range c.from {
		most := c.n
		if w.N > 0 {
			most = min(c.n, len(jobs)+w.N)
		}
		for len(jobs) < most {
			j := q.first(w.Queue)
			if j == nil {
				break
			}
			q.start(j, c.owner, now)
			jobs = append(jobs, q.show(j))
		}
	}
	return jobs, nil
}

// arm sets the timer while there is somebody to be woken by it.
func (q *queue) arm(now time.Time) {
	if len(q.claimers) == 0 {
		return
	}
	var next time.Time
	if q.later.len() > 0 {
		next = q.later.top().RunAt
	}
	if q.slow.len() > 0 && (next.IsZero() || q.slow.top().at.Before(next)) {
		next = q.slow.top().at
	}
	switch {
	case next.IsZero():
	case q.timer == nil:
		q.timer = time.AfterFunc(next.Sub(now), func() { q.unlock(q.lock()) })
	default:
		q.timer.Reset(next.Sub(now))
	}
}
