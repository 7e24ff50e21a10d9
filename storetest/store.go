// Package storetest holds the suites that every implementation of a contract must pass, their
// benchmarks, and wrappers that fail on command. A backend's test is one line of it.
package storetest

import (
	"context"
	"testing"

	"github.com/vedettehq/vedette"
)

// A Store is everything that is kept of monitors, under all its contracts.
type Store interface {
	vedette.Writer
	vedette.Reader
	vedette.Keeper
	Monitors() vedette.Monitors
	Leases() vedette.Leaser
	Positions() vedette.Positions
	Letters() vedette.DeadLetters
	// Shards returns the shard count of the store: the first one that was wanted.
	Shards(ctx context.Context, want int) (int, error)
	Close() error
}

// TestStore runs all suites. Each call of open returns an empty store of its own, which it
// closes with the test.
func TestStore(t *testing.T, open func(t *testing.T) Store) {
	t.Run("Monitors", func(t *testing.T) {
		TestMonitors(t, func(t *testing.T) vedette.Monitors { return open(t).Monitors() })
	})
	t.Run("Leaser", func(t *testing.T) {
		TestLeaser(t, func(t *testing.T) vedette.Leaser { return open(t).Leases() })
	})
	t.Run("Writer", func(t *testing.T) { TestWriter(t, open) })
	t.Run("Reader", func(t *testing.T) { TestReader(t, open) })
	t.Run("Keeper", func(t *testing.T) { TestKeeper(t, open) })
	t.Run("Positions", func(t *testing.T) { TestPositions(t, open) })
	t.Run("Letters", func(t *testing.T) { TestLetters(t, open) })
	t.Run("Shards", func(t *testing.T) { testShards(t, open(t)) })
	t.Run("Sink", func(t *testing.T) {
		TestSink(t, func(t *testing.T) (vedette.Sink, func() []vedette.Result) {
			s := open(t)
			return direct{s}, func() []vedette.Result { return history(t, s, "", vedette.Span{}) }
		})
	})
}

// direct is the simplest Sink over a Writer.
type direct struct{ w vedette.Writer }

func (d direct) Send(ctx context.Context, f vedette.Found) error {
	return d.w.Write(ctx, vedette.Batch{Found: f})
}

func testShards(t *testing.T, s Store) {
	for _, want := range []int{64, 16, 64} {
		got, err := s.Shards(t.Context(), want)
		if err != nil || got != 64 {
			t.Fatalf("Shards(%d) = %d, %v; the first count, 64, must win", want, got, err)
		}
	}
}
