package redis

import (
	"context"
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
)

// pushLarge adds jobs that are too many for one call. They are put aside in pieces, then committed by
// one call, and from then on added in pieces: if it stops on the way, Rescue goes on, so that all of
// them are pushed, or none.
func (q queue) pushLarge(ctx context.Context, all [][]any) ([]vedette.ID, error) {
	name, n := vedette.NewID(time.Now()).String(), 0
	for _, piece := range all {
		if _, err := q.s.call(ctx, "stage", append([]any{name}, piece...)...); err != nil {
			return nil, fmt.Errorf("put %d aside: %w", len(piece)/2, err)
		}
		n += len(piece)
	}
	if _, err := q.s.call(ctx, "commit", name, n); err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	return q.drain(context.WithoutCancel(ctx), name)
}

// drain adds what was committed.
func (q queue) drain(ctx context.Context, name string) (refused []vedette.ID, err error) {
	for {
		got, err := q.s.call(ctx, "drain", name, 2*pieceJobs)
		if err != nil {
			return nil, err
		}
		a := answerOf(got)
		refused = append(refused, a.ids()...)
		q.woken(a)
		if left := a.int(); left == 0 || a.err != nil {
			return refused, a.err
		}
	}
}
