package redis

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

// endArgs packs ends as lua/finish.lua reads them.
func endArgs(ends []vedette.End) ([]any, error) {
	args := make([]any, 0, len(ends))
	var buf []byte
	for i := range ends {
		e := &ends[i]
		if err := e.Err(); err != nil {
			return nil, err
		}
		size := 64 + len(e.Result) + len(e.Error)
		if cap(buf)-len(buf) < size {
			buf = make([]byte, 0, max(16<<10, size))
		}
		at := len(buf)
		buf = appendRef(buf, e.Ref)
		buf = append(buf, byte(pack.JobStateNum(e.State))) //nolint:gosec // one of eight
		buf = appendTime(buf, e.RunAt)
		for _, text := range []string{e.Result, e.Error} {
			buf = append(binary.BigEndian.AppendUint32(buf, uint32(len(text))), text...) //nolint:gosec // the server takes no longer ones
		}
		args = append(args, buf[at:len(buf):len(buf)])
	}
	return args, nil
}

func appendRef(b []byte, ref vedette.Ref) []byte {
	return appendInt(append(b, ref.Job[:]...), ref.Epoch)
}

// Beat keeps owner alive, as [vedette.Queue] says.
func (q queue) Beat(ctx context.Context, owner string, ttl time.Duration, held ...vedette.Ref) ([]vedette.Order, error) {
	if len(owner) > 10_000 {
		return nil, fmt.Errorf("beat: owner of %d bytes: %w", len(owner), vedette.ErrRefused)
	}
	args := append(make([]any, 0, 2+len(held)), owner, max(ttl.Microseconds(), 0))
	for _, ref := range held {
		args = append(args, appendRef(nil, ref))
	}
	got, err := q.s.call(ctx, "beat", args...)
	if err != nil {
		return nil, fmt.Errorf("beat: %w", err)
	}
	a := answerOf(got)
	orders := a.orders(held)
	q.woken(a)
	if a.err != nil {
		return nil, fmt.Errorf("beat: %w", a.err)
	}
	return orders, nil
}

// orders reads the places of what is lost, then what is to end and why.
func (a *answer) orders(held []vedette.Ref) (all []vedette.Order) {
	for list := a.list(); list.more(); {
		i := list.int()
		if i < 1 || i > int64(len(held)) {
			a.fail(errShape)
			return nil
		}
		all = append(all, vedette.Order{Ref: held[i-1], Lost: true})
	}
	told := map[string]string{}
	list := a.list()
	for list.more() {
		id := list.text()
		told[id] = list.text()
	}
	a.fail(list.err)
	lost := len(all)
	for _, ref := range held {
		reason, is := told[string(ref.Job[:])]
		if is && !slices.ContainsFunc(all[:lost], func(o vedette.Order) bool { return o.Ref == ref }) {
			all = append(all, vedette.Order{Ref: ref, Reason: reason})
		}
	}
	return all
}

// leaseArgs names a lease as base.lua asks for it.
func leaseArgs(l vedette.Lease) []any {
	return []any{l.Name, appendInt(nil, l.Token), l.Owner}
}

// Rescue ends claims that nobody will end, as [vedette.Queue] says.
func (q queue) Rescue(ctx context.Context, leader vedette.Lease) (rescued []vedette.Job, err error) {
	for more := true; more; {
		var some []vedette.Job
		var stages []string
		some, more, stages, err = q.rescue(ctx, leader)
		rescued = append(rescued, some...)
		for _, name := range stages {
			if _, failed := q.drain(ctx, name); failed != nil && err == nil {
				err = failed
			}
		}
		if err != nil {
			return rescued, fmt.Errorf("rescue jobs: %w", err)
		}
	}
	return rescued, nil
}

// rescue ends a piece of them, and returns whether there is more, and large pushes to be ended.
func (q queue) rescue(ctx context.Context, leader vedette.Lease) ([]vedette.Job, bool, []string, error) {
	args := append(leaseArgs(leader), vedette.CancelGrace.Microseconds(), pieceJobs/2)
	got, err := q.s.call(ctx, "rescue", args...)
	if err != nil {
		return nil, false, nil, err
	}
	a := answerOf(got)
	if len(a.rest) != 5 {
		return nil, false, nil, errShape
	}
	at := answer{rest: a.rest[4:]}
	jobs := a.jobs(pack.TimeOf(at.int()))
	for i := range jobs {
		jobs[i].Attempts = nil
	}
	q.woken(a)
	more, stages := a.int() == 1, a.texts()
	return jobs, more, stages, a.err
}

// Retire drops history, as [vedette.Queue] says. What was pushed by a clock that is ahead stays as much
// longer.
func (q queue) Retire(ctx context.Context, leader vedette.Lease, before time.Time) (bool, error) {
	at := max(before.UnixMicro(), 0)
	first := vedette.FirstID(time.UnixMicro(at))
	got, err := q.s.call(ctx, "retire", append(leaseArgs(leader), at, string(first[:]), pieceJobs/2)...)
	if err != nil {
		return false, fmt.Errorf("retire jobs: %w", err)
	}
	a := answer{rest: []any{got}}
	return a.int() == 1, a.err
}
