package redis

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

var (
	_ vedette.Jobs   = queue{}
	_ vedette.Queue  = queue{}
	_ vedette.Queues = queue{}
)

// A queue keeps jobs.
type queue struct{ s *Store }

// One call of the server is held to pieces, so that others need not wait for long.
const (
	pieceJobs  = 1000
	pieceEnds  = 500 // an end costs more than a claim, and those who claim wait for it
	pieceBytes = 1 << 20
)

// Calls of few share a round trip with others: together they are no more than a piece.
const (
	fewJobs  = 10
	fewBytes = 10 << 10
	fewCalls = pieceJobs / fewJobs
)

// few says whether args, some for each job, are few.
func few(args []any, each int) bool {
	size := 0
	for _, arg := range args {
		size += len(arg.([]byte))
	}
	return len(args) <= fewJobs*each && size <= fewBytes
}

// fresh returns j as it begins: what is the queue's to say is not taken from whoever pushes it.
func fresh(j vedette.Job) vedette.Job {
	j.Queue = cmp.Or(j.Queue, vedette.DefaultQueue)
	j.MaxAttempts = max(j.MaxAttempts, 1)
	j.CreatedAt = time.Time{}
	return j
}

// pushArgs returns two arguments for each job: its place, and the rest of its blob.
func pushArgs(jobs []vedette.Job) ([]any, error) {
	args := make([]any, 0, 2*len(jobs))
	var buf []byte
	for i := range jobs {
		if err := jobs[i].Err(); err != nil {
			return nil, err
		}
		j := fresh(jobs[i])
		if err := fits(&j); err != nil {
			return nil, err
		}
		if cap(buf)-len(buf) < 512+len(j.Params) {
			buf = make([]byte, 0, max(16<<10, 512+len(j.Params)))
		}
		at := len(buf)
		buf = appendPlace(buf, &j)
		mid := len(buf)
		buf = appendRest(buf, &j)
		args = append(args, buf[at:mid:mid], buf[mid:len(buf):len(buf)])
	}
	return args, nil
}

// pieces cuts what comes in pairs to pieces that one call may have.
func pieces(args []any) (all [][]any) {
	from, size := 0, 0
	for i := 0; i < len(args); i += 2 {
		n := len(args[i].([]byte)) + len(args[i+1].([]byte))
		if i > from && (i-from >= 2*pieceJobs || size+n > pieceBytes) {
			all = append(all, args[from:i])
			from, size = i, 0
		}
		size += n
	}
	return append(all, args[from:])
}

// Push adds jobs, as [vedette.Jobs] says.
func (q queue) Push(ctx context.Context, jobs ...vedette.Job) ([]vedette.ID, error) {
	args, err := pushArgs(jobs)
	if err != nil {
		return nil, fmt.Errorf("push jobs: %w", err)
	}
	var refused []vedette.ID
	if few(args, 2) {
		refused, err = q.s.pushes.Call(ctx, args)
	} else if all := pieces(args); len(all) > 1 {
		refused, err = q.pushLarge(ctx, all)
	} else {
		refused, err = q.pushed(q.s.call(ctx, "push", args...))
	}
	if err != nil {
		return nil, fmt.Errorf("push jobs: %w", err)
	}
	return refused, nil
}

// push makes one call for some callers, and returns who of each is refused: the server names them in
// the order in which they came.
func (q queue) push(ctx context.Context, all [][]any) ([][]vedette.ID, error) {
	refused, err := q.pushed(q.s.call(ctx, "push", slices.Concat(all...)...))
	if err != nil {
		return nil, err
	}
	each := make([][]vedette.ID, len(all))
	for i, args := range all {
		for k := 0; k < len(args) && len(refused) > 0; k += 2 {
			if bytes.Equal(args[k].([]byte)[16:], refused[0][:]) {
				each[i], refused = append(each[i], refused[0]), refused[1:]
			}
		}
	}
	return each, nil
}

// pushed reads what a push came to.
func (q queue) pushed(got any, err error) ([]vedette.ID, error) {
	if err != nil {
		return nil, err
	}
	a := answerOf(got)
	refused := a.ids()
	q.woken(a)
	return refused, a.err
}

