package record_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/record"
)

// nowhere takes every batch.
type nowhere struct{}

func (nowhere) Write(context.Context, vedette.Batch) error { return nil }

// A rerun is a source whose one session delivers n messages, of looks at these monitors in turn.
type rerun struct {
	n, given int
	monitors []vedette.Monitor
	end      context.CancelFunc
	batch    []vedette.Message
}

func (r *rerun) Open(context.Context) (vedette.Session, error) { return r, nil }

func (r *rerun) Receive(ctx context.Context, n int) ([]vedette.Message, error) {
	if r.given >= r.n {
		r.end()
		return nil, nil
	}
	n = min(n, r.n-r.given, 2000)
	r.batch = r.batch[:0]
	for range n {
		r.given++
		r.batch = append(r.batch, vedette.Message{Tag: uint64(r.given), Position: vedette.Position{From: int64(r.given), Next: int64(r.given) + 1}}) //nolint:gosec // small
	}
	return r.batch, nil
}

func (r *rerun) Settle(context.Context, ...vedette.Verdict) error { return nil }
func (r *rerun) Close() error                                     { return nil }

// BenchmarkStream measures what one result costs between the codec and the store: reading it,
// folding it into its status, and drawing up the batch.
func BenchmarkStream(b *testing.B) {
	store := memory.New()
	monitors := make([]vedette.Monitor, 10_000)
	for i := range monitors {
		monitors[i] = monitor(fmt.Sprintf("shop/%05d", i))
	}
	if err := store.Monitors().Put(b.Context(), monitors...); err != nil {
		b.Fatal(err)
	}
	cfg := config(store)
	cfg.Writer, cfg.Shared = nowhere{}, true
	r, err := record.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, end := context.WithCancel(b.Context())
	source := &rerun{n: b.N, monitors: monitors, end: end}
	began := time.Now().Truncate(time.Microsecond)
	s, err := r.Stream(record.StreamConfig{
		Source: source, Lanes: 1,
		Decode: func(_ context.Context, m *vedette.Message, r *vedette.Result) (bool, error) {
			i := int(m.Tag) //nolint:gosec // small
			at := began.Add(time.Duration(i) * time.Microsecond)
			*r = vedette.Result{
				ID: vedette.NewID(at), Monitor: monitors[i%len(monitors)].ID, Revision: 1, Token: 1, DueAt: at, StartedAt: at,
				State: vedette.Up, Code: 200,
			}
			return false, nil
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	if err := s.Run(ctx); err != nil {
		b.Fatal(err)
	}
}
