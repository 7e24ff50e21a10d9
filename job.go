package vedette

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// A JobState says how far a Job has come.
type JobState string

// The states of jobs. The first four are live; a job of one of the others is history.
const (
	JobScheduled JobState = "scheduled" // to run at RunAt, which is to come
	JobPending   JobState = "pending"   // to run as soon as a worker is free
	JobStarted   JobState = "started"   // owned by a worker
	JobRetrying  JobState = "retrying"  // to run again at RunAt, which is to come, after an attempt that failed
	JobSucceeded JobState = "succeeded"
	JobFailed    JobState = "failed"    // by its own words: it is not to be tried again
	JobDead      JobState = "dead"      // all attempts failed, or its workers were lost
	JobCancelled JobState = "cancelled" // before it ran, or while it did
)

// Live reports whether a job of this state has not ended.
func (s JobState) Live() bool {
	switch s {
	case JobScheduled, JobPending, JobStarted, JobRetrying:
		return true
	}
	return false
}

// The priorities that have names. Any number will do: the lowest runs first.
const (
	Utmost = 0
	High   = 1
	Normal = 2
)

// CancelGrace is how long a worker may take to end a job that was cancelled.
const CancelGrace = 10 * time.Second

// DefaultQueue is the queue of a Job that names none.
const DefaultQueue = "default"

// A Job is one durable run. Its times are kept to the microsecond. What stands in its first part is said by whoever pushes it and never
// changes; the store decides by it, atomically, whether the job may be and when it may run.
type Job struct {
	ID      ID        `json:"id"`
	Scraper ScraperID `json:"scraper,omitempty"` // whose run it is; "" is nobody's
	Handler string    `json:"handler"`
	Params  Raw       `json:"params,omitempty"`
	Queue   string    `json:"queue"` // "" means DefaultQueue
	// Priority orders the jobs of a queue, the lowest first; of one priority the one whose RunAt
	// is first, then the one of the lower ID.
	Priority int `json:"priority"`
	// FireAt is the time that a schedule, a backfill or a trigger runs it for. Of those that a
	// schedule fired there is one for each Scraper and FireAt, whether it still lives or not.
	FireAt time.Time `json:"fire_at,omitzero"`
	Fired  bool      `json:"fired,omitempty"` // by the schedule itself

	Timeout     time.Duration `json:"timeout,omitempty"` // of one attempt; 0 is none
	MaxAttempts int           `json:"max_attempts"`      // 0 means 1
	RetryAfter  time.Duration `json:"retry_after,omitempty"`
	Keep        int           `json:"keep,omitempty"` // runs of the Scraper to keep as history; 0 is all

	// Unique allows one live job of this key, UniqueWaiting one that no worker has claimed yet.
	Unique        string `json:"unique,omitempty"`
	UniqueWaiting string `json:"unique_waiting,omitempty"`
	// Limit bounds how many jobs of LimitKey are started at once; 0 does not.
	LimitKey string `json:"limit_key,omitempty"`
	Limit    int    `json:"limit,omitempty"`
	// RateEvery is the time between two starts of jobs of RateKey, on average; RateBurst of them
	// may start at once. 0 does not bound it.
	RateKey   string        `json:"rate_key,omitempty"`
	RateEvery time.Duration `json:"rate_every,omitempty"`
	RateBurst int           `json:"rate_burst,omitempty"`

	// From here on it is the queue's.
	State JobState `json:"state"`
	// RunAt is when it may run; whoever pushes it may set it, zero is at once.
	RunAt time.Time `json:"run_at"`
	// Epoch grows whenever the job changes its owner: what a former one says counts no more.
	Epoch      int64     `json:"epoch"`
	Attempt    int       `json:"attempt"` // how often it was claimed
	Owner      string    `json:"owner,omitempty"`
	Cancel     string    `json:"cancel,omitempty"` // why it is to end, or was cancelled
	Result     string    `json:"result,omitempty"`
	Error      string    `json:"error,omitempty"` // of the last attempt that failed
	CreatedAt  time.Time `json:"created_at"`
	StartedAt  time.Time `json:"started_at,omitzero"`
	BeatAt     time.Time `json:"heartbeat_at,omitzero"` // when its owner was last heard of, be it that it ended
	FinishedAt time.Time `json:"finished_at,omitzero"`
	// Attempts are those that ended, oldest first. [Jobs.Get] alone fills it.
	Attempts []Attempt `json:"attempts,omitempty"`
}

