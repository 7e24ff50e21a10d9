package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/vedettehq/vedette"
)

func newStore(f factory) store {
	return store{
		rows:        f.gauges("vedette_store_rows", "Rows in the store, by table; may be an estimate.", "table"),
		bytes:       f.gauge("vedette_store_bytes", "Size of the store on disk, without what is free for reuse."),
		writes:      f.histogram("vedette_store_write_seconds", "Time to write one batch, failed ones included.", fine()),
		writeErrors: f.counters("vedette_store_write_errors_total", "Batches that could not be written, by class of error.", "class"),
		batches:     f.histogram("vedette_store_batch_results", "Results in a batch that was written.", counts()),
		sends:       f.histogram("vedette_sink_send_seconds", "Time from handing results over until they were kept, failures included.", fine()),
		sendErrors:  f.counters("vedette_sink_send_errors_total", "Hand-overs of results that failed, by class of error.", "class"),
		kept:        f.counter("vedette_results_kept_total", "Results acknowledged as kept."),
		refused:     f.counter("vedette_results_refused_total", "Results that will never be kept: the store refused them."),
		late:        f.counter("vedette_results_late_total", "Results written that came too late to change a verdict."),
	}
}

// Sink returns a Sink that measures s.
func (m *Metrics) Sink(s vedette.Sink) vedette.Sink { return sink{s, m} }

type sink struct {
	next vedette.Sink
	m    *Metrics
}

func (s sink) Send(ctx context.Context, f vedette.Found) error {
	began := time.Now()
	err := s.next.Send(ctx, f)
	s.m.sends.Observe(time.Since(began).Seconds())
	switch {
	case err == nil:
		s.m.kept.Add(float64(len(f.Results)))
		return nil
	case errors.Is(err, vedette.ErrRefused):
		s.m.refused.Add(float64(len(f.Results)))
	}
	s.m.sendErrors.WithLabelValues(class(err)).Inc()
	return err
}

// Writer returns a Writer that measures w and tells [Metrics.Judged] what it wrote.
func (m *Metrics) Writer(w vedette.Writer) vedette.Writer { return writer{w, m} }

type writer struct {
	next vedette.Writer
	m    *Metrics
}

func (w writer) Write(ctx context.Context, b vedette.Batch) error {
	began := time.Now()
	err := w.next.Write(ctx, b)
	w.m.writes.Observe(time.Since(began).Seconds())
	if err != nil {
		w.m.writeErrors.WithLabelValues(class(err)).Inc()
		return err
	}
	w.m.batches.Observe(float64(len(b.Results)))
	for i := range b.Results {
		if b.Results[i].Seq == 0 {
			w.m.late.Inc()
		}
	}
	for _, s := range b.Statuses {
		s.Version++ // as it is kept
		w.m.monitors.judged(s)
	}
	return nil
}

// class sorts errors by what a caller can do about them.
func class(err error) string {
	for _, c := range [...]struct {
		err  error
		name string
	}{
		{vedette.ErrRefused, "refused"},
		{vedette.ErrConflict, "conflict"},
		{vedette.ErrLeaseLost, "lease_lost"},
		{vedette.ErrReadOnly, "read_only"},
		{vedette.ErrInUse, "in_use"},
		{vedette.ErrNotFound, "not_found"},
		{context.Canceled, "cancelled"},
		{context.DeadlineExceeded, "timeout"},
	} {
		if errors.Is(err, c.err) {
			return c.name
		}
	}
	return "other"
}
