package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/postgres"
	"github.com/vedettehq/vedette/redis"
	"github.com/vedettehq/vedette/sqlite"
)

// A store is all that is kept, behind the contracts.
type store struct {
	url       string
	shared    bool // other processes may use it at the same time
	leases    vedette.Leaser
	monitors  vedette.Monitors
	scrapers  vedette.Scrapers
	kv        vedette.KV
	positions vedette.Positions
	letters   vedette.DeadLetters
	writer    vedette.Writer
	reader    vedette.Reader
	keeper    vedette.Keeper
	shards    func(ctx context.Context, want int) (int, error)
	queue     *queue // that is in the store
	close     func() error
}

// A queue is where jobs are kept, with all that goes with them: when each scraper is due next,
// what jobs log and find, and the leases of those who make and do them.
type queue struct {
	jobs      vedette.Jobs
	work      vedette.Queue
	queues    vedette.Queues
	schedules vedette.Schedules
	feed      vedette.Feed
	leases    vedette.Leaser
}

// A backend is what a store's package offers.
type backend interface {
	vedette.Writer
	vedette.Reader
	vedette.Keeper
	scraping
	Monitors() vedette.Monitors
	Positions() vedette.Positions
	Letters() vedette.DeadLetters
	Shards(ctx context.Context, want int) (int, error)
}

// scraping is what a package offers that keeps scrapers and jobs.
type scraping interface {
	Scrapers() vedette.Scrapers
	Jobs() vedette.Jobs
	Queue() vedette.Queue
	Queues() vedette.Queues
	Schedules() vedette.Schedules
	Feed() vedette.Feed
	KV() vedette.KV
	Leases() vedette.Leaser
	Close() error
}

func newStore(url string, shared bool, b backend) *store {
	s := newScraping(url, shared, b)
	s.monitors, s.positions, s.letters, s.shards = b.Monitors(), b.Positions(), b.Letters(), b.Shards
	s.writer, s.reader, s.keeper = b, b, b
	return s
}

// newScraping returns a store of scrapers and jobs alone.
func newScraping(url string, shared bool, b scraping) *store {
	return &store{
		url: url, shared: shared, leases: b.Leases(), scrapers: b.Scrapers(), kv: b.KV(), close: b.Close,
		queue: &queue{
			jobs: b.Jobs(), work: b.Queue(), queues: b.Queues(), schedules: b.Schedules(), feed: b.Feed(), leases: b.Leases(),
		},
	}
}

// keepsResults reports whether the store is more than one of scrapers and jobs.
func (s *store) keepsResults() bool { return s.writer != nil }

// isShared reports whether the store of this URL is one that several processes can use.
func isShared(url string) bool {
	scheme, _, _ := strings.Cut(url, ":")
	return scheme == "postgres" || scheme == "postgresql" || isRedis(url)
}

func isRedis(url string) bool {
	scheme, _, _ := strings.Cut(url, ":")
	return scheme == "redis" || scheme == "rediss"
}

// An access is what a store is opened for.
type access int

const (
	own   access = iota // to run on it
	visit               // to read and to write, perhaps beside the process that owns it
	look                // to read
)

// open opens a store by its URL. Another backend is one more case here.
func open(ctx context.Context, url string, as access, log *slog.Logger) (*store, error) {
	scheme, rest, _ := strings.Cut(url, ":")
	switch scheme {
	case "memory":
		if as != own {
			return nil, fmt.Errorf("store memory: is known to its own process alone: ask that process's HTTP address, or use store: sqlite:PATH")
		}
		return newStore(url, false, memory.New()), nil
	case "sqlite":
		if rest == "" {
			return nil, fmt.Errorf("store %q names no file: want sqlite:PATH", url)
		}
		s, err := sqlite.Open(ctx, rest, sqlite.Options{ReadOnly: as == look, Guest: as == visit, Log: log})
		switch {
		case errors.Is(err, fs.ErrNotExist) && as != own:
			return nil, fmt.Errorf("%w (vedette up makes it)", err)
		case err != nil:
			return nil, err
		}
		return newStore(url, false, s), nil
	case "postgres", "postgresql":
		s, err := postgres.Open(ctx, url, postgres.Options{ReadOnly: as == look, Log: log})
		if err != nil {
			return nil, err
		}
		return newStore(url, true, s), nil
	case "redis", "rediss":
		s, err := redis.Open(ctx, url, redis.Options{ReadOnly: as == look, Log: log})
		if err != nil {
			return nil, err
		}
		return newScraping(url, true, s), nil
	}
	return nil, fmt.Errorf("store %q: want memory:, sqlite:PATH, postgres://USER:PASSWORD@HOST:PORT/DATABASE or redis://HOST:PORT", MaskURL(url))
}

// openBoth opens a store, and the queue if that is elsewhere; closing the store closes both.
func openBoth(ctx context.Context, storeURL, queueURL string, as access, log *slog.Logger) (*store, error) {
	s, err := open(ctx, storeURL, as, log)
	if err != nil || queueURL == "" || queueURL == storeURL {
		return s, err
	}
	other, err := open(ctx, queueURL, as, log)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("queue: %w", err), s.close())
	}
	closeStore := s.close
	s.queue = other.queue
	s.close = func() error { return errors.Join(other.close(), closeStore()) }
	return s, nil
}
