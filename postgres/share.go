package postgres

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/group"
)

const (
	// fewJobs and fewEnds are how many of a call share a statement with those of others; more are
	// worth one of their own.
	fewJobs = 16
	fewEnds = 16
	// flights is how many statements for several callers are under way at once, so that one that
	// waits for a lock does not hold up all.
	flights = 2
)

// Shared are the calls that go together.
type shared struct {
	pushes group.Group[*pushing, answer[[]vedette.ID]]
	ends   group.Group[[]vedette.End, answer[[]vedette.Ref]]
}

// An answer is what one of several callers is told.
type answer[T any] struct {
	got T
	err error
}

// share lets small calls of s go together.
func (s *Store) share() {
	s.shared.pushes.Limit, s.shared.pushes.Do = flights, func(ctx context.Context, all []*pushing) ([]answer[[]vedette.ID], error) {
		return apart(ctx, all, queue{s}.pushAll)
	}
	s.shared.ends.Limit, s.shared.ends.Do = flights, func(ctx context.Context, all [][]vedette.End) ([]answer[[]vedette.Ref], error) {
		return apart(ctx, all, queue{s}.finishAll)
	}
}

// apart makes one call for all. What the server refuses it makes again for each alone, so that
// nobody is told of what another said.
func apart[In, Out any](ctx context.Context, all []In, do func(context.Context, []In) ([]Out, error)) ([]answer[Out], error) {
	got, err := do(ctx, all)
	if err != nil && (len(all) == 1 || !errors.Is(refused(err), vedette.ErrRefused)) {
		return nil, err
	}
	answers := make([]answer[Out], len(all))
	for i := range all {
		if err == nil {
			answers[i].got = got[i]
			continue
		}
		one, err := do(ctx, all[i:i+1])
		if answers[i].err = err; err == nil {
			answers[i].got = one[0]
		}
	}
	return answers, nil
}

// alone reports whether p is worth a statement of its own, or may wait for others: for keys and
// limits.
func (p *pushing) alone() bool { return len(p.jobs) > fewJobs || p.keyed || p.limited }

// pushAll adds the jobs of several callers, none of which may be alone unless it is the only one.
func (q queue) pushAll(ctx context.Context, all []*pushing) ([][]vedette.ID, error) {
	out, err := q.push(ctx, together(all))
	if err != nil {
		return nil, err
	}
	outs := make([][]vedette.ID, len(all))
	for i, p := range all {
		outs[i] = p.among(out)
	}
	return outs, nil
}

// together returns the jobs of all as one pushing.
func together(all []*pushing) *pushing {
	if len(all) == 1 {
		return all[0]
	}
	sum := *all[0]
	sum.jobs = slices.Clone(sum.jobs)
	for _, p := range all[1:] {
		sum.jobs = append(sum.jobs, p.jobs...)
		sum.plain = sum.plain && p.plain
		if bytes.Compare(p.low[:], sum.low[:]) < 0 {
			sum.low = p.low
		}
		if bytes.Compare(p.high[:], sum.high[:]) > 0 {
			sum.high = p.high
		}
	}
	return &sum
}

// among returns those of ids that p has.
func (p *pushing) among(ids []vedette.ID) (mine []vedette.ID) {
	for _, id := range ids {
		if slices.ContainsFunc(p.jobs, func(j vedette.Job) bool { return j.ID == id }) {
			mine = append(mine, id)
		}
	}
	return mine
}

// finishAll says how the claims of several callers ended, as if each of them had said so in turn.
func (q queue) finishAll(ctx context.Context, all [][]vedette.End) ([][]vedette.Ref, error) {
	ends := all[0]
	if len(all) > 1 {
		ends = nil
		for _, some := range all {
			ends = append(ends, some...)
		}
	}
	found, err := q.finish(ctx, ends)
	if err != nil {
		return nil, err
	}
	stale := make([][]vedette.Ref, len(all))
	for i, some := range all {
		stale[i] = staleOf(some, found)
	}
	return stale, nil
}
