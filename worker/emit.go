package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/vedettehq/vedette"
)

// errReturned is why a run takes no more items.
var errReturned = errors.New("its handler has returned")

// emit keeps items of a run in one entry each, {"epoch", "n", "item"}, with n from 1 on. If that
// fails the same items may be emitted again: they get the same numbers, so that whoever reads them
// by epoch and number sees each once.
func (w *Worker) emit(ctx context.Context, r *run, items []vedette.Raw) error {
	for i, item := range items {
		if !json.Valid(item) {
			return fmt.Errorf("emit of job %s: item %d of %d is not JSON: %w", r.job.ID, i+1, len(items), vedette.ErrRefused)
		}
	}
	r.items.mu.Lock()
	defer r.items.mu.Unlock()
	switch {
	case r.lost.Load() || !w.trusted(r.life):
		return fmt.Errorf("emit of job %s: %w", r.job.ID, vedette.ErrLeaseLost)
	case r.items.closed:
		return fmt.Errorf("emit of job %s: %w", r.job.ID, errReturned)
	case len(items) == 0:
		return nil
	}
	topic := vedette.ItemsTopic(r.job.ID)
	entries := make([]vedette.Entry, len(items))
	for i, item := range items {
		entries[i] = vedette.Entry{Topic: topic, Data: r.item(r.items.n+int64(i)+1, item)}
	}
	if err := w.c.Feed.Append(ctx, entries...); err != nil {
		return fmt.Errorf("emit of job %s: %w", r.job.ID, err)
	}
	r.items.n += int64(len(items))
	return nil
}

func (r *run) item(n int64, item vedette.Raw) vedette.Raw {
	b := make([]byte, 0, len(item)+48)
	b = strconv.AppendInt(append(b, `{"epoch":`...), r.job.Epoch, 10)
	b = strconv.AppendInt(append(b, `,"n":`...), n, 10)
	b = append(append(b, `,"item":`...), item...)
	return append(b, '}')
}
