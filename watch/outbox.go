package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/batch"
	"github.com/vedettehq/vedette/internal/retry"
)

// An outbox delivers results in batches and in order, again and again until the sink has them.
// While one batch is under way the next fills.
type outbox struct {
	queue *batch.Queue[vedette.Result]
	sink  vedette.Sink
	meter Meter
	log   *slog.Logger
	told  bool // a refusal in the present batch was logged
}

func newOutbox(sink vedette.Sink, meter Meter, log *slog.Logger) *outbox {
	return &outbox{sink: sink, meter: meter, log: log, queue: batch.New[vedette.Result](batch.Limits{
		Count: 500, Bytes: 4 << 20, Age: 100 * time.Millisecond, Cap: 100_000, CapBytes: 64 << 20,
	})}
}

func (o *outbox) add(r vedette.Result) { o.queue.Add(r, weight(&r)) }

// weight estimates the memory that a result takes.
func weight(r *vedette.Result) int {
	n := 450 + 160*len(r.Hops)
	f := r.Failure
	if f == nil {
		return n
	}
	n += 100 + len(f.Message)
	if e := f.Evidence; e != nil {
		n += 500 + len(e.Body) + 80*len(e.Header) + 80*len(e.Redirects)
		for _, values := range e.Header {
			for _, v := range values {
				n += len(v)
			}
		}
	}
	return n
}

// run delivers until the queue is closed and empty. It returns an error if ctx ends before.
func (o *outbox) run(ctx context.Context) error {
	for {
		o.meter.Queued(o.queue.Len())
		o.told = false
		results, err := o.queue.Take(ctx)
		if len(results) > 0 {
			if err = o.send(ctx, vedette.Found{Results: results}); err == nil {
				continue
			}
		}
		if ctx.Err() != nil {
			return o.lost(len(results), err)
		}
		return nil // the end of the queue
	}
}

func (o *outbox) lost(sending int, err error) error {
	n := sending + o.queue.Len()
	if n == 0 {
		return nil
	}
	return fmt.Errorf("deliver results: %d are lost: %w", n, err)
}

// send repeats f until the sink has it or refuses it. It returns the sink's error if ctx ends
// before.
func (o *outbox) send(ctx context.Context, f vedette.Found) error {
	back := retry.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}
	for failed := false; ; {
		err := o.sink.Send(ctx, f)
		f.Resent = true
		switch {
		case err == nil:
			if failed {
				o.log.Info("results are delivered again", "waiting", o.queue.Len())
			}
			return nil
		case errors.Is(err, vedette.ErrRefused):
			return o.refused(ctx, f, err)
		case !failed:
			o.log.Error("results not delivered, trying again", "results", len(f.Results), "err", err)
		}
		failed = true
		o.meter.Queued(len(f.Results) + o.queue.Len())
		if back.Wait(ctx) != nil {
			return err
		}
	}
}

// refused drops what the sink will never take, and halves a batch to find it.
func (o *outbox) refused(ctx context.Context, f vedette.Found, err error) error {
	n := len(f.Results)
	if n == 1 {
		o.meter.Missed("refused", 1)
		if !o.told {
			o.told = true
			o.log.Error("result refused and dropped, perhaps more of its batch too",
				"monitor", f.Results[0].Monitor, "id", f.Results[0].ID, "err", err)
		}
		return nil
	}
	for _, half := range [][]vedette.Result{f.Results[:n/2], f.Results[n/2:]} {
		if err := o.send(ctx, vedette.Found{Results: half, Resent: true}); err != nil {
			return err
		}
	}
	return nil
}
