package postgres

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/vedettehq/vedette"
)

// A claim of many jobs takes them: each stays in the index of what is ready, and no index learns of
// the claim, which then costs half as much. Most of such jobs end at once, so what is taken is few
// at a time. What a claim took stands in one row of claims, until all of it has ended, or it is
// settled: started as small claims do it, and found by its owner from then on. The second beat after
// the claim settles what is left, and Rescue when the owner is lost.
const (
	// takenFrom is from how many jobs on a claim takes them.
	takenFrom = 24

	// settleMost is how many claims one transaction settles of lost owners.
	settleMost = 200

	settleSome = ` returning owner, jobs
	), j as materialized (
		select id from jobs
		where id = any (array(select unnest(jobs) from c)) and owner = any (array(select owner from c)) and state = 2
		order by id for update
	), u as (
		update jobs set state = 3, holder = owner where id = any (array(select id from j))
	)
	select count(*) from c`

	// settleOld drops the claims $3 of $1, which have ended, and settles those of two beats ago,
	// when it has beaten $2 times.
	settleOld = `with ended as (
		delete from claims where owner = $1 and n = any ($3::int8[])
	), c as (
		delete from claims where owner = $1 and n <> all ($3::int8[]) and beat <= $2 - 2` + settleSome

	// settleLost settles some of what the owners of $1 took.
	settleLost = `with c as (
		delete from claims where ctid = any (array(select ctid from claims where owner = any ($1::text[]) limit $2))` + settleSome
)

// A ledger knows which claims of this process have ended, so that the server need not look for
// their jobs. It is safe for concurrent use.
type ledger struct {
	mu    sync.Mutex
	last  int64
	open  map[vedette.Ref]*entry
	ended map[string][]int64 // by owner, what its next beat drops
}

// An entry is one claim that took jobs.
type entry struct {
	owner string
	n     int64 // names it among those of its owner
	left  int   // jobs that have not ended
}

// next returns the number of a claim.
func (l *ledger) next() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == 0 {
		l.last = rand.Int64() >> 1 //nolint:gosec // others may claim for the same owner
	}
	l.last++
	return l.last
}

// enter notes what the claim n took.
func (l *ledger) enter(owner string, n int64, jobs []vedette.Job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open, l.ended = map[vedette.Ref]*entry{}, map[string][]int64{}
	}
	e := &entry{owner, n, len(jobs)}
	for i := range jobs {
		l.open[jobs[i].Ref()] = e
	}
}

// end notes that nobody holds the claims of jobs any more.
func (l *ledger) end(refs ...vedette.Ref) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ref := range refs {
		e := l.open[ref]
		if e == nil {
			continue
		}
		delete(l.open, ref)
		if e.left--; e.left == 0 {
			l.ended[e.owner] = append(l.ended[e.owner], e.n)
		}
	}
}

// of returns the claims of owner that have ended, until they are dropped.
func (l *ledger) of(owner string) []int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.ended[owner])
}

// drop forgets what of returned.
func (l *ledger) drop(owner string, ended []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.ended[owner]
	if len(ended) == 0 || len(all) < len(ended) || all[0] != ended[0] {
		return
	}
	if l.ended[owner] = all[len(ended):]; len(all) == len(ended) {
		delete(l.ended, owner)
	}
}

// forget forgets an owner who lives no more.
func (l *ledger) forget(owner string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.ended, owner)
	maps.DeleteFunc(l.open, func(_ vedette.Ref, e *entry) bool { return e.owner == owner })
}
