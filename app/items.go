package app

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
)

// An ItemLine is one thing that an attempt of a job found.
type ItemLine struct {
	ID     vedette.ID  `json:"id"` // the same each time that it is read; see [vedette.ItemID]
	Job    vedette.ID  `json:"job"`
	Epoch  int64       `json:"epoch"` // of the attempt's claim
	N      int64       `json:"n"`     // from 1 on, within the attempt
	At     time.Time   `json:"at"`
	Counts *bool       `json:"counts"` // null: the job had not ended when it was read
	Item   vedette.Raw `json:"item"`
}

// An ItemFilter says which items of a job are wanted.
type ItemFilter struct {
	All bool // of all attempts, also while the job lives
	// Follow waits for the end of the job. With All items come as they are found.
	Follow bool
}

// Items calls f with what a job found: the items of the attempt by whose word it ended, each once.
// Until it has ended nobody knows which that is: it reports ErrRefused, unless the filter says All or
// Follow. Of a job whose workers were all lost, or that was cancelled while it waited, no items count.
func (d *Desk) Items(ctx context.Context, id vedette.ID, want ItemFilter, f func(ItemLine) error) error {
	if want.Follow && !want.All {
		if _, err := d.Await(ctx, id); err != nil {
			return err
		}
	}
	j, err := d.get(ctx, id)
	if err != nil {
		return err
	}
	if !want.All && j.State.Live() {
		return fmt.Errorf("job %s is %s: which of its items count is known when it has ended; --follow waits for that, --all shows what was found so far: %w",
			id, j.State, vedette.ErrRefused)
	}
	counts, ok := j.Counts()
	seen := map[int64]int64{} // the last number by epoch
	return d.topic(ctx, id, vedette.ItemsTopic(id), want.Follow, func(e vedette.Entry) error {
		var kept vedette.Item
		if err := json.Unmarshal(e.Data, &kept); err != nil {
			return fmt.Errorf("read item %d: %w", e.Seq, err)
		}
		its := ok && kept.Epoch == counts
		if !its && !want.All || kept.N <= seen[kept.Epoch] {
			return nil
		}
		seen[kept.Epoch] = kept.N
		line := ItemLine{
			ID:  vedette.ItemID(vedette.Ref{Job: id, Epoch: kept.Epoch}, kept.N),
			Job: id, Epoch: kept.Epoch, N: kept.N, At: e.At.UTC(), Item: kept.Data,
		}
		if !j.State.Live() {
			line.Counts = &its
		}
		return f(line)
	})
}
