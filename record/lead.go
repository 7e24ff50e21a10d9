package record

import (
	"context"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/verdict"
)

// The lease that one record holds at a time, and its times: it is renewed at each third of its
// length. Who acts on it a little too long does no harm, since every status that it
// changes is checked for its version.
const (
	leaseName  = "sweep"
	leaseTTL   = 15 * time.Second
	sizeEvery  = 15 * time.Second
	pruneEvery = time.Minute
)

// lead does what one process alone must do, until ctx ends: it sweeps for silence, rolls up
// hours that ended and drops what is too old.
func (r *Record) lead(ctx context.Context) error {
	tick := time.NewTicker(r.cfg.Sweep)
	defer tick.Stop()
	var l lead
	var sized, pruned time.Time
	sizing := trouble{doing: "measuring the store", log: r.cfg.Log}
	sweeping := trouble{doing: "sweeping for silence", log: r.cfg.Log}
	keeping := trouble{doing: "keeping history within bounds", log: r.cfg.Log}
	for {
		select {
		case <-ctx.Done():
			l.resign(r.cfg.Leaser)
			return nil
		case <-tick.C:
		}
		if since(sized) >= sizeEvery {
			sized = time.Now()
			sizing.note(ctx, r.size(ctx))
		}
		if !l.held(ctx, r.cfg) {
			continue
		}
		sweeping.note(ctx, r.sweep(ctx))
		if since(pruned) >= pruneEvery {
			pruned = time.Now()
			keeping.note(ctx, r.keep(ctx))
		}
	}
}

// since is how long ago t was; the zero time is long ago.
func since(t time.Time) time.Duration {
	if t.IsZero() {
		return time.Hour
	}
	return time.Since(t)
}

// A lead is the lease on what one record alone does.
type lead struct {
	lease   vedette.Lease
	renewed time.Time
}

func (l *lead) held(ctx context.Context, cfg Config) bool {
	if cfg.Leaser == nil {
		return true
	}
	if !l.renewed.IsZero() && time.Since(l.renewed) < leaseTTL/3 {
		return true
	}
	began := time.Now()
	held, err := cfg.Leaser.Acquire(ctx, cfg.Owner, leaseTTL, leaseName)
	if err != nil || len(held) == 0 {
		*l = lead{}
		return false
	}
	l.lease, l.renewed = held[0], began
	return true
}

// resign lets another begin at once.
func (l *lead) resign(leaser vedette.Leaser) {
	if leaser == nil || l.renewed.IsZero() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = leaser.Release(ctx, l.lease) // it ends by itself
}

// sweep makes silence visible: a vote that no look has renewed for too long ends.
func (r *Record) sweep(ctx context.Context) error {
	return r.exclusively(ctx, func() error {
		now := time.Now()
		var ends []vedette.Result
		for id, s := range r.statuses {
			if def, ok := r.defs[id]; ok && s.State != vedette.Paused {
				ends = append(ends, verdict.Silence(def.Monitor, s, now)...)
			}
		}
		for len(ends) > 0 {
			n := min(len(ends), pageSize)
			piece := ends[:n]
			err := r.commit(ctx, func(d *draft) error {
				for _, one := range piece {
					if err := d.fold(ctx, one); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
			ends = ends[n:]
		}
		return nil
	})
}

func (r *Record) size(ctx context.Context) error {
	if r.cfg.Sized == nil {
		return nil
	}
	size, err := r.cfg.Keeper.Size(ctx)
	if err != nil {
		return err
	}
	r.cfg.Sized(size)
	return nil
}
