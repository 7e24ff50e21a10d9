package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
)

// patience is how long a call may take that is not given up with the context of who waits for it: its
// jobs would be nobody's.
const patience = 5 * time.Second

// Claim takes jobs, as [vedette.Queue] says.
func (q queue) Claim(ctx context.Context, owner string, n int, from ...vedette.Want) ([]vedette.Job, error) {
	if len(from) == 1 && from[0].N > 0 {
		n, from = min(n, from[0].N), []vedette.Want{{Queue: from[0].Queue}}
	}
	jobs, err := q.s.desks.claim(ctx, q, owner, max(n, 0), from)
	if err != nil {
		return nil, fmt.Errorf("claim jobs: %w", err)
	}
	return jobs, nil
}

// take claims what there is, in pieces, or says for how long to sleep.
func (q queue) take(ctx context.Context, owner string, n int, from []vedette.Want) (all []vedette.Job, sleep time.Duration, err error) {
	if q.s.readOnly {
		return nil, 0, vedette.ErrReadOnly
	}
	from = append([]vedette.Want(nil), from...)
	for {
		var jobs []vedette.Job
		most := min(n-len(all), pieceJobs)
		jobs, from, sleep, err = q.piece(ctx, owner, most, from)
		all = append(all, jobs...)
		if len(all) > 0 && err != nil {
			return all, 0, nil //nolint:nilerr // they are claimed, whatever comes of the others
		}
		if err != nil || len(jobs) < most || len(all) >= n || len(from) == 0 {
			return all, sleep, err
		}
	}
}

// piece claims up to n jobs by one call, and returns what is still wanted.
func (q queue) piece(ctx context.Context, owner string, n int, from []vedette.Want) ([]vedette.Job, []vedette.Want, time.Duration, error) {
	args := append(make([]any, 0, 2+2*len(from)), owner, n)
	for _, w := range from {
		args = append(args, w.Queue, w.N)
	}
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	got, err := q.s.call(patient, "claim", args...)
	if err != nil {
		return nil, nil, 0, err
	}
	a := answerOf(got)
	jobs := a.claimed()
	left := a.left(from)
	sleep := nap()
	if us := a.int(); us >= 0 {
		sleep = min(sleep, time.Duration(us)*time.Microsecond)
	}
	q.woken(a)
	return jobs, left, sleep, a.err
}

// claimed reads rows of three values: ID, blob and record.
func (a *answer) claimed() []vedette.Job {
	list := a.list()
	jobs := make([]vedette.Job, 0, len(list.rest)/3)
	for list.more() {
		j, err := jobOf(list.text(), list.text(), list.text(), 0, time.Time{})
		j.Attempts = nil
		list.fail(err)
		jobs = append(jobs, j)
	}
	a.fail(list.err)
	return jobs
}

// left reads how many were taken for each want, and returns what is left of them.
func (a *answer) left(from []vedette.Want) []vedette.Want {
	var rest []vedette.Want
	counts := a.list()
	for _, w := range from {
		taken := int(counts.int())
		if w.N > 0 && taken >= w.N {
			continue
		}
		if w.N > 0 {
			w.N -= taken
		}
		rest = append(rest, w)
	}
	a.fail(counts.err)
	return rest
}

// An ending is what one caller ends, packed.
type ending struct {
	ends []vedette.End
	args []any
}

// Finish ends claims, as [vedette.Queue] says.
func (q queue) Finish(ctx context.Context, ends ...vedette.End) (stale []vedette.Ref, err error) {
	args, err := endArgs(ends)
	if err == nil && few(args, 1) {
		stale, err = q.s.ends.Call(ctx, ending{ends, args})
	} else if err == nil {
		stale, err = q.finishMany(ctx, ends, args)
	}
	if err != nil {
		return nil, fmt.Errorf("finish jobs: %w", err)
	}
	return stale, nil
}

// finishMany ends claims in pieces.
func (q queue) finishMany(ctx context.Context, ends []vedette.End, args []any) (stale []vedette.Ref, err error) {
	for from := 0; from < len(args) || from == 0; {
		to, size := from, 0
		for to < len(args) && to-from < pieceEnds && (to == from || size < pieceBytes) {
			size += len(args[to].([]byte))
			to++
		}
		some, err := q.finish(ctx, []ending{{ends[from:to], args[from:to]}})
		if err != nil {
			return nil, err
		}
		stale = append(stale, some[0]...)
		from = max(to, 1)
	}
	return stale, nil
}

// finish ends what some callers end, and returns what is stale of each.
func (q queue) finish(ctx context.Context, all []ending) (stale [][]vedette.Ref, err error) {
	var args []any
	for _, one := range all {
		args = append(args, one.args...)
	}
	got, err := q.s.call(ctx, "finish", args...)
	if err != nil {
		return nil, err
	}
	a := answerOf(got)
	stale = make([][]vedette.Ref, len(all))
	whose, before := 0, int64(0)
	for list := a.list(); list.more(); {
		i := list.int()
		for whose < len(all) && i > before+int64(len(all[whose].ends)) {
			before += int64(len(all[whose].ends))
			whose++
		}
		if i <= before || whose == len(all) {
			return nil, errors.Join(errShape, list.err)
		}
		stale[whose] = append(stale[whose], all[whose].ends[i-before-1].Ref)
	}
	q.woken(a)
	return stale, a.err
}
