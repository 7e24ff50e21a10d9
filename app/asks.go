package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/manifest"
	"github.com/vedettehq/vedette/schedule"
)

// A RunRequest says what is different in a run that somebody asks for.
type RunRequest struct {
	// Params replace keys of the scraper's; null takes one out.
	Params   vedette.Raw
	Priority *int // nil is the scraper's
}

// Run asks for a run of a scraper now. It obeys the overlap policy: where another may not live
// beside it, it reports ErrExists and says which one does.
func (d *Desk) Run(ctx context.Context, name string, r RunRequest) (JobLine, error) {
	s, err := d.Scraper(ctx, name)
	if err != nil {
		return JobLine{}, err
	}
	if s.Job, err = r.Job(s.Job); err != nil {
		return JobLine{}, fmt.Errorf("run %s: %w", s.ID, err)
	}
	return d.trigger(ctx, s, time.Time{})
}

// Job returns what the run starts from instead of j. It reports ErrRefused for params that the
// handler will not take.
func (r RunRequest) Job(j vedette.Job) (vedette.Job, error) {
	if r.Priority != nil {
		j.Priority = *r.Priority
	}
	if r.Params == nil {
		return j, nil
	}
	var err error
	if j.Params, err = mergeParams(j.Params, r.Params); err != nil {
		return j, err
	}
	if err := manifest.ParamMistakes(j.Handler, j.Params).Err(); err != nil {
		return j, fmt.Errorf("params: %w: %w", vedette.ErrRefused, err)
	}
	return j, nil
}

// mergeParams replaces keys of params.
func mergeParams(params, with vedette.Raw) (vedette.Raw, error) {
	all, more := map[string]vedette.Raw{}, map[string]vedette.Raw{}
	if err := json.Unmarshal(with, &more); err != nil {
		return nil, fmt.Errorf("params are no JSON object: %w", vedette.ErrRefused)
	}
	if len(params) > 0 {
		if err := json.Unmarshal(params, &all); err != nil {
			return nil, fmt.Errorf("the scraper's params are no JSON object: %w", vedette.ErrRefused)
		}
	}
	maps.Copy(all, more)
	maps.DeleteFunc(all, func(_ string, v vedette.Raw) bool { return string(v) == "null" })
	return json.Marshal(all)
}

// trigger pushes one run of a scraper, for a time, or for now.
func (d *Desk) trigger(ctx context.Context, s vedette.Scraper, fireAt time.Time) (JobLine, error) {
	plan, err := schedule.Compile(s)
	if err != nil {
		return JobLine{}, fmt.Errorf("scraper %q makes no sense: %w", s.ID, err)
	}
	live, err := d.live(ctx, s.ID)
	if err != nil {
		return JobLine{}, err
	}
	now := time.Now()
	r, err := plan.Trigger(vedette.NewID(now), now, live...)
	if errors.Is(err, vedette.ErrExists) {
		return JobLine{}, stands(s, live)
	}
	if err != nil {
		return JobLine{}, err
	}
	if !fireAt.IsZero() {
		r.Push[0].FireAt = fireAt
	}
	refused, err := d.carryOut(ctx, r)
	if err != nil {
		return JobLine{}, err
	}
	if refused > 0 {
		live, err := d.live(ctx, s.ID)
		return JobLine{}, errors.Join(stands(s, live), err)
	}
	return d.Job(ctx, r.Push[0].ID)
}

// stands says which run stands in the way of another.
func stands(s vedette.Scraper, live []vedette.Job) error {
	overlap := cmp.Or(s.Schedule.Overlap, vedette.Skip)
	if len(live) == 0 {
		return fmt.Errorf("scraper %q: a run was there a moment ago, and its overlap is %s: %w", s.ID, overlap, vedette.ErrExists)
	}
	j := live[len(live)-1]
	return fmt.Errorf("scraper %q: run %s is %s, and the scraper's overlap is %s: wait for it, or vedette jobs cancel %s: %w",
		s.ID, j.ID, j.State, overlap, j.ID, vedette.ErrExists)
}

// carryOut does what a request wants, and returns how many runs came too late.
func (d *Desk) carryOut(ctx context.Context, r schedule.Request) (refused int, err error) {
	if len(r.Cancel) > 0 {
		if err := d.jobs.Cancel(ctx, "a run that was asked for takes its place", r.Cancel...); err != nil {
			return 0, fmt.Errorf("cancel the run before: %w", err)
		}
	}
	ids, err := d.jobs.Push(ctx, r.Push...)
	if err != nil {
		return 0, fmt.Errorf("push jobs: %w", err)
	}
	return len(ids), nil
}

