package redis

import (
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/group"
)

// A Store is a queue of jobs with their schedules, registries of scrapers and monitors, a Leaser, a feed
// and small values. It is safe for concurrent use.
type Store struct {
	db       *redis.Client
	prefix   string
	readOnly bool
	log      *slog.Logger
	scripts  map[string]*script
	wakes    *wakes

	pushes *group.Group[[]any, []vedette.ID]
	ends   *group.Group[ending, []vedette.Ref]
	desks  *desks
}

func newStore(db *redis.Client, prefix string, o Options) *Store {
	s := &Store{
		db: db, prefix: prefix, readOnly: o.ReadOnly, log: o.Log,
		scripts: scripts(), wakes: newWakes(db, prefix, o.Log), desks: &desks{all: map[string]*desk{}},
	}
	s.pushes = &group.Group[[]any, []vedette.ID]{Do: queue{s}.push, Most: fewCalls}
	s.ends = &group.Group[ending, []vedette.Ref]{Do: queue{s}.finish, Most: fewCalls}
	return s
}

// Jobs returns the jobs.
func (s *Store) Jobs() vedette.Jobs { return queue{s} }

// Queue returns what workers ask of the jobs.
func (s *Store) Queue() vedette.Queue { return queue{s} }

// Queues returns what stops queues and lets them go on.
func (s *Store) Queues() vedette.Queues { return queue{s} }

// Schedules returns the cursors of schedules.
func (s *Store) Schedules() vedette.Schedules { return schedules{s} }

// Leases returns the leases.
func (s *Store) Leases() vedette.Leaser { return leases{s} }

// Feed returns the feed.
func (s *Store) Feed() vedette.Feed { return feed{s} }

// KV returns the small values.
func (s *Store) KV() vedette.KV { return kv{s} }

// Scrapers returns the registry of scrapers.
func (s *Store) Scrapers() vedette.Scrapers {
	return registry[vedette.ScraperID, vedette.Scraper]{s, scraperKind()}
}

// Monitors returns the registry of monitors.
func (s *Store) Monitors() vedette.Monitors {
	return registry[vedette.MonitorID, vedette.Monitor]{s, monitorKind()}
}

// Close ends the connections. Calls that wait end with an error.
func (s *Store) Close() error {
	s.wakes.close()
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close redis: %w", err)
	}
	return nil
}