// Err returns why no store takes j from whoever pushes it, as ErrRefused, or nil. Stores ask it, so
// that all of them refuse the same.
func (j Job) Err() error {
	var why string
	switch {
	case j.ID.IsZero():
		why = "no id"
	case j.Handler == "":
		why = "no handler"
	case j.Params != nil && !json.Valid(j.Params):
		why = "params that are not JSON"
	case j.Fired && (j.Scraper == "" || j.FireAt.IsZero()):
		why = "fired, but by no scraper or for no time"
	case j.Timeout < 0, j.MaxAttempts < 0, j.RetryAfter < 0, j.Keep < 0, j.Limit < 0, j.RateEvery < 0, j.RateBurst < 0:
		why = "a number below 0"
	case j.Limit > 0 && j.LimitKey == "", j.RateEvery > 0 && j.RateKey == "":
		why = "a limit without a key"
	default:
		return nil
	}
	return fmt.Errorf("job %s: %s: %w", j.ID, why, ErrRefused)
}

// Ref returns what names the present claim of j.
func (j Job) Ref() Ref { return Ref{j.ID, j.Epoch} }

// Counts returns the epoch of the attempt by whose own word j ended, and false while j lives or if it
// ended otherwise: its worker was lost, or it was cancelled while nobody ran it. Of all that attempts
// found and left behind, only what that one did counts. It goes by Attempts, which [Jobs.Get] fills.
func (j Job) Counts() (epoch int64, ok bool) {
	if j.State.Live() || len(j.Attempts) == 0 {
		return 0, false
	}
	// Whoever ends a job without its owner gives it another epoch, or another state.
	last := j.Attempts[len(j.Attempts)-1]
	return last.Epoch, last.Epoch == j.Epoch && last.State == j.State
}

// LogTopic is the topic of a [Feed] that holds what a job logs.
func LogTopic(id ID) string { return "job/" + id.String() }

// An Attempt is one try to do a Job.
type Attempt struct {
	Epoch      int64     `json:"epoch"`
	Owner      string    `json:"owner"`
	StartedAt  time.Time `json:"started_at"`
	FinishedAt time.Time `json:"finished_at"`
	State      JobState  `json:"state"` // what it led to
	Error      string    `json:"error,omitempty"`
}

// A Ref names one claim of a Job.
type Ref struct {
	Job   ID    `json:"job"`
	Epoch int64 `json:"epoch"`
}

// Jobs is what everybody but a worker asks of a queue. It is safe for concurrent use.
type Jobs interface {
	// Push adds jobs, all or, after an error, none. One whose ID is known already is no news, and
	// so is one that was Fired for a Scraper and FireAt before. It returns the IDs of those that
	// Unique or UniqueWaiting does not allow. It reports ErrRefused for a job that makes no sense.
	Push(ctx context.Context, jobs ...Job) (refused []ID, err error)
	// Cancel ends live jobs: those that nobody runs at once, a started one when its worker has
	// been told by its Beat and says so, or after CancelGrace. Others are left alone.
	Cancel(ctx context.Context, reason string, ids ...ID) error
	// Get returns a job, live or not. It reports ErrNotFound.
	Get(ctx context.Context, id ID) (Job, error)
	// List returns up to n jobs with IDs below before (zero: any), the newest first, that agree
	// with like in each of Scraper, Handler, Queue, State and Owner that is set.
	List(ctx context.Context, like Job, before ID, n int) ([]Job, error)
	// Queues returns every queue that holds a live job or is paused, by name.
	Queues(ctx context.Context) ([]QueueState, error)
}

