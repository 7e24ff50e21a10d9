package app

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/postgres"
	"github.com/vedettehq/vedette/sqlite"
)

// A store is all that is kept, behind the contracts.
type store struct {
	url       string
	shared    bool // other processes may use it at the same time
	monitors  vedette.Monitors
	leases    vedette.Leaser
	positions vedette.Positions
	letters   vedette.DeadLetters
	writer    vedette.Writer
	reader    vedette.Reader
	keeper    vedette.Keeper
	shards    func(ctx context.Context, want int) (int, error)
	close     func() error
}

// A backend is what a store's package offers.
type backend interface {
	vedette.Writer
	vedette.Reader
	vedette.Keeper
	Monitors() vedette.Monitors
	Leases() vedette.Leaser
	Positions() vedette.Positions
	Letters() vedette.DeadLetters
	Shards(ctx context.Context, want int) (int, error)
	Close() error
}

func newStore(url string, shared bool, b backend) *store {
	return &store{
		url: url, shared: shared, monitors: b.Monitors(), leases: b.Leases(), positions: b.Positions(), letters: b.Letters(),
		writer: b, reader: b, keeper: b, shards: b.Shards, close: b.Close,
	}
}

// isShared reports whether the store of this URL is one that several processes can use.
func isShared(url string) bool {
	scheme, _, _ := strings.Cut(url, ":")
	return scheme == "postgres" || scheme == "postgresql"
}

// open opens a store by its URL. Another backend is one more case here.
func open(ctx context.Context, url string, readOnly bool, log *slog.Logger) (*store, error) {
	scheme, rest, _ := strings.Cut(url, ":")
	switch scheme {
	case "memory":
		if readOnly {
			return nil, fmt.Errorf("store memory: is known to its own process alone: ask that process's HTTP address, or use store: sqlite:PATH")
		}
		return newStore(url, false, memory.New()), nil
	case "sqlite":
		if rest == "" {
			return nil, fmt.Errorf("store %q names no file: want sqlite:PATH", url)
		}
		s, err := sqlite.Open(ctx, rest, sqlite.Options{ReadOnly: readOnly, Log: log})
		if err != nil {
			return nil, fmt.Errorf("open store %s: %w", url, err)
		}
		return newStore(url, false, s), nil
	case "postgres", "postgresql":
		s, err := postgres.Open(ctx, url, postgres.Options{ReadOnly: readOnly, Log: log})
		if err != nil {
			return nil, err
		}
		return newStore(url, true, s), nil
	}
	return nil, fmt.Errorf("store %q: want memory:, sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE", MaskURL(url))
}
