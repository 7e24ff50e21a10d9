package record

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/verdict"
)

// sweep makes silence visible: a vote that no look has renewed for too long ends. Results that
// come meanwhile wait for a page at most.
func (r *Record) sweep(ctx context.Context) error {
	now := r.Now()
	if r.cfg.Through != nil {
		through, err := r.cfg.Through(ctx)
		if err != nil {
			return fmt.Errorf("ask up to when all results have come: %w", err)
		}
		if through.Before(now) {
			now = through
		}
	}
	suspects, err := r.suspects(ctx, now)
	if err != nil {
		return err
	}
	for page := range slices.Chunk(suspects, pageSize) {
		if err := r.endVotes(ctx, page, now); err != nil {
			return err
		}
	}
	return nil
}

// suspects returns the monitors that seem to be silent by what is remembered of them.
func (r *Record) suspects(ctx context.Context, now time.Time) (ids []vedette.MonitorID, err error) {
	return ids, r.exclusively(ctx, func() error {
		for id := range r.ledger.entries {
			if len(r.silence(id, now)) > 0 {
				ids = append(ids, id)
			}
		}
		if r.cfg.Shared && time.Since(r.asked) > askEvery {
			r.asked = time.Now()
			ids = append(ids, r.strangers()...)
		}
		return nil
	})
}

// askEvery is how often the statuses of monitors that had none are asked for: others may have
// written them since.
const askEvery = 10 * time.Second

func (r *Record) strangers() []vedette.MonitorID {
	return slices.DeleteFunc(r.defs.ids(), func(id vedette.MonitorID) bool {
		_, known := r.ledger.status(id)
		return known
	})
}

// endVotes ends those votes on these monitors that are still silent when it is about to be
// written.
func (r *Record) endVotes(ctx context.Context, ids []vedette.MonitorID, now time.Time) error {
	return r.exclusively(ctx, func() error {
		if r.cfg.Shared {
			if err := r.ledger.reread(ctx, ids); err != nil {
				return err
			}
		}
		return r.ledger.commit(ctx, func(d *draft) error {
			if r.cfg.Through == nil {
				now = r.Now()
			}
			var ends []vedette.Result
			for _, id := range ids {
				ends = append(ends, r.silence(id, now)...)
			}
			return d.fold(ctx, ends...)
		})
	})
}

// silence returns the results that end the votes on a monitor. While results could not be
// written, others may have piled up behind them: who is silent shows once those have come.
func (r *Record) silence(id vedette.MonitorID, now time.Time) []vedette.Result {
	def, ok := r.defs.get(id)
	s, known := r.ledger.status(id)
	if !ok || !known || s.State == vedette.Paused || time.Since(r.hitch) <= max(verdict.Fresh(def.Monitor), 2*slow) {
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
	if failed || now.Sub(began) > slow || now.Sub(r.hitch) <= 2*slow && r.Now().Sub(newest(f.Results)) > slow {
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