// live returns the live jobs of a scraper, oldest first.
func (d *Desk) live(ctx context.Context, id vedette.ScraperID) (live []vedette.Job, err error) {
	const most = 20_000 // more than any overlap policy lets pile up
	for _, state := range liveStates() {
		some, err := d.jobs.List(ctx, vedette.Job{Scraper: id, State: state}, vedette.ID{}, most)
		if err != nil {
			return nil, fmt.Errorf("list jobs: %w", err)
		}
		live = append(live, some...)
	}
	slices.SortFunc(live, func(a, b vedette.Job) int { return cmp.Compare(a.ID.String(), b.ID.String()) })
	return live, nil
}

func liveStates() []vedette.JobState {
	return []vedette.JobState{vedette.JobScheduled, vedette.JobPending, vedette.JobStarted, vedette.JobRetrying}
}

// A Filled says what a backfill has done.
type Filled struct {
	Scraper vedette.ScraperID `json:"scraper"`
	Pushed  int               `json:"pushed"`
	Skipped int64             `json:"skipped"` // due times that the overlap policy left out
}

// Backfill asks for the runs of a span of due times, and obeys the overlap policy, which it may
// replace. It reports ErrExists where none of them may run beside those that live, and
// ErrRefused for a span in which nothing is due.
func (d *Desk) Backfill(ctx context.Context, name string, from, to time.Time, overlap vedette.Overlap) (Filled, error) {
	s, err := d.Scraper(ctx, name)
	if err != nil {
		return Filled{}, err
	}
	plan, err := schedule.Compile(s)
	if err != nil {
		return Filled{}, fmt.Errorf("scraper %q makes no sense: %w", s.ID, err)
	}
	now := time.Now()
	done := Filled{Scraper: s.ID}
	b := schedule.Backfill{ID: vedette.NewID(now), From: from, To: to, Overlap: overlap}
	for {
		live, err := d.live(ctx, s.ID)
		if err != nil {
			return done, err
		}
		r, err := plan.Backfill(b, now, live...)
		switch {
		case errors.Is(err, vedette.ErrExists) && done.Pushed > 0:
			return done, nil // what is left waits for those that were pushed
		case errors.Is(err, vedette.ErrExists):
			s.Schedule.Overlap = cmp.Or(overlap, s.Schedule.Overlap)
			return done, stands(s, live)
		case err != nil:
			return done, err
		}
		refused, err := d.carryOut(ctx, r)
		if err != nil {
			return done, err
		}
		done.Pushed += len(r.Push) - refused
		done.Skipped += r.Skipped + int64(refused)
		if r.Next.IsZero() {
			return done, nil
		}
		b.From = r.Next
	}
}

// Retry runs a job again that failed, died or was cancelled, as a new job of the same params,
// for the same time. It obeys the overlap policy of its scraper, as [Desk.Run] does. It reports
// ErrRefused for one that lives or has succeeded.
func (d *Desk) Retry(ctx context.Context, id vedette.ID) (JobLine, error) {
	j, err := d.get(ctx, id)
	if err != nil {
		return JobLine{}, err
	}
	switch {
	case j.State.Live():
		return JobLine{}, fmt.Errorf("job %s is %s: it has not ended: %w", id, j.State, vedette.ErrRefused)
	case j.State == vedette.JobSucceeded:
		return JobLine{}, fmt.Errorf("job %s has succeeded: to run it again say vedette run: %w", id, vedette.ErrRefused)
	}
	if j.Scraper != "" {
		s, err := d.scrapers.Get(ctx, j.Scraper)
		if err == nil {
			s.Job.Handler, s.Job.Params, s.Job.Queue, s.Job.Priority = j.Handler, j.Params, j.Queue, j.Priority
			return d.trigger(ctx, s, j.FireAt)
		}
		if !errors.Is(err, vedette.ErrNotFound) {
			return JobLine{}, fmt.Errorf("read scraper %q: %w", j.Scraper, err)
		}
	}
	again := again(j)
	refused, err := d.jobs.Push(ctx, again)
	switch {
	case err != nil:
		return JobLine{}, fmt.Errorf("push job: %w", err)
	case len(refused) > 0:
		return JobLine{}, fmt.Errorf("job %s: another of its key lives: %w", id, vedette.ErrExists)
	}
	return d.Job(ctx, again.ID)
}

// again returns a new job that is as an old one was when it was pushed.
func again(j vedette.Job) vedette.Job {
	return vedette.Job{
		ID: vedette.NewID(time.Now()), Scraper: j.Scraper, Handler: j.Handler, Params: j.Params, Queue: j.Queue, Priority: j.Priority,
		FireAt: j.FireAt, Timeout: j.Timeout, MaxAttempts: j.MaxAttempts, RetryAfter: j.RetryAfter, Keep: j.Keep,
		Unique: j.Unique, UniqueWaiting: j.UniqueWaiting, LimitKey: j.LimitKey, Limit: j.Limit,
		RateKey: j.RateKey, RateEvery: j.RateEvery, RateBurst: j.RateBurst,
	}
}
