package record

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/verdict"
)

// sweep makes silence visible: a vote that no look has renewed for too long ends. Results that
// come meanwhile wait for a page at most.
func (r *Record) sweep(ctx context.Context) error {
	var silent []vedette.MonitorID
	err := r.exclusively(ctx, func() error {
		now := time.Now()
		for id := range r.statuses {
			if len(r.silence(id, now)) > 0 {
				silent = append(silent, id)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for page := range slices.Chunk(silent, pageSize) {
		if err := r.endVotes(ctx, page); err != nil {
			return err
		}
	}
	return nil
}

// endVotes ends those votes on these monitors that are still silent when it is about to be
// written.
func (r *Record) endVotes(ctx context.Context, ids []vedette.MonitorID) error {
	return r.exclusively(ctx, func() error {
		return r.commit(ctx, func(d *draft) error {
			now := time.Now()
			for _, id := range ids {
				for _, end := range r.silence(id, now) {
					if err := d.fold(ctx, end); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
}

// silence returns the results that end the votes on a monitor. While results could not be
// written, others may have piled up behind them: who is silent shows once those have come.
func (r *Record) silence(id vedette.MonitorID, now time.Time) []vedette.Result {
	def, ok := r.defs[id]
	s := r.statuses[id]
	if !ok || s.State == vedette.Paused || now.Sub(r.hitch) <= max(verdict.Fresh(def.Monitor), 2*slow) {
		return nil
	}
	return verdict.Silence(def.Monitor, s, now)
}

// slow is how long it takes to write results, or to bring them here, when something is wrong.
// Who repeats a batch waits no longer between two attempts.
const slow = 5 * time.Second

// heed notes that results pile up: they could not be written, only after long, or are the tail
// of such a pile.
func (r *Record) heed(f vedette.Found, began time.Time, err error) {
	now := time.Now()
	failed := err != nil && !errors.Is(err, vedette.ErrRefused)
	if failed || now.Sub(began) > slow || now.Sub(r.hitch) <= 2*slow && now.Sub(newest(f.Results)) > slow {
		r.hitch = now
	}
}

// newest is when the last of the looks ended.
func newest(results []vedette.Result) (at time.Time) {
	for _, r := range results {
		if end := r.StartedAt.Add(r.Phases.Total()); end.After(at) {
			at = end
		}
	}
	return at
}
