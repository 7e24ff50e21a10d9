package memory

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
)

// A letter is a dead letter and whether it is sent.
type letter struct {
	vedette.DeadLetter
	sent bool
}

type letters struct{ s *Store }

// Letters returns the dead letters.
func (s *Store) Letters() vedette.DeadLetters { return letters{s} }

func (l letters) Unsent(ctx context.Context, n int) ([]vedette.DeadLetter, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read dead letters: %w", err)
	}
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	var found []vedette.DeadLetter
	for one := range maps.Values(l.s.letters) {
		if !one.sent {
			found = append(found, cloneLetter(one.DeadLetter))
		}
	}
	slices.SortFunc(found, func(a, b vedette.DeadLetter) int { return compareIDs(a.ID, b.ID) })
	return found[:min(n, len(found))], nil
}

func (l letters) Sent(ctx context.Context, ids ...vedette.ID) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("note sent dead letters: %w", err)
	}
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	for _, id := range ids {
		if one, ok := l.s.letters[id]; ok {
			one.sent = true
			l.s.letters[id] = one
		}
	}
	return nil
}

// bury keeps d unless it is kept already.
func (s *Store) bury(d vedette.DeadLetter) {
	if _, known := s.letters[d.ID]; !known {
		s.letters[d.ID] = letter{DeadLetter: cloneLetter(d)}
	}
}

func (s *Store) pruneLetters(now time.Time, keep time.Duration) {
	maps.DeleteFunc(s.letters, func(_ vedette.ID, l letter) bool { return l.sent && older(l.Dead, now, keep) })
}

// cloneLetter shares nothing with d that its holder could change.
func cloneLetter(d vedette.DeadLetter) vedette.DeadLetter {
	d.Key, d.Body = bytes.Clone(d.Key), bytes.Clone(d.Body)
	d.Header = maps.Clone(d.Header)
	return d
}