// A QueueState says how a queue does.
type QueueState struct {
	Name      string      `json:"name"`
	Paused    bool        `json:"paused"`
	Ready     map[int]int `json:"ready"`     // by priority: pending, with neither limit nor rate against it
	Held      int         `json:"held"`      // pending, and their limit or rate is reached
	Scheduled int         `json:"scheduled"` // retrying included
	Started   int         `json:"started"`
	Oldest    time.Time   `json:"oldest,omitzero"` // RunAt of the job that is ready for longest
}

// A Queue is what workers ask for, and the leader on behalf of those that are gone. It is safe
// for concurrent use.
type Queue interface {
	// Beat says that owner lives and what it holds, for ttl from now by the store's clock. The
	// answer has an Order for each claim of held that is lost or is to end. Claims of owner that
	// are older than two beats and not in held are those whose answer never came: they are given
	// back. It reports ErrLeaseLost for an owner whose time ran out: it must stop, and come
	// again under another name.
	Beat(ctx context.Context, owner string, ttl time.Duration, held ...Ref) ([]Order, error)
	// Claim takes up to n jobs for owner, who must have Beat: of the first queue wanted as many
	// as it wants, then of the second, and of each the first in the order of priority, RunAt and
	// ID. It waits until there is one, and returns ctx's error if ctx ends before. Of a paused
	// queue it takes none. It reports ErrLeaseLost for an owner who does not live.
	Claim(ctx context.Context, owner string, n int, from ...Want) ([]Job, error)
	// Finish says how claims ended. Those that are no longer so change nothing and are
	// returned. Saying the same again is no error. It reports ErrRefused for a State that is not
	// one of an End, and then none of them counts.
	Finish(ctx context.Context, ends ...End) (stale []Ref, err error)
	// Rescue ends the claims of owners whose time ran out, and those that were told to end
	// and did not: they run again or are dead, as their attempts allow. It reports
	// ErrLeaseLost, and does nothing, if leader does not hold its lease.
	Rescue(ctx context.Context, leader Lease) (rescued []Job, err error)
	// Retire drops history that ended before, and of each Scraper what its last job's Keep does
	// not keep, with the topics of what it drops, a bounded piece of work a call; it says whether
	// there is more. It reports ErrLeaseLost as Rescue does.
	Retire(ctx context.Context, leader Lease, before time.Time) (more bool, err error)
}

// A Want is what a worker would take of one queue.
type Want struct {
	Queue string
	N     int // at most; 0 is as many as the claim takes
}

// An Order tells a worker about a claim of its.
type Order struct {
	Ref
	// Lost says that another has it, or nobody: what comes of it counts no more. Otherwise the
	// run is to end, and Reason says why.
	Lost   bool
	Reason string
}

// An End is how a claim ended.
type End struct {
	Ref
	// State is one of those of history, or pending to give it back without counting the
	// attempt, or retrying to run it again at RunAt; zero is at once. A job that was to end is
	// cancelled instead of run again, and one without attempts left is dead.
	State  JobState
	RunAt  time.Time
	Result string
	Error  string
}

// Err returns why no store takes e, as ErrRefused, or nil. Stores ask it, so that all of them refuse
// the same.
func (e End) Err() error {
	switch e.State {
	case JobPending, JobRetrying, JobSucceeded, JobFailed, JobDead, JobCancelled:
		return nil
	case JobScheduled, JobStarted:
	}
	return fmt.Errorf("job %s: no claim ends as %q: %w", e.Job, e.State, ErrRefused)
}

// Queues lets people stop and go on. It is safe for concurrent use.
type Queues interface {
	// Pause stops claims from these queues, Resume lets them go on. What runs goes on.
	Pause(ctx context.Context, queues ...string) error
	Resume(ctx context.Context, queues ...string) error
}