// woken wakes who waits here for queues in which something became ready.
func (q queue) woken(a *answer) {
	if queues := a.texts(); len(queues) > 0 {
		q.s.wakes.woken(queues)
	}
}

func (a *answer) ids() (all []vedette.ID) {
	for _, text := range a.texts() {
		if len(text) != len(vedette.ID{}) {
			a.fail(errShape)
			return nil
		}
		all = append(all, vedette.ID([]byte(text)))
	}
	return all
}

// idArgs returns IDs as scripts take them.
func idArgs(ids []vedette.ID) []any {
	args := make([]any, len(ids))
	for i := range ids {
		args[i] = string(ids[i][:])
	}
	return args
}

// Cancel ends jobs, as [vedette.Jobs] says.
func (q queue) Cancel(ctx context.Context, reason string, ids ...vedette.ID) error {
	for some := range slices.Chunk(ids, pieceJobs) {
		got, err := q.s.call(ctx, "cancel", append([]any{cmp.Or(reason, "cancelled")}, idArgs(some)...)...)
		if err != nil {
			return fmt.Errorf("cancel jobs: %w", err)
		}
		a := answer{rest: []any{got}}
		if q.woken(&a); a.err != nil {
			return fmt.Errorf("cancel jobs: %w", a.err)
		}
	}
	return nil
}

// Get returns a job, as [vedette.Jobs] says.
func (q queue) Get(ctx context.Context, id vedette.ID) (vedette.Job, error) {
	jobs, err := q.read(q.s.call(ctx, "get", idArgs([]vedette.ID{id})...))
	if err == nil && len(jobs) == 0 {
		err = vedette.ErrNotFound
	}
	if err != nil {
		return vedette.Job{}, fmt.Errorf("job %s: %w", id, err)
	}
	return jobs[0], nil
}

// read reads jobs behind which the time stands.
func (q queue) read(got any, err error) ([]vedette.Job, error) {
	if err != nil {
		return nil, err
	}
	a := answerOf(got)
	if len(a.rest) != 2 {
		return nil, errShape
	}
	at := answer{rest: a.rest[1:]}
	jobs := a.jobs(pack.TimeOf(at.int()))
	a.fail(at.err)
	return jobs, a.err
}

// List returns jobs, as [vedette.Jobs] says. What no index leads to is looked for among all, from the
// newest on.
func (q queue) List(ctx context.Context, like vedette.Job, before vedette.ID, n int) ([]vedette.Job, error) {
	var page []vedette.Job
	sets := indexes(like)
	for ask := min(n, pieceJobs); len(page) < n; ask = pieceJobs {
		below := "+"
		if !before.IsZero() {
			below = "(" + string(before[:])
		}
		jobs, err := q.read(q.s.call(ctx, "list", append([]any{below, ask}, sets...)...))
		if err != nil {
			return nil, fmt.Errorf("list jobs: %w", err)
		}
		slices.SortFunc(jobs, func(a, b vedette.Job) int { return bytes.Compare(b.ID[:], a.ID[:]) })
		jobs = jobs[:min(len(jobs), ask)]
		for _, j := range jobs {
			if agrees(j, like) && len(page) < n {
				j.Attempts = nil
				page = append(page, j)
			}
		}
		if len(jobs) < ask {
			break
		}
		before = jobs[len(jobs)-1].ID
	}
	return page, nil
}

// indexes returns the sorted sets that hold all jobs that agree with like.
func indexes(like vedette.Job) []any {
	switch {
	case like.Scraper != "":
		return []any{"live:" + string(like.Scraper), "done:" + string(like.Scraper)}
	case like.State == vedette.JobFailed, like.State == vedette.JobDead, like.State == vedette.JobCancelled:
		return []any{"ended:" + strconv.FormatInt(pack.JobStateNum(like.State), 10)}
	}
	return []any{"ids"}
}

func agrees(j, like vedette.Job) bool {
	return (like.Scraper == "" || j.Scraper == like.Scraper) &&
		(like.Handler == "" || j.Handler == like.Handler) &&
		(like.Queue == "" || j.Queue == like.Queue) &&
		(like.State == "" || j.State == like.State) &&
		(like.Owner == "" || j.Owner == like.Owner)
}
