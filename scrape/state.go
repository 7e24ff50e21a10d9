package scrape

import (
	"context"
	"errors"
	"fmt"

	"github.com/vedettehq/vedette"
)

// maxState bounds what a scraper remembers: it must fit into a variable of the environment, of
// which Linux takes 128 KiB.
const maxState = 64 << 10

// recall returns what the scraper of t remembers, with the key and version to keep more under.
func recall(ctx context.Context, t *vedette.Task) (vedette.Value, error) {
	if t.Job.Scraper == "" {
		return vedette.Value{}, nil
	}
	key := vedette.StateKey(t.Job.Scraper)
	v, err := t.KV.Get(ctx, key)
	if errors.Is(err, vedette.ErrNotFound) {
		return vedette.Value{Key: key}, nil
	}
	if err != nil {
		return v, fmt.Errorf("read state: %w", err)
	}
	return v, nil
}

// keep lets the scraper of t remember state instead of old, unless its run was superseded.
func keep(ctx context.Context, t *vedette.Task, old vedette.Value, state vedette.Raw) error {
	if old.Key == "" {
		return errors.New("keep state: a run of no scraper has none")
	}
	old.Data = state
	err := t.KV.Put(ctx, old)
	if errors.Is(err, vedette.ErrConflict) {
		return fmt.Errorf("keep state: another run has set it since this one began: %w", err)
	}
	if err != nil {
		return fmt.Errorf("keep state: %w", err)
	}
	return nil
}
