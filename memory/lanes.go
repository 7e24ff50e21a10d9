package memory

import (
	"time"

	"github.com/vedettehq/vedette"
)

// A line is what is known of one queue by name.
type line struct {
	paused bool
	lanes  int         // all of its
	open   pile[*lane] // those whose first job may start
}

// A lane holds the pending jobs of one queue that the same limits hold back: all of them may
// start, or none. What is full costs a claim nothing, however much of it there is.
type lane struct {
	key   laneKey
	jobs  pile[*job]
	place int       // in its line
	slow  int       // its place among those that wait for their rate
	at    time.Time // until when it waits
}

type laneKey struct {
	queue    string
	limitKey string
	limit    int
	rateKey  string
	every    time.Duration
	burst    int
}

// A limit counts the started jobs of a LimitKey.
type limit struct {
	started int
	lanes   map[*lane]struct{}
}

// A rate is a generic cell rate algorithm: a virtual clock that each start moves on by RateEvery,
// and that may be ahead of the real one by the burst.
type rate struct {
	clock time.Time
	lanes map[*lane]struct{}
}

func laneOf(j *job) laneKey {
	key := laneKey{queue: j.Queue, limitKey: j.LimitKey, limit: j.Limit}
	if j.RateEvery > 0 {
		key.rateKey, key.every, key.burst = j.RateKey, j.RateEvery, max(j.RateBurst, 1)
	}
	return key
}

// sooner is the order in which jobs start.
func sooner(a, b *job) bool {
	if a.Priority != b.Priority {
		return a.Priority < b.Priority
	}
	if order := a.RunAt.Compare(b.RunAt); order != 0 {
		return order < 0
	}
	return compareIDs(a.ID, b.ID) < 0
}

// line returns that of a name.
func (q *queue) line(name string) *line {
	own := q.lines[name]
	if own == nil {
		own = &line{open: newPile(
			func(a, b *lane) bool { return sooner(a.jobs.top(), b.jobs.top()) },
			func(l *lane) *int { return &l.place },
		)}
		q.lines[name] = own
	}
	return own
}

// ready makes j pending.
func (q *queue) ready(j *job, now time.Time) {
	j.State = vedette.JobPending
	key := laneOf(j)
	l := q.lanes[key]
	if l == nil {
		l = q.open(key)
	}
	j.lane = l
	l.jobs.put(j)
	q.settle(l, now)
}

// open adds a lane.
func (q *queue) open(key laneKey) *lane {
	l := &lane{key: key, jobs: newPile(sooner, func(j *job) *int { return &j.place })}
	q.lanes[key] = l
	q.line(key.queue).lanes++
	if key.limit > 0 {
		q.limit(key.limitKey).lanes[l] = struct{}{}
	}
	if key.every > 0 {
		q.rate(key.rateKey).lanes[l] = struct{}{}
	}
	return l
}

// limit returns that of a key.
func (q *queue) limit(key string) *limit {
	if q.limits[key] == nil {
		q.limits[key] = &limit{lanes: map[*lane]struct{}{}}
	}
	return q.limits[key]
}

// rate returns that of a key.
func (q *queue) rate(key string) *rate {
	if q.rates[key] == nil {
		q.rates[key] = &rate{lanes: map[*lane]struct{}{}}
	}
	return q.rates[key]
}

// settle puts l where it belongs by now.
func (q *queue) settle(l *lane, now time.Time) {
	own := q.line(l.key.queue)
	full, at := q.held(l)
	empty := l.jobs.len() == 0
	slow := !empty && !full && at.After(now)
	open := !empty && !full && !slow
	if !slow {
		q.slow.drop(l)
	}
	if !open {
		own.open.drop(l)
	}
	switch {
	case empty:
		q.shut(l, now)
	case slow:
		l.at = at
		q.slow.put(l)
	case open:
		own.open.put(l)
	}
}

// held says whether the limit of l is reached, and until when its rate is.
func (q *queue) held(l *lane) (full bool, until time.Time) {
	full = l.key.limit > 0 && q.limit(l.key.limitKey).started >= l.key.limit
	if l.key.every > 0 {
		until = q.rate(l.key.rateKey).clock.Add(-time.Duration(l.key.burst-1) * l.key.every)
	}
	return full, until
}

// shut forgets an empty lane and what was known for its sake alone.
func (q *queue) shut(l *lane, now time.Time) {
	delete(q.lanes, l.key)
	own := q.line(l.key.queue)
	if own.lanes--; own.lanes == 0 && !own.paused {
		delete(q.lines, l.key.queue)
	}
	if l.key.limit > 0 {
		delete(q.limits[l.key.limitKey].lanes, l)
		q.forget(l.key.limitKey)
	}
	if l.key.every == 0 {
		return
	}
	r := q.rates[l.key.rateKey]
	delete(r.lanes, l)
	if len(r.lanes) == 0 && r.clock.Before(now) {
		delete(q.rates, l.key.rateKey)
	}
}

// forget drops a limit that neither counts nor holds back anything.
func (q *queue) forget(key string) {
	if own := q.limits[key]; own != nil && own.started == 0 && len(own.lanes) == 0 {
		delete(q.limits, key)
	}
}

// first returns the job of a queue that starts next, or nil.
func (q *queue) first(name string) *job {
	own := q.lines[name]
	if own == nil || own.paused || own.open.len() == 0 {
		return nil
	}
	return own.open.top().jobs.top()
}

// unqueue takes j, which is not started, out of where it waits.
func (q *queue) unqueue(j *job, now time.Time) {
	if j.lane == nil {
		q.later.drop(j)
		return
	}
	l := j.lane
	j.lane = nil
	l.jobs.drop(j)
	q.settle(l, now)
}

// occupy counts a start of j against its limits.
func (q *queue) occupy(j *job, now time.Time) {
	if j.LimitKey != "" {
		own := q.limit(j.LimitKey)
		own.started++
		q.resettle(own.lanes, now)
	}
	if j.RateEvery > 0 {
		r := q.rate(j.RateKey)
		if r.clock.Before(now) {
			r.clock = now
		}
		r.clock = r.clock.Add(j.RateEvery)
		q.resettle(r.lanes, now)
	}
}

// vacate frees the slot of j, which is started no more.
func (q *queue) vacate(j *job, now time.Time) {
	if j.LimitKey == "" {
		return
	}
	own := q.limits[j.LimitKey]
	own.started--
	q.resettle(own.lanes, now)
	q.forget(j.LimitKey)
}

func (q *queue) resettle(lanes map[*lane]struct{}, now time.Time) {
	for l := range lanes {
		q.settle(l, now)
	}
}
