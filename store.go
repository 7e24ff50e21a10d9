package vedette

import (
	"context"
	"time"
)

// Found is what checks found.
type Found struct {
	Results []Result
	// Resent says that some of it may be kept already.
	Resent bool
}

// A Sink takes what was found. It is safe for concurrent use.
type Sink interface {
	// Send returns nil when what was found is kept: on disk, or by all in-sync replicas. After
	// any other answer send the same again, with Resent set: it may be kept or not. It
	// reports ErrRefused for what will never be taken.
	Send(ctx context.Context, f Found) error
}

// A Batch is one transaction: what was found and what follows from it.
type Batch struct {
	Found
	Statuses  []Status   // at most one a monitor, Version as it was read
	Incidents []Incident // added, or replaced by ID
	Dead      []DeadLetter
	// Positions moves each of these from From to Next, and sets their Stream, and Through
	// where it is not zero; at most one a partition.
	Positions []Position
}

// A Writer writes batches. It is safe for concurrent use.
type Writer interface {
	// Write keeps all of b or none of it. A Result that is kept already, by Monitor,
	// StartedAt and ID, is not kept twice and is no error. Each Status gets the next Version.
	// It reports ErrConflict if a Status was derived from an older one, ErrLeaseLost if the
	// store has another owner now, or a Position another Epoch or Next than is said, and
	// ErrRefused for data that will never be taken.
	Write(ctx context.Context, b Batch) error
}

// A Span cuts history to size.
type Span struct {
	From time.Time // zero: from the beginning
	To   time.Time // not included; zero: to the end
	// After pages: only what lies behind this ID in the order asked for.
	After  ID
	N      int  // at most so many; 0 means 1000
	Newest bool // newest first, else oldest first
}

// A Reader serves people, and an engine once, when it takes over. Unknown monitors are no
// error: nothing is known of them. It is safe for concurrent use.
type Reader interface {
	// Latest returns the statuses of these monitors, or of all, by id.
	Latest(ctx context.Context, ids ...MonitorID) ([]Status, error)
	// History returns results of one monitor, or of all if id is empty, by ID. Evidence comes with
	// the results of one monitor only.
	History(ctx context.Context, id MonitorID, s Span) ([]Result, error)
	// Incidents returns incidents of one monitor, or of all if id is empty, that lay in the
	// span, by ID.
	Incidents(ctx context.Context, id MonitorID, s Span) ([]Incident, error)
	// Rollups returns the rollups of these monitors, or of all, that begin in [from, to), by
	// monitor and time.
	Rollups(ctx context.Context, p Period, from, to time.Time, ids ...MonitorID) ([]Rollup, error)
}

// A Period is the length of a rollup.
type Period time.Duration

// The periods that are kept. A day is one of UTC.
const (
	Hourly = Period(time.Hour)
	Daily  = Period(24 * time.Hour)
)

// A Rollup sums up one period of one monitor.
type Rollup struct {
	Monitor MonitorID `json:"monitor"`
	At      time.Time `json:"at"` // when the period begins
	Period  Period    `json:"period"`
	Checks  int64     `json:"checks"`
	Failed  int64     `json:"failed"`
	Spent   Spent     `json:"spent"`
	// Latency is a mergeable sketch of Phases.Total of the looks that were up or degraded;
	// package sketch reads it.
	Latency []byte `json:"latency,omitempty"`
	// Mark is that of the Slot it was made from; 0 for a day.
	Mark int64 `json:"-"`
}

// A Slot is one hour of one monitor that holds results which its rollup does not count.
type Slot struct {
	Monitor MonitorID
	Hour    time.Time
	Mark    int64 // changes when further results come
}

// Retention says for how long to keep what. Zero keeps for ever, or without bound.
type Retention struct {
	Results  time.Duration // raw results
	Failures time.Duration // failures with their evidence, and closed incidents
	Hourly   time.Duration
	Daily    time.Duration
	MaxBytes int64 // of all; the oldest raw results go first
}

// Size tells how much a store holds.
type Size struct {
	Rows  map[string]int64 // by table
	Bytes int64            // on disk, without what is free for reuse
}

// A Keeper holds history within its bounds, on behalf of one janitor at a time.
type Keeper interface {
	// Dirty returns up to n slots of hours that ended by before, oldest first.
	Dirty(ctx context.Context, before time.Time, n int) ([]Slot, error)
	// Roll keeps rollups, replacing those of the same monitor, period and time. A slot is
	// clean when its hourly rollup is kept, unless its Mark has changed since.
	Roll(ctx context.Context, r ...Rollup) error
	// Prune drops what is older than keep allows at now, a bounded piece of work a call, and
	// says whether there is more to do. Raw results of a dirty slot stay until it is clean, unless
	// MaxBytes demands them.
	Prune(ctx context.Context, now time.Time, keep Retention) (more bool, err error)
	// Forget drops the statuses of monitors that are gone. Their history stays until it is
	// pruned.
	Forget(ctx context.Context, ids ...MonitorID) error
	// Size may be an estimate.
	Size(ctx context.Context) (Size, error)
}
