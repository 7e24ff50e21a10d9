package vedette

import (
	"context"
	"log/slog"
	"time"
)

// A ScraperID names a scraper for good: its runs are kept under it.
type ScraperID string

// Hash spreads ids evenly over 64 bits. It places a scraper's runs within their interval and
// chooses how its runs are delayed; it must never change.
func (id ScraperID) Hash() uint64 { return hash(string(id)) }

// A Scraper is a named handler with parameters and a schedule.
type Scraper struct {
	ID ScraperID `json:"id"`
	Meta
	Schedule Schedule `json:"schedule"`
	// Job is what each run starts from: Handler, Params, Queue, Priority, Timeout and the rest of
	// what is said by whoever pushes it. Keys for overlap are the schedule's to set.
	Job Job `json:"job"`
}

// Scrapers is the registry of scrapers.
type Scrapers = Registry[ScraperID, Scraper]

// A Schedule says when a scraper runs. At most one of Every, Cron, Calendar and At is set; none
// means by hand only.
type Schedule struct {
	// Every is due at each k*Every+phase since the epoch, with a phase that follows from the
	// scraper's id, so that it keeps its beat over restarts and many spread evenly.
	Every    time.Duration `json:"every,omitempty"`
	Cron     string        `json:"cron,omitempty"`
	Calendar []Calendar    `json:"calendar,omitempty"`
	At       []time.Time   `json:"at,omitempty"`
	Zone     string        `json:"zone,omitempty"` // of Cron and Calendar; "" is UTC

	From time.Time `json:"from,omitzero"` // due from then on
	To   time.Time `json:"to,omitzero"`   // and before then
	// Jitter delays each run by a part of it that follows from the scraper and the time.
	Jitter time.Duration `json:"jitter,omitempty"`
	// Overlap says what to do when the run before still lives; "" is skip.
	Overlap Overlap `json:"overlap,omitempty"`
	// CatchUp is how late a run may begin that was missed while nobody led; 0 means a minute.
	CatchUp time.Duration `json:"catch_up,omitempty"`
	// PauseOnFailure lets the schedule make no runs while the last one that ended failed, until
	// one that somebody asked for succeeds or the scraper is changed.
	PauseOnFailure bool `json:"pause_on_failure,omitempty"`
}

// A Calendar is due at each civil time whose parts are all among those listed; an empty list is
// any, but for Hour, Minute and Second, where it is 0.
type Calendar struct {
	Year    []int `json:"year,omitempty"`
	Month   []int `json:"month,omitempty"`   // 1 to 12
	Day     []int `json:"day,omitempty"`     // of the month; -1 is the last
	Weekday []int `json:"weekday,omitempty"` // 0 is Sunday
	Hour    []int `json:"hour,omitempty"`
	Minute  []int `json:"minute,omitempty"`
	Second  []int `json:"second,omitempty"`
	Except  bool  `json:"except,omitempty"` // takes out what others of the schedule put in
}

// An Overlap is a policy for a run that comes due while the one before lives.
type Overlap string

// The policies.
const (
	Skip           Overlap = "skip"
	BufferOne      Overlap = "buffer_one"      // one waits, further ones are skipped
	BufferAll      Overlap = "buffer_all"      // all wait their turn
	CancelOther    Overlap = "cancel_other"    // ask the one before to end, then run
	TerminateOther Overlap = "terminate_other" // take the one before its claim, and run
	AllowAll       Overlap = "allow_all"
)

// Schedules keeps when each scraper is due next, beside its jobs: Fire is one transaction. It is
// safe for concurrent use.
type Schedules interface {
	// List returns up to n cursors with scrapers above after, in their order.
	List(ctx context.Context, after ScraperID, n int) ([]Cursor, error)
	// Due returns up to n cursors that stand at or before the store's present time, the earliest
	// first, each with the live jobs of its scraper, and when to ask again if there are fewer.
	Due(ctx context.Context, n int) (due []Cursor, next time.Time, err error)
	// Fire makes firings happen, each whole or not at all: one whose cursor no longer stands
	// where it was read is left out. Runs that their keys do not allow are added to the Skipped
	// of the cursor. It reports ErrLeaseLost, and does nothing, if leader does
	// not hold its lease.
	Fire(ctx context.Context, leader Lease, f ...Firing) error
}

// A Cursor is where the schedule of a scraper stands.
type Cursor struct {
	Scraper ScraperID `json:"scraper"`
	// Version is that of the Scraper from which At was reckoned; another one means that At is to
	// be reckoned anew. 0 is a cursor that is not kept yet.
	Version int64     `json:"version"`
	At      time.Time `json:"at,omitzero"`   // due next; zero: never again
	Last    time.Time `json:"last,omitzero"` // what it fired for last
	// Skipped and Dropped count runs that an overlap policy left out, and those that were too
	// late to catch up.
	Skipped int64 `json:"skipped"`
	Dropped int64 `json:"dropped"`
	// Since is when the Version was first seen, and Failed the run of it whose failure keeps the
	// schedule from making more.
	Since  time.Time `json:"since,omitzero"`
	Failed ID        `json:"failed,omitzero"`
	Live   []Job     `json:"-"` // of Due only: without Params, Result and Error
}

// A Firing moves a cursor and makes what follows.
type Firing struct {
	Scraper ScraperID
	// Was is the cursor as it was read: it is moved if its Version and At are still those.
	Was Cursor
	// Now is the cursor as it will be; a zero Version drops it.
	Now Cursor
	// Cancel asks live jobs to end, Terminate takes started ones from their owners, and Push
	// adds runs, as [Jobs.Push] does.
	Cancel    []ID
	Terminate []ID
	Push      []Job
}

// A Handler does a Job. Its ctx ends at the time-out, at a cancel, at a stop and when the claim is
// lost; [context.Cause] says which. It returns what people read of the run.
type Handler interface {
	Run(ctx context.Context, t *Task) (result string, err error)
}

// HandlerFunc makes a function a Handler.
type HandlerFunc func(ctx context.Context, t *Task) (result string, err error)

// Run calls f.
func (f HandlerFunc) Run(ctx context.Context, t *Task) (string, error) { return f(ctx, t) }

// A Task is a claimed Job with what its Handler works with.
type Task struct {
	Job Job
	Log *slog.Logger // its lines are kept under [LogTopic]
	KV  KV           // what the scraper remembers between runs, under [StateKey]
	// Emit keeps what the run found, JSON each, as [Item]s under [ItemsTopic]. It is safe for
	// concurrent use, and items are in the order of its calls. After an error they may be kept or
	// not: emitted again they are the same items.
	Emit func(ctx context.Context, items ...Raw) error
}

// StateKey is the key of a [KV] under which what a scraper remembers is kept, in the form of its
// handler.
func StateKey(id ScraperID) string { return "scraper/" + string(id) + "/state" }
