package app

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/sqlite"
)

// A store is all that is kept, behind the contracts.
type store struct {
	url      string
	monitors vedette.Monitors
	leases   vedette.Leaser
	writer   vedette.Writer
	reader   vedette.Reader
	keeper   vedette.Keeper
	shards   func(ctx context.Context, want int) (int, error)
	close    func() error
}

// open opens a store by its URL. Another backend is one more case here.
func open(ctx context.Context, url string, readOnly bool, log *slog.Logger) (*store, error) {
	scheme, rest, _ := strings.Cut(url, ":")
	switch scheme {
	case "memory":
		if readOnly {
			return nil, fmt.Errorf("store memory: is known to its own process alone: ask that process's HTTP address, or use store: sqlite:PATH")
		}
		s := memory.New()
		return &store{url, s.Monitors(), s.Leases(), s, s, s, s.Shards, func() error { return nil }}, nil
	case "sqlite":
		if rest == "" {
			return nil, fmt.Errorf("store %q names no file: want sqlite:PATH", url)
		}
		s, err := sqlite.Open(ctx, rest, sqlite.Options{ReadOnly: readOnly, Log: log})
		if err != nil {
			return nil, fmt.Errorf("open store %s: %w", url, err)
		}
		return &store{url, s.Monitors(), s.Leases(), s, s, s, s.Shards, s.Close}, nil
	}
	return nil, fmt.Errorf("store %q: want memory or sqlite:PATH", url)
}
