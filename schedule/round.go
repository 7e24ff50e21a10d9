package schedule

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
)

const (
	// dueAtOnce is how many cursors one transaction moves at most.
	dueAtOnce = 500
	// settleEvery is how often all cursors are brought in line with the scrapers, whether a
	// change was told of or not.
	settleEvery = time.Minute
	// newestRuns is among how many runs of a scraper the last that ended is looked for.
	newestRuns = 50
)

// round moves what is due once, and returns how long to wait until the next.
func (t *term) round(ctx context.Context) (time.Duration, error) {
	now := t.keeper.Now()
	if now.Sub(t.settled).Abs() >= settleEvery {
		if err := t.settle(ctx, now); err != nil {
			return 0, err
		}
		t.settled = now
	}
	due, next, err := t.c.Schedules.Due(ctx, dueAtOnce)
	if err != nil {
		return 0, fmt.Errorf("ask what is due: %w", err)
	}
	now = t.keeper.Now()
	b := batch{term: t}
	for _, c := range due {
		if c.Failed, err = t.failed(ctx, c); err != nil {
			return 0, err
		}
		f := t.decide(c, now)
		if to := f.Now.At; !to.IsZero() && (next.IsZero() || to.Before(next)) {
			next = to
		}
		if err := b.add(ctx, f); err != nil {
			return 0, err
		}
	}
	if err := b.flush(ctx); err != nil {
		return 0, err
	}
	switch {
	case len(due) == dueAtOnce:
		return pace, nil
	case next.IsZero():
		return poll, nil
	}
	return min(max(next.Sub(now), pace), poll), nil
}

// decide says what to do with a cursor at the present time, which is that of the store: it knows
// better than we what is due.
func (t *term) decide(c vedette.Cursor, now time.Time) vedette.Firing {
	k, ok := t.plans[c.Scraper]
	switch {
	case !ok:
		return Drop(c)
	case k.plan == nil:
		return Rest(c, k.version)
	case c.At.After(now) && c.Version == k.version:
		now = c.At
	}
	return k.plan.Decide(c, now)
}

// failed returns the run whose failure keeps the schedule of a scraper from making more: that
// which ended last of the newest runs since the scraper was changed, if it failed.
func (t *term) failed(ctx context.Context, c vedette.Cursor) (vedette.ID, error) {
	k := t.plans[c.Scraper]
	if k.plan == nil || !k.plan.scraper.Schedule.PauseOnFailure || c.Version != k.version {
		return vedette.ID{}, nil
	}
	newest, err := t.c.Jobs.List(ctx, vedette.Job{Scraper: c.Scraper}, vedette.ID{}, newestRuns)
	if err != nil {
		return vedette.ID{}, fmt.Errorf("list runs of %q: %w", c.Scraper, err)
	}
	var last vedette.Job
	for _, j := range newest {
		ended := !j.State.Live() && j.State != vedette.JobCancelled
		if ended && !j.CreatedAt.Before(c.Since) && j.FinishedAt.After(last.FinishedAt) {
			last = j
		}
	}
	if last.State == vedette.JobFailed || last.State == vedette.JobDead {
		return last.ID, nil
	}
	return vedette.ID{}, nil
}

// settle gives new scrapers a cursor, takes that of those that are gone, and reckons anew what
// changed. What is due already is left to the next round, which knows the live jobs.
func (t *term) settle(ctx context.Context, now time.Time) error {
	seen := make(map[vedette.ScraperID]bool, len(t.plans))
	b := batch{term: t}
	for after, more := vedette.ScraperID(""), true; more; {
		page, err := t.c.Schedules.List(ctx, after, dueAtOnce)
		if err != nil {
			return fmt.Errorf("list cursors: %w", err)
		}
		for _, c := range page {
			seen[c.Scraper], after = true, c.Scraper
			k, ok := t.plans[c.Scraper]
			coming := c.At.After(now)
			if !ok || c.At.IsZero() || coming && c.Version != k.version {
				if err := b.add(ctx, t.decide(c, now)); err != nil {
					return err
				}
			}
		}
		more = len(page) == dueAtOnce
	}
	for id := range t.plans {
		if !seen[id] {
			if err := b.add(ctx, t.decide(vedette.Cursor{Scraper: id}, now)); err != nil {
				return err
			}
		}
	}
	return b.flush(ctx)
}

// A batch gathers firings for transactions of a bounded size.
type batch struct {
	*term
	firings []vedette.Firing
	runs    int
}

// add takes a firing, unless it changes nothing.
func (b *batch) add(ctx context.Context, f vedette.Firing) error {
	if f.Was.Version == f.Now.Version && f.Was.At.Equal(f.Now.At) {
		return nil
	}
	b.firings = append(b.firings, f)
	b.runs += len(f.Push)
	if len(b.firings) < dueAtOnce && b.runs < dueAtOnce {
		return nil
	}
	return b.flush(ctx)
}

// flush makes firings happen. If the store refuses runs it finds out whose they are: that scraper
// loses them, and they are counted, instead of holding up all others.
func (b *batch) flush(ctx context.Context) error {
	batch := b.firings
	b.firings, b.runs = nil, 0
	if len(batch) == 0 {
		return nil
	}
	err := b.c.Schedules.Fire(ctx, b.lease, batch...)
	if err == nil {
		return nil
	}
	if !errors.Is(err, vedette.ErrRefused) {
		return fmt.Errorf("fire %d schedules: %w", len(batch), err)
	}
	for _, f := range batch {
		if err := b.fire(ctx, f); err != nil {
			return fmt.Errorf("fire schedule %q: %w", f.Scraper, err)
		}
	}
	return nil
}

func (b *batch) fire(ctx context.Context, f vedette.Firing) error {
	err := b.c.Schedules.Fire(ctx, b.lease, f)
	if !errors.Is(err, vedette.ErrRefused) || len(f.Push) == 0 {
		return err
	}
	b.c.Log.Error("runs are refused and dropped", "scraper", f.Scraper, "runs", len(f.Push), "err", err)
	f.Now.Dropped += int64(len(f.Push))
	f.Now.Last = f.Was.Last
	f.Push, f.Cancel, f.Terminate = nil, nil, nil
	return b.c.Schedules.Fire(ctx, b.lease, f)
}
