package schedule

import (
	"time"

	"github.com/vedettehq/vedette"
)

// backlog is how many live runs the policies that let runs pile up allow one scraper; what its
// schedule makes beyond it is skipped.
const backlog = 10_000

// A turn applies an overlap policy to the due times of one scraper, one after the other.
//
//	policy           keys of the run          while one lives
//	skip             Unique                   nothing
//	buffer_one       UniqueWaiting, Limit 1   a run, unless one waits
//	buffer_all       Limit 1                  a run
//	cancel_other     Limit 1                  cancel all, and a run
//	terminate_other                           end all, and a run
//	allow_all                                 a run
//
// The keys let the store hold to the same whatever was pushed since Live was read. Where runs
// replace each other, only the last of several that are due is pushed: the others would end
// before they began.
type turn struct {
	plan    *Plan
	overlap vedette.Overlap
	live    []vedette.Job
	now     time.Time

	push    []vedette.Job
	skipped int64
}

// queued reports whether runs of this policy wait until the one before has ended.
func queued(o vedette.Overlap) bool {
	return o == vedette.BufferOne || o == vedette.BufferAll || o == vedette.CancelOther
}

// allows reports whether there may be another run, and counts it if not.
func (t *turn) allows() bool {
	ok := true
	switch t.overlap {
	case vedette.Skip:
		ok = len(t.live) == 0 && len(t.push) == 0
	case vedette.BufferOne:
		ok = len(t.push) == 0 && !t.waiting()
	case vedette.BufferAll, vedette.AllowAll:
		ok = len(t.live)+len(t.push) < backlog
	case vedette.CancelOther, vedette.TerminateOther:
	}
	if !ok {
		t.skipped++
	}
	return ok
}

// waiting reports whether a run is live that no worker has begun.
func (t *turn) waiting() bool {
	for i := range t.live {
		if s := t.live[i].State; s == vedette.JobPending || s == vedette.JobScheduled {
			return true
		}
	}
	return false
}

// add takes a run that is allowed.
func (t *turn) add(j vedette.Job) {
	if t.replaces() && len(t.push) > 0 {
		t.push = t.push[:0]
		t.skipped++
	}
	t.push = append(t.push, t.keyed(j))
}

func (t *turn) replaces() bool {
	return t.overlap == vedette.CancelOther || t.overlap == vedette.TerminateOther
}

// keyed sets the keys of the policy.
func (t *turn) keyed(j vedette.Job) vedette.Job {
	key := "scraper/" + string(t.plan.scraper.ID)
	switch t.overlap {
	case vedette.Skip:
		j.Unique = key
	case vedette.BufferOne:
		j.UniqueWaiting = "next/" + string(t.plan.scraper.ID)
	}
	if queued(t.overlap) {
		j.LimitKey, j.Limit = key, 1
	}
	return j
}

// end returns which live runs are to end for what is pushed. One that is to be terminated is to be
// cancelled too: since it was read a worker may have given it back.
func (t *turn) end() (cancel, terminate []vedette.ID) {
	if !t.replaces() || len(t.push) == 0 {
		return nil, nil
	}
	for i := range t.live {
		j := &t.live[i]
		if j.Cancel == "" {
			cancel = append(cancel, j.ID)
		}
		if t.overlap == vedette.TerminateOther {
			terminate = append(terminate, j.ID)
		}
	}
	return cancel, terminate
}

// stamp returns the time for the next ID: runs of one turn sort in the order of their due times.
func (t *turn) stamp() time.Time {
	return t.now.Add(time.Duration(len(t.push)) * time.Microsecond)
}
