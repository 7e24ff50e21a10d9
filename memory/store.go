// Package memory keeps everything in this process's memory: it is what opens "memory:", and the
// fake in tests of what uses a store. It keeps the guarantees of the contracts except that
// nothing outlives the process. Nothing in it waits with a lock held, so it works under
// testing/synctest, whose clock is then the store's. Its Stream is a broker of the same kind.
package memory

import (
	"context"
	"sync"

	"github.com/vedettehq/vedette"
)

var (
	_ vedette.Writer = (*Store)(nil)
	_ vedette.Reader = (*Store)(nil)
	_ vedette.Keeper = (*Store)(nil)
)

// A Store is a Writer, a Reader and a Keeper, and has registries of monitors and scrapers, a Leaser,
// positions, dead letters, a queue of jobs with their schedules, a feed and small values. It is safe for concurrent use.
type Store struct {
	monitors *registry[vedette.MonitorID, vedette.Monitor]
	scrapers *registry[vedette.ScraperID, vedette.Scraper]
	leases   *leases
	queue    *queue
	feed     *feed
	kv       *kv

	mu        sync.Mutex
	series    map[vedette.MonitorID]*series
	statuses  map[vedette.MonitorID]vedette.Status
	incidents map[vedette.ID]vedette.Incident
	rollups   map[rollupKey]vedette.Rollup
	dirty     map[slotKey]int64 // marks
	positions map[place]vedette.Position
	letters   map[vedette.ID]letter
	mark      int64 // the last one given
	shards    int
}

// New returns an empty Store.
func New() *Store {
	leases, feed := &leases{held: map[string]vedette.Lease{}}, newFeed()
	return &Store{
		monitors:  newMonitors(),
		scrapers:  newScrapers(),
		leases:    leases,
		queue:     newQueue(leases, feed),
		feed:      feed,
		kv:        newKV(),
		series:    map[vedette.MonitorID]*series{},
		statuses:  map[vedette.MonitorID]vedette.Status{},
		incidents: map[vedette.ID]vedette.Incident{},
		rollups:   map[rollupKey]vedette.Rollup{},
		dirty:     map[slotKey]int64{},
		positions: map[place]vedette.Position{},
		letters:   map[vedette.ID]letter{},
	}
}

// Monitors returns the registry of monitors.
func (s *Store) Monitors() vedette.Monitors { return s.monitors }

// Leases returns the leases.
func (s *Store) Leases() vedette.Leaser { return s.leases }

// Scrapers returns the registry of scrapers.
func (s *Store) Scrapers() vedette.Scrapers { return s.scrapers }

// Jobs returns the jobs.
func (s *Store) Jobs() vedette.Jobs { return s.queue }

// Queue returns what workers ask of the jobs.
func (s *Store) Queue() vedette.Queue { return s.queue }

// Queues returns what stops queues and lets them go on.
func (s *Store) Queues() vedette.Queues { return s.queue }

// Schedules returns the cursors of schedules.
func (s *Store) Schedules() vedette.Schedules { return schedules{s.queue} }

// Feed returns the feed.
func (s *Store) Feed() vedette.Feed { return s.feed }

// KV returns the small values.
func (s *Store) KV() vedette.KV { return s.kv }

// Shards returns the shard count of this store, which is the first one that was wanted.
func (s *Store) Shards(_ context.Context, want int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shards == 0 {
		s.shards = want
	}
	return s.shards, nil
}

// Close does nothing: what is kept goes with the last reference to the Store.
func (s *Store) Close() error { return nil }
