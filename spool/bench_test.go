package spool_test

import (
	"context"
	"testing"

	"github.com/vedettehq/vedette"
)

type nothing struct{}

func (nothing) Send(context.Context, vedette.Found) error { return nil }

// BenchmarkStraight measures what a spool costs while all is well.
func BenchmarkStraight(b *testing.B) {
	n := newNext()
	cfg := config(b, b.TempDir(), n)
	cfg.Next = nothing{}
	s := open(b, cfg)
	f := vedette.Found{Results: looks("a", 0, 500)}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Send(b.Context(), f); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppend measures how many results a second go to disk, in batches of 500, each of
// them synced.
func BenchmarkAppend(b *testing.B) {
	n := newNext()
	n.set(away)
	s := open(b, config(b, b.TempDir(), n))
	f := vedette.Found{Results: looks("a", 0, 500)}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Send(b.Context(), f); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(500*float64(b.N)/b.Elapsed().Seconds(), "results/s")
}
