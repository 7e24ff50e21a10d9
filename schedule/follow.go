package schedule

import (
	"context"
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/retry"
)

// page is how many scrapers to read at once.
const page = 1000

// A change is what became of scrapers.
type change struct {
	now  []vedette.Scraper
	gone []vedette.ScraperID
}

// load reads all scrapers and returns the revision from which to follow their changes.
func (t *term) load(ctx context.Context) (rev int64, err error) {
	var after vedette.ScraperID
	for first := true; ; first = false {
		some, at, err := t.c.Scrapers.List(ctx, after, page)
		if err != nil {
			return 0, fmt.Errorf("list scrapers: %w", err)
		}
		// What changes while we page is told by the changes since the first page.
		if first {
			rev = at
		}
		t.apply(change{now: some})
		if len(some) < page {
			return rev, nil
		}
		after = some[len(some)-1].ID
	}
}

// follow tells of the changes since rev until ctx ends.
func (t *term) follow(ctx context.Context, rev int64, to chan<- change) {
	back := retry.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}
	for blind := false; ctx.Err() == nil; {
		now, gone, next, err := t.c.Scrapers.Changes(ctx, rev)
		if err != nil {
			if !blind && ctx.Err() == nil {
				t.c.Log.Warn("changes of scrapers not read, going on with those known", "err", err)
			}
			blind = true
			_ = back.Wait(ctx) // the loop sees that ctx has ended
			continue
		}
		blind = false
		back.Reset()
		select {
		case to <- change{now, gone}:
			rev = next
		case <-ctx.Done():
		}
	}
}

// apply makes plans of scrapers; the next round settles their cursors.
func (t *term) apply(c change) {
	for _, s := range c.now {
		p, err := Compile(s)
		if err != nil {
			t.c.Log.Error("scraper makes no sense and rests", "scraper", s.ID, "err", err)
		}
		t.plans[s.ID] = known{version: s.Version, plan: p}
	}
	for _, id := range c.gone {
		delete(t.plans, id)
	}
	t.settled = time.Time{}
}
