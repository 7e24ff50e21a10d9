package schedule

import (
	"context"
	"errors"
	"time"

	"github.com/vedettehq/vedette"
)

// retireEvery is how often history is retired.
const retireEvery = time.Minute

// tidy gives the jobs of lost workers to others, at once and then at every sweep, and retires
// history, until ctx ends or the lease is lost.
func (t *term) tidy(ctx context.Context) {
	tick := time.NewTicker(t.c.Sweep)
	defer tick.Stop()
	var retired time.Time
	for told := false; ctx.Err() == nil; {
		err := t.rescue(ctx)
		if now := t.keeper.Now(); err == nil && now.Sub(retired).Abs() >= retireEvery {
			retired = now
			err = t.retire(ctx, now.Add(-t.c.History))
		}
		if errors.Is(err, vedette.ErrLeaseLost) {
			return
		}
		if err != nil && !told && ctx.Err() == nil {
			t.c.Log.Error("jobs are not tidied, trying again", "err", err)
		}
		told = err != nil
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

func (t *term) rescue(ctx context.Context) error {
	lost, err := t.c.Queue.Rescue(ctx, t.lease)
	if len(lost) > 0 {
		t.c.Log.Warn("jobs were rescued from lost workers", "jobs", len(lost))
	}
	return err
}

func (t *term) retire(ctx context.Context, before time.Time) error {
	for more := true; more; {
		var err error
		if more, err = t.c.Queue.Retire(ctx, t.lease, before); err != nil {
			return err
		}
	}
	return nil
}
