package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/vedettehq/vedette"
)

// errReturned is why a run takes no more items.
var errReturned = errors.New("its handler has returned")

// emit keeps items of a run in one entry each, as [vedette.Item]. If that fails the same items may be
// emitted again, in one call as before: they get the same numbers, so that whoever reads them by epoch
// and number sees each once.
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
	same := func(a, b vedette.Raw) bool { return bytes.Equal(a, b) }
	if !slices.EqualFunc(items, r.items.unsure, same) {
		r.items.n += int64(len(r.items.unsure)) // they may be kept, under these numbers
		r.items.unsure = nil
	}
	topic := vedette.ItemsTopic(r.job.ID)
	entries := make([]vedette.Entry, len(items))
	for i, item := range items {
		entries[i] = vedette.Entry{Topic: topic, Data: r.item(r.items.n+int64(i)+1, item)}
	}
	err := w.c.Feed.Append(ctx, entries...)
	r.items.told(items, err)
	if err != nil {
		return fmt.Errorf("emit of job %s: %w", r.job.ID, err)
	}
	return nil
}

// items numbers what a run emits.
type items struct {
	mu     sync.Mutex
	n      int64
	unsure []vedette.Raw // those behind n of which nobody knows whether they are kept
	closed bool
}

// told notes what became of the items behind n. The lock is held.
func (i *items) told(items []vedette.Raw, err error) {
	switch {
	case err == nil:
		i.n += int64(len(items))
		i.unsure = nil
	case i.unsure == nil && !errors.Is(err, vedette.ErrRefused):
		for _, item := range items {
			i.unsure = append(i.unsure, bytes.Clone(item)) // the handler may use its memory again
		}
	}
}

func (i *items) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = true
}

func (r *run) item(n int64, item vedette.Raw) vedette.Raw {
	b := make([]byte, 0, len(item)+48)
	b = strconv.AppendInt(append(b, `{"epoch":`...), r.job.Epoch, 10)
	b = strconv.AppendInt(append(b, `,"n":`...), n, 10)
	b = append(append(b, `,"item":`...), item...)
	return append(b, '}')
}
