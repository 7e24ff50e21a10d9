package schedule

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/hold"
	"github.com/vedettehq/vedette/internal/retry"
	"github.com/vedettehq/vedette/when"
)

const (
	// leaseName is what leaders contend for.
	leaseName = "schedule"
	// look is how often those who do not lead look whether nobody does any more: who resigns is
	// followed within twice that.
	look = 100 * time.Millisecond
	// poll is how long to wait at most until the cursors are looked at again.
	poll = time.Second
	// pace is how long to wait at least, so that scrapers of one second share transactions.
	pace = 10 * time.Millisecond
)

// A Config holds what a leader needs. Owner, Leases, Scrapers, Schedules, Jobs and Queue are
// required; all but Scrapers are of one store, so that the lease guards what lies beside it.
type Config struct {
	Owner     string // a random id, one a process
	Leases    vedette.Leaser
	Scrapers  vedette.Scrapers
	Schedules vedette.Schedules
	Jobs      vedette.Jobs
	Queue     vedette.Queue

	TTL     time.Duration // of the lease; 0 means 10s
	Renew   time.Duration // how often to renew it; 0 means 3s
	Sweep   time.Duration // how often to rescue the jobs of lost workers; 0 means 3s
	History time.Duration // how long to keep jobs that ended; 0 means 30 days
	Log     *slog.Logger  // nil discards
}

// A Leader makes jobs of what is due while it holds the lease, of which there is one a store: any
// number of them may run, and one leads. It also gives the jobs of lost workers to others, and
// retires history.
type Leader struct {
	c      Config
	keeper *hold.Keeper
}

var _ vedette.Part = (*Leader)(nil)

// New returns a leader that does not lead yet.
func New(c Config) (*Leader, error) {
	if c.Owner == "" || c.Leases == nil || c.Scrapers == nil || c.Schedules == nil || c.Jobs == nil || c.Queue == nil {
		return nil, errors.New("schedule: Config.Owner, Leases, Scrapers, Schedules, Jobs and Queue are required")
	}
	c.Sweep = cmp.Or(c.Sweep, 3*time.Second)
	c.History = cmp.Or(c.History, 30*when.Day)
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	keeper, err := hold.New(hold.Config{
		Leaser: c.Leases, Owner: c.Owner, Names: []string{leaseName}, TTL: c.TTL, Renew: c.Renew, Look: look, Log: c.Log,
	})
	if err != nil {
		return nil, err
	}
	return &Leader{c: c, keeper: keeper}, nil
}

// Run leads whenever nobody else does, until ctx ends; then it resigns and returns nil.
func (l *Leader) Run(ctx context.Context) error {
	return vedette.Run(ctx, l.keeper, vedette.PartFunc(l.lead))
}

// Leads reports whether this leader holds the lease, and may trust it, right now.
func (l *Leader) Leads() bool {
	_, ok := l.keeper.Lease(leaseName)
	return ok
}

// lead goes from term to term.
func (l *Leader) lead(ctx context.Context) error {
	back := retry.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}
	for told := int64(0); ctx.Err() == nil; {
		lease, ok := l.keeper.Lease(leaseName)
		if !ok {
			l.wait(ctx, poll, nil)
			continue
		}
		t := term{Leader: l, lease: lease, plans: map[vedette.ScraperID]known{}}
		err := t.run(ctx)
		if err == nil || ctx.Err() != nil {
			back.Reset()
			continue
		}
		// A store that is out of reach for leases, yet not for the rest, refuses one token
		// again and again.
		if told != lease.Token {
			l.c.Log.Warn("schedules are not led for now", "token", lease.Token, "err", err)
		}
		told = lease.Token
		_ = back.Wait(ctx) // the loop sees that ctx has ended
	}
	return nil
}

// wait returns the next change of scrapers, or nothing after so long, after a change of leases, or
// when ctx ends.
func (l *Leader) wait(ctx context.Context, d time.Duration, changes <-chan change) (c change, ok bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case c = <-changes:
		return c, true
	case <-timer.C:
	case <-l.keeper.Changed():
	case <-ctx.Done():
	}
	return change{}, false
}

// A term is one time of leading, from one grant of the lease to its loss.
type term struct {
	*Leader
	lease   vedette.Lease
	plans   map[vedette.ScraperID]known
	settled time.Time // when all cursors were last brought in line with the scrapers
}

// known is a scraper as it is now.
type known struct {
	version int64
	plan    *Plan // nil if it does not compile
}

// holds reports whether the lease of the term is still ours.
func (t *term) holds() bool {
	lease, ok := t.keeper.Lease(leaseName)
	return ok && lease.Token == t.lease.Token
}

// run leads until the lease is lost or ctx ends.
func (t *term) run(ctx context.Context) error {
	rev, err := t.load(ctx)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx)
	var side sync.WaitGroup
	defer side.Wait()
	defer end()
	changes := make(chan change)
	side.Go(func() { t.follow(ctx, rev, changes) })
	side.Go(func() { t.tidy(ctx) })

	back := retry.Backoff{Min: pace, Max: 5 * time.Second}
	for told := false; ctx.Err() == nil && t.holds(); {
		wait, err := t.round(ctx)
		switch {
		case err == nil:
			told = false
			back.Reset()
		case errors.Is(err, vedette.ErrLeaseLost), ctx.Err() != nil:
			return err
		default:
			if !told {
				t.c.Log.Error("schedules stand still, trying again", "err", err)
			}
			told = true
			wait = back.Next()
		}
		if c, ok := t.wait(ctx, wait, changes); ok {
			t.apply(c)
		}
	}
	return nil
}
