package record

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
)

// A trouble is work that may fail again and again, as it does while a disk is full. The log
// tells of it once, until it has worked again.
type trouble struct {
	doing string
	log   *slog.Logger
	told  bool
}

// note takes how the work went this time. What fails because ctx has ended is no trouble.
func (t *trouble) note(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
	case err != nil && !t.told:
		t.told = true
		t.log.Warn(t.doing+" fails, trying again", "err", err)
	case err == nil && t.told:
		t.told = false
		t.log.Info(t.doing + " works again")
	}
}

// A reading is how lanes do that read one stream. They fail together as a rule, so the log tells
// of it once for all of them, until all work again. That a session ends is no trouble: partitions
// are shared anew whenever a recorder comes or goes.
type reading struct {
	log *slog.Logger

	mu    sync.Mutex
	ends  []int // by lane: sessions in a row that ended before anything was kept
	since time.Time
	err   error // nil while all goes well
}

// ended takes why a session ended, or could not begin.
func (r *reading) ended(lane int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends[lane]++
	switch {
	case r.err != nil:
		r.err = err
	case errors.Is(err, vedette.ErrLeaseLost) && r.ends[lane] == 1:
		r.log.Info("session ended, beginning the next", "lane", lane, "why", err)
	default:
		r.since, r.err = time.Now(), err
		r.log.Warn("reading the stream fails, trying again", "err", err)
	}
}

// works says that a batch was kept, or that a session has lasted.
func (r *reading) works(lane int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends[lane] = 0
	if r.err != nil && !slices.ContainsFunc(r.ends, func(n int) bool { return n > 0 }) {
		r.log.Info("reading the stream works again", "after", time.Since(r.since).Round(time.Second))
		r.since, r.err = time.Time{}, nil
	}
}

func (r *reading) trouble() (since time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.since, r.err
}
