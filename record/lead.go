package record

import (
	"context"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/hold"
)

// The lease that one record holds at a time, and how often it does what it leads. Who acts on
// it a little too long does no harm, since every status that it changes is checked for its
// version.
const (
	leaseName = "sweep"
	leaseTTL  = 15 * time.Second
	sizeEvery = 15 * time.Second
	keepEvery = time.Minute
)

// newLease returns what keeps the lease. One of the record's own is always granted, and so tells the
// store's time to those who do not lead.
func (r *Record) newLease() (*hold.Keeper, error) {
	return hold.New(hold.Config{
		Leaser: r.cfg.Leaser, Owner: r.cfg.Owner, Names: []string{leaseName, "record/" + r.cfg.Owner},
		TTL: leaseTTL, Renew: leaseTTL / 3, Log: r.cfg.Log,
	})
}

// Run follows the definitions, sweeps for silence and keeps history within bounds, until ctx
// ends. Sending works before and after, too.
func (r *Record) Run(ctx context.Context) error {
	parts := []vedette.Part{vedette.PartFunc(r.follow)}
	leads := func() bool { return true }
	if r.lease != nil {
		parts = append(parts, r.lease)
		leads = func() bool {
			_, ok := r.lease.Lease(leaseName)
			return ok
		}
	}
	always := func() bool { return true }
	// Each on its own, so that much work of one does not delay another.
	parts = append(parts,
		r.chore("measure the store", sizeEvery, always, r.size),
		r.chore("keep history within bounds", keepEvery, leads, func(ctx context.Context) error { return r.keep(ctx, leads) }),
		r.chore("sweep for silence", r.cfg.Sweep, leads, r.sweep),
		r.chore("send dead letters", relayEvery, leads, r.relay),
	)
	return vedette.Run(ctx, parts...)
}

// chore does something again and again where it is to be done. It says once that it fails,
// until it works again.
func (r *Record) chore(what string, every time.Duration, wanted func() bool, do func(context.Context) error) vedette.Part {
	return vedette.PartFunc(func(ctx context.Context) error {
		timer := time.NewTimer(r.cfg.Sweep)
		defer timer.Stop()
		for failed := false; ; timer.Reset(every) {
			select {
			case <-ctx.Done():
				return nil
			case <-timer.C:
			}
			if !wanted() {
				continue
			}
			err := do(ctx)
			switch {
			case err != nil && !failed && ctx.Err() == nil:
				r.cfg.Log.Warn("chore not done, trying again", "chore", what, "err", err)
			case err == nil && failed:
				r.cfg.Log.Info("chore done again", "chore", what)
			}
			failed = err != nil
		}
	})
}

func (r *Record) size(ctx context.Context) error {
	if r.cfg.Sized == nil {
		return nil
	}
	size, err := r.cfg.Keeper.Size(ctx)
	if err == nil {
		r.cfg.Sized(size)
	}
	return err
}
