package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/vedettehq/vedette"
)

// positions keeps positions as a store does, and with them what was read.
type positions struct {
	mu      sync.Mutex
	at      map[string]vedette.Position
	read    []vedette.Message
	changed chan struct{} // closed by the next write
}

func newPositions() *positions {
	return &positions{at: map[string]vedette.Position{}, changed: make(chan struct{})}
}

func placeOf(p vedette.Position) string {
	return fmt.Sprintf("%s/%s/%d", p.Group, p.Topic, p.Partition)
}

func (p *positions) Claim(_ context.Context, want ...vedette.Position) ([]vedette.Position, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	got := make([]vedette.Position, len(want))
	for i, w := range want {
		kept, ok := p.at[placeOf(w)]
		if !ok {
			kept = vedette.Position{Group: w.Group, Topic: w.Topic, Partition: w.Partition, Stream: w.Stream, Next: -1}
		}
		kept.Epoch++
		p.at[placeOf(w)], got[i] = kept, kept
	}
	return got, nil
}

// write moves the positions of messages and keeps those that somebody sent, all or none.
func (p *positions) write(all []vedette.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := map[string]vedette.Position{}
	for _, m := range all {
		to := m.Position
		from, ok := next[placeOf(to)]
		if !ok {
			from = p.at[placeOf(to)]
		}
		if from.Epoch != to.Epoch || from.Next != to.From {
			return fmt.Errorf("%w: %+v is at %+v", vedette.ErrLeaseLost, to, from)
		}
		if to.Through.IsZero() {
			to.Through = from.Through
		}
		next[placeOf(to)] = to
	}
	maps.Copy(p.at, next)
	p.read = append(p.read, written(all)...)
	close(p.changed)
	p.changed = make(chan struct{})
	return nil
}

// await waits until n messages are kept, and says whether they are.
func (p *positions) await(ctx context.Context, n int) bool {
	for {
		p.mu.Lock()
		got, changed := len(p.read), p.changed
		p.mu.Unlock()
		if got >= n {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// bodies returns what is kept, sorted.
func (p *positions) bodies() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(slices.Values(bodies(p.read)))
}

// A streamReader is one of many who keep what they read.
type streamReader struct {
	source vedette.Source
	kept   *positions
	mu     sync.Mutex
	own    []string // keys that it read
}

// run reads until ctx ends, and opens the next session after each that is over.
func (r *streamReader) run(ctx context.Context) error {
	for ctx.Err() == nil {
		session, err := r.source.Open(ctx)
		if err != nil {
			return err
		}
		err = r.session(ctx, session)
		if err := errors.Join(err, session.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (r *streamReader) session(ctx context.Context, s vedette.Session) error {
	for ctx.Err() == nil {
		all, err := s.Receive(ctx, 50)
		if len(all) > 0 && err == nil {
			err = r.kept.write(all)
		}
		if len(all) > 0 && err == nil {
			r.note(all)
			err = s.Settle(ctx, vedette.Verdict{Tag: all[len(all)-1].Tag, UpTo: true, Do: vedette.Ack})
		}
		if errors.Is(err, vedette.ErrLeaseLost) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *streamReader) note(all []vedette.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range written(all) {
		r.own = append(r.own, string(m.Key))
	}
}

func (r *streamReader) keys() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.own, "")
}
