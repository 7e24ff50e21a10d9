package redis

import (
	"context"
	"fmt"
	"slices"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

// Queues counts the live jobs, as [vedette.Jobs] says.
func (q queue) Queues(ctx context.Context) ([]vedette.QueueState, error) {
	names, err := q.s.db.SMembers(ctx, q.s.prefix+":queues").Result()
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	slices.Sort(names)
	var all []vedette.QueueState
	for some := range slices.Chunk(names, 20) {
		states, err := q.states(ctx, some)
		if err != nil {
			return nil, fmt.Errorf("count queues: %w", err)
		}
		all = append(all, states...)
	}
	return all, nil
}

func (q queue) states(ctx context.Context, names []string) (all []vedette.QueueState, err error) {
	script, promotes := "queues", 1
	if q.s.readOnly {
		script, promotes = "count", 0
	}
	args := []any{promotes}
	for _, name := range names {
		args = append(args, name)
	}
	got, err := q.s.call(ctx, script, args...)
	if err != nil {
		return nil, err
	}
	a := answerOf(got)
	for list := a.list(); list.more(); {
		one := list.list()
		st := one.state()
		if len(st.Ready)+st.Held+st.Scheduled+st.Started > 0 || st.Paused {
			all = append(all, st)
		}
		a.fail(one.err)
		a.fail(list.err)
	}
	q.woken(a)
	return all, a.err
}

// state reads what is said of one queue.
func (a *answer) state() vedette.QueueState {
	st := vedette.QueueState{
		Name: a.text(), Paused: a.int() == 1, Held: int(a.int()), Scheduled: int(a.int()), Started: int(a.int()),
		Oldest: pack.TimeOf(a.int()), Ready: map[int]int{},
	}
	for ready := a.list(); ready.more(); {
		if priority, n := ready.text(), ready.int(); len(priority) == 8 && n > 0 {
			st.Ready[priorityOf(priority)] = int(n)
		}
		a.fail(ready.err)
	}
	return st
}

// Pause stops claims, as [vedette.Queues] says.
func (q queue) Pause(ctx context.Context, queues ...string) error {
	return q.pause(ctx, "SADD", queues)
}

// Resume lets claims go on, as [vedette.Queues] says.
func (q queue) Resume(ctx context.Context, queues ...string) error {
	return q.pause(ctx, "SREM", queues)
}

func (q queue) pause(ctx context.Context, command string, queues []string) error {
	args := []any{command}
	for _, name := range queues {
		args = append(args, name)
	}
	got, err := q.s.call(ctx, "pause", args...)
	if err != nil {
		return fmt.Errorf("pause or resume queues: %w", err)
	}
	a := answer{rest: []any{got}}
	q.woken(&a)
	return a.err
}
