package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
)

// A place names one position.
type place struct {
	group, topic string
	partition    int32
}

func placeOf(p vedette.Position) place { return place{p.Group, p.Topic, p.Partition} }

// positions are kept under the lock of the store, so that no write is in progress while one is
// claimed.
type positions struct{ s *Store }

// Positions returns how far groups of readers have come.
func (s *Store) Positions() vedette.Positions { return positions{s} }

func (p positions) Claim(ctx context.Context, owner string, asked ...vedette.Position) ([]vedette.Position, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("claim positions: %w", err)
	}
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	claimed := make([]vedette.Position, len(asked))
	for i, a := range asked {
		now, known := p.s.positions[placeOf(a)]
		if !known {
			now = vedette.Position{Group: a.Group, Topic: a.Topic, Partition: a.Partition, Stream: a.Stream, Next: -1}
		}
		now.Epoch++
		now.Owner = owner
		p.s.positions[placeOf(a)] = now
		claimed[i] = now
	}
	return claimed, nil
}

func (p positions) List(_ context.Context, group string) ([]vedette.Position, error) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	var all []vedette.Position
	for key, one := range p.s.positions {
		if key.group == group {
			all = append(all, one)
		}
	}
	slices.SortFunc(all, func(a, b vedette.Position) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return all, nil
}

// movable says whether p may be moved.
func (s *Store) movable(p vedette.Position) error {
	now, known := s.positions[placeOf(p)]
	if !known || now.Epoch != p.Epoch || now.Next != p.From {
		return fmt.Errorf("position of %s %s/%d at %d under epoch %d, kept is %d under %d: %w",
			p.Group, p.Topic, p.Partition, p.From, p.Epoch, now.Next, now.Epoch, vedette.ErrLeaseLost)
	}
	return nil
}

func (s *Store) move(p vedette.Position) {
	now := s.positions[placeOf(p)]
	now.Stream, now.Next = p.Stream, p.Next
	if !p.Through.IsZero() {
		now.Through = p.Through.Truncate(time.Microsecond)
	}
	s.positions[placeOf(p)] = now
}
