package vedette

import (
	"context"
	"encoding/json"
	"time"
)

// A MonitorID names a monitor for good: results are kept under it. A file makes it of the
// group and the name unless it is given.
type MonitorID string

// Hash spreads ids evenly over 64 bits. Its high bits place a monitor's checks within its
// interval and its rows within a table, its low bits choose its shard; it must never change.
func (id MonitorID) Hash() uint64 { return hash(string(id)) }

// Shard returns which of n shards the monitor belongs to.
func (id MonitorID) Shard(n int) int {
	return int(id.Hash() & 0xffffffff % uint64(n)) //nolint:gosec // n > 0, and the rest is below n
}

// Raw holds keys that one package alone defines, checks and documents.
type Raw = json.RawMessage

// Meta is what all things that people edit have in common.
type Meta struct {
	Name   string            `json:"name"`
	Group  string            `json:"group,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	Paused bool              `json:"paused,omitempty"`
	// Origin is "file:line" of the file that owns the thing, else "". What a file owns is
	// read-only to everybody else.
	Origin string `json:"origin,omitempty"`
	// Version counts the changes that the registry has seen; 0 is new.
	Version int64 `json:"version"`
}

// A Monitor is a site to look at every so often.
type Monitor struct {
	ID MonitorID `json:"id"`
	Meta
	// URL says what to look at; its scheme chooses the kind of check.
	URL      string        `json:"url"`
	Interval time.Duration `json:"interval"`
	// Timeout ends a look that has not ended by itself.
	Timeout time.Duration `json:"timeout"`
	// RetryInterval replaces a longer Interval while looks contradict the verdict and do not
	// yet confirm the change.
	RetryInterval time.Duration `json:"retry_interval"`
	Confirm       Confirm       `json:"confirm"`
	// Regions are those that look at it, and whose word counts; none means all.
	Regions []string `json:"regions,omitempty"`
	// Quorum is how many regions must agree that the site is down; 0 means one.
	Quorum int `json:"quorum,omitempty"`
	// DependsOn names parents: while one of them is down, this monitor opens no incident.
	DependsOn   []MonitorID `json:"depends_on,omitempty"`
	Maintenance []Window    `json:"maintenance,omitempty"`
	// Probe holds the keys of the kind of check; package check defines them.
	Probe Raw `json:"probe,omitempty"`
}

// Confirm says how many looks in a row it takes to believe a change.
type Confirm struct {
	Down int `json:"down"` // to down; 0 means 1
	Up   int `json:"up"`   // from down; 0 means 1
}

// A Window is a span of planned work: looks go on, nobody is told, and uptime leaves it out.
// Either From and To are set, or Cron and For.
type Window struct {
	Name string        `json:"name,omitempty"`
	From time.Time     `json:"from,omitzero"`
	To   time.Time     `json:"to,omitzero"`
	Cron string        `json:"cron,omitempty"` // when it begins
	Zone string        `json:"zone,omitempty"` // of Cron; "" is UTC
	For  time.Duration `json:"for,omitempty"`
}

// A Registry keeps what people edit. [Registry.List], then [Registry.Changes] from the
// revision that it gave, misses nothing. It is safe for concurrent use.
type Registry[K ~string, T any] interface {
	// Get returns one thing. It reports ErrNotFound.
	Get(ctx context.Context, id K) (T, error)
	// List returns up to n things with ids above after, in the order of their ids, and the
	// revision at which that was so. To read all, page on until fewer than n come and take
	// Changes from the first page's revision.
	List(ctx context.Context, after K, n int) (page []T, rev int64, err error)
	// Put adds the things whose Version is 0 and replaces the others, all or none. It
	// reports ErrConflict if a Version is not the stored one, and ErrReadOnly if a file owns
	// a stored thing and the new one names no Origin.
	Put(ctx context.Context, things ...T) error
	// Delete removes things by ID and Version, all or none, with the errors of Put; what is
	// already gone is no error.
	Delete(ctx context.Context, things ...T) error
	// Changes waits until something has changed since rev, then returns the things that
	// were put, as they are now, the ids of those deleted, and the revision to ask from
	// next. It returns ctx's error when ctx ends first.
	Changes(ctx context.Context, rev int64) (now []T, gone []K, next int64, err error)
}

// Monitors is the registry of monitors.
type Monitors = Registry[MonitorID, Monitor]
