package record

import (
	"context"
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/sketch"
	"github.com/vedettehq/vedette/verdict"
)

const (
	settleTime = 2 * time.Minute // how long after an hour's end its rollup is made
	slotPiece  = 25              // slots rolled up in one transaction
	// share is how much of the time keeping may take while there is more to do, so that the hour
	// of many monitors makes no look late: one part in so many.
	share  = 4
	breath = 20 * time.Millisecond // the least between two pieces, in which results are written
)

// keep rolls up the hours that ended and then drops what is too old, as long as this record
// leads.
func (r *Record) keep(ctx context.Context, leads func() bool) error {
	err := inPieces(ctx, leads, func() (bool, error) {
		n, err := r.rollUp(ctx, r.Now().Add(-settleTime))
		return n == slotPiece, err
	})
	if err != nil {
		return err
	}
	return inPieces(ctx, leads, func() (bool, error) {
		more, err := r.cfg.Keeper.Prune(ctx, r.Now(), *r.retention.Load())
		if err != nil {
			err = fmt.Errorf("prune: %w", err)
		}
		return more, err
	})
}

// inPieces does work piece by piece, with a rest between that is as long as it takes to hold
// to share, until there is no more of it.
func inPieces(ctx context.Context, leads func() bool, piece func() (more bool, err error)) error {
	for leads() {
		began := time.Now()
		more, err := piece()
		if err != nil || !more {
			return err
		}
		select {
		case <-time.After(max(breath, (share-1)*time.Since(began))):
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// rollUp sums up some of the hours that ended by before, and the days that they lie in.
func (r *Record) rollUp(ctx context.Context, before time.Time) (int, error) {
	slots, err := r.cfg.Keeper.Dirty(ctx, before, slotPiece)
	if err != nil || len(slots) == 0 {
		return 0, err
	}
	rolls := make([]vedette.Rollup, 0, len(slots))
	for _, s := range slots {
		one, err := r.hour(ctx, s)
		if err != nil {
			return 0, fmt.Errorf("roll up %s of %q: %w", s.Hour.Format(time.RFC3339), s.Monitor, err)
		}
		rolls = append(rolls, one)
	}
	if err := r.cfg.Keeper.Roll(ctx, rolls...); err != nil {
		return 0, fmt.Errorf("keep %d rollups: %w", len(rolls), err)
	}
	days, err := r.days(ctx, slots)
	if err != nil {
		return 0, err
	}
	if err := r.cfg.Keeper.Roll(ctx, days...); err != nil {
		return 0, fmt.Errorf("keep %d rollups of days: %w", len(days), err)
	}
	return len(slots), nil
}

// hour sums up the results of one slot.
func (r *Record) hour(ctx context.Context, s vedette.Slot) (vedette.Rollup, error) {
	m, err := r.monitor(ctx, s.Monitor)
	if err != nil {
		return vedette.Rollup{}, err
	}
	end := s.Hour.Add(time.Hour)
	results, err := r.results(ctx, s.Monitor, s.Hour.Add(-verdict.Fresh(m)), end)
	if err != nil {
		return vedette.Rollup{}, err
	}
	sum := vedette.Rollup{
		Monitor: s.Monitor, At: s.Hour, Period: vedette.Hourly, Mark: s.Mark,
		Spent: verdict.Spend(m, results, s.Hour, end),
	}
	var latency sketch.Sketch
	for _, one := range results {
		if one.StartedAt.Before(s.Hour) || verdict.Stale(one) {
			continue
		}
		sum.Checks++
		switch one.State {
		case vedette.Up, vedette.Degraded:
			latency.Add(one.Phases.Total())
		case vedette.Down:
			sum.Failed++
		}
	}
	sum.Latency, err = latency.MarshalBinary()
	return sum, err
}

// monitor returns the definition of a monitor, or the least that is needed of one that is gone.
func (r *Record) monitor(ctx context.Context, id vedette.MonitorID) (vedette.Monitor, error) {
	if err := r.exclusively(ctx, func() error { return nil }); err != nil {
		return vedette.Monitor{}, err
	}
	if def, ok := r.defs.get(id); ok {
		return def.Monitor, nil
	}
	return vedette.Monitor{ID: id, Interval: time.Minute, Timeout: 10 * time.Second}, nil
}

// results reads the results of one monitor in [from, to), oldest first.
func (r *Record) results(ctx context.Context, id vedette.MonitorID, from, to time.Time) ([]vedette.Result, error) {
	var all []vedette.Result
	span := vedette.Span{From: from, To: to, N: 5000}
	for {
		page, err := r.cfg.Reader.History(ctx, id, span)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < span.N {
			return all, nil
		}
		span.After = page[len(page)-1].ID
	}
}

// days sums up the days that the slots lie in, from their hours.
func (r *Record) days(ctx context.Context, slots []vedette.Slot) ([]vedette.Rollup, error) {
	byDay := make(map[time.Time][]vedette.MonitorID)
	for _, s := range slots {
		day := s.Hour.UTC().Truncate(24 * time.Hour)
		byDay[day] = append(byDay[day], s.Monitor)
	}
	var days []vedette.Rollup
	for day, ids := range byDay {
		hours, err := r.cfg.Reader.Rollups(ctx, vedette.Hourly, day, day.Add(24*time.Hour), ids...)
		if err != nil {
			return nil, fmt.Errorf("read hours of %s: %w", day.Format(time.DateOnly), err)
		}
		for len(hours) > 0 {
			n := 1
			for n < len(hours) && hours[n].Monitor == hours[0].Monitor {
				n++
			}
			sum, err := Merge(hours[:n]...)
			if err != nil {
				return nil, err
			}
			sum.At, sum.Period = day, vedette.Daily
			days = append(days, sum)
			hours = hours[n:]
		}
	}
	return days, nil
}

// Merge sums up rollups of one monitor. At and Period are those of the first.
func Merge(rolls ...vedette.Rollup) (vedette.Rollup, error) {
	if len(rolls) == 0 {
		return vedette.Rollup{}, nil
	}
	sum := rolls[0]
	var latency sketch.Sketch
	sum.Checks, sum.Failed, sum.Spent, sum.Mark = 0, 0, vedette.Spent{}, 0
	for _, one := range rolls {
		sum.Checks += one.Checks
		sum.Failed += one.Failed
		sum.Spent = sum.Spent.Plus(one.Spent)
		var part sketch.Sketch
		if err := part.UnmarshalBinary(one.Latency); err != nil {
			return sum, fmt.Errorf("latency of %q at %s: %w", one.Monitor, one.At.Format(time.RFC3339), err)
		}
		latency.Merge(&part)
	}
	var err error
	sum.Latency, err = latency.MarshalBinary()
	return sum, err
}
