package worker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/worker"
)

// A rig is a store with a worker on it, in a bubble of synctest.
type rig struct {
	*testing.T
	store *memory.Store
	queue *broken
	feed  *brokenFeed
	meter *meter
	work  *worker.Worker
	stop  func() // and wait for the end
	n     int    // jobs pushed one by one, so that their IDs are in order
}

// start runs a worker with one handler for all jobs, named "h".
func start(t *testing.T, h vedette.HandlerFunc, edit ...func(*worker.Config)) *rig {
	t.Helper()
	g := &rig{T: t, store: memory.New(), meter: &meter{}}
	g.queue = &broken{Queue: g.store.Queue()}
	g.feed = &brokenFeed{Feed: g.store.Feed()}
	g.run(h, "w", edit...)
	return g
}

// run runs a further worker on the store.
func (g *rig) run(h vedette.HandlerFunc, owner string, edit ...func(*worker.Config)) {
	g.Helper()
	c := worker.Config{
		Queue: g.queue, Feed: g.feed, KV: g.store.KV(), Owner: owner, Meter: g.meter,
		Handlers: map[string]vedette.Handler{"h": h},
		Log:      slog.New(slog.NewTextHandler(g.Output(), nil)),
	}
	for _, f := range edit {
		f(&c)
	}
	w, err := worker.New(c)
	if err != nil {
		g.Fatal(err)
	}
	g.work = w
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	g.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			g.Error(err)
		}
	})
	g.Cleanup(g.stop)
}

// push adds a job, for which edit says more.
func (g *rig) push(edit ...func(*vedette.Job)) vedette.ID {
	g.Helper()
	g.n++
	j := vedette.Job{ID: vedette.NewID(time.Now().Add(time.Duration(g.n) * time.Microsecond)), Handler: "h"}
	for _, f := range edit {
		f(&j)
	}
	if refused, err := g.store.Jobs().Push(g.Context(), j); err != nil || len(refused) > 0 {
		g.Fatal(refused, err)
	}
	return j.ID
}

func (g *rig) job(id vedette.ID) vedette.Job {
	g.Helper()
	j, err := g.store.Jobs().Get(context.Background(), id)
	if err != nil {
		g.Fatal(err)
	}
	return j
}

// want waits for everything to settle and complains if the job is of another state.
func (g *rig) want(id vedette.ID, s vedette.JobState) vedette.Job {
	g.Helper()
	synctest.Wait()
	j := g.job(id)
	if j.State != s {
		g.Errorf("job is %s, want %s: %+v", j.State, s, j)
	}
	return j
}

// log returns what a job has logged.
func (g *rig) log(id vedette.ID) (lines []string) {
	entries, _ := g.store.Feed().Last(context.Background(), vedette.LogTopic(id), 1_000_000)
	for _, e := range entries {
		lines = append(lines, string(e.Data))
	}
	return lines
}

func (g *rig) items(id vedette.ID) (items []string) {
	entries, _ := g.store.Feed().Last(context.Background(), vedette.ItemsTopic(id), 1_000_000)
	for _, e := range entries {
		items = append(items, string(e.Data))
	}
	return items
}

// lead returns a lease under which jobs can be rescued.
func (g *rig) lead() vedette.Lease {
	held, err := g.store.Leases().Acquire(context.Background(), "leader", time.Hour, "schedule")
	if err != nil || len(held) != 1 {
		g.Fatal(held, err)
	}
	return held[0]
}

// A meter counts.
type meter struct {
	mu      sync.Mutex
	started int
	ended   map[vedette.JobState]int
	lost    int
	stale   int
	delay   time.Duration
	took    time.Duration
}

func (m *meter) Started(_ vedette.Job, delay time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.started++
	m.delay = delay
}

func (m *meter) Ended(_ vedette.Job, s vedette.JobState, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended == nil {
		m.ended = map[vedette.JobState]int{}
	}
	m.ended[s]++
	m.took = took
}

func (m *meter) Lost(vedette.Job) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lost++
}

func (m *meter) Stale(vedette.Ref) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stale++
}

// broken is a queue whose calls do what a test says instead.
type broken struct {
	vedette.Queue
	mu     sync.Mutex
	beat   func(ctx context.Context) error
	claim  func(ctx context.Context, n int, from []vedette.Want) error
	lose   bool          // the answers of Claim
	stall  time.Duration // before the answers of Claim
	finish func(ends []vedette.End) error
	calls  atomic.Int64 // of Finish
}

func (b *broken) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

func (b *broken) Beat(ctx context.Context, owner string, ttl time.Duration, held ...vedette.Ref) ([]vedette.Order, error) {
	b.mu.Lock()
	f := b.beat
	b.mu.Unlock()
	if f != nil {
		if err := f(ctx); err != nil {
			return nil, err
		}
	}
	return b.Queue.Beat(ctx, owner, ttl, held...)
}

func (b *broken) Claim(ctx context.Context, owner string, n int, from ...vedette.Want) ([]vedette.Job, error) {
	b.mu.Lock()
	f, lose, stall := b.claim, b.lose, b.stall
	b.mu.Unlock()
	if f != nil {
		if err := f(ctx, n, from); err != nil {
			return nil, err
		}
	}
	jobs, err := b.Queue.Claim(ctx, owner, n, from...)
	time.Sleep(stall)
	if lose && err == nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return jobs, err
}

func (b *broken) Finish(ctx context.Context, ends ...vedette.End) ([]vedette.Ref, error) {
	b.calls.Add(1)
	b.mu.Lock()
	f := b.finish
	b.mu.Unlock()
	if f != nil {
		if err := f(ends); err != nil {
			return nil, err
		}
	}
	return b.Queue.Finish(ctx, ends...)
}

// brokenFeed is a feed that fails with err, if there is one.
type brokenFeed struct {
	vedette.Feed
	err atomic.Pointer[error]
}

func (f *brokenFeed) fail(err error) { f.err.Store(&err) }

func (f *brokenFeed) Append(ctx context.Context, e ...vedette.Entry) error {
	if err := f.err.Load(); err != nil && *err != nil {
		return *err
	}
	return f.Feed.Append(ctx, e...)
}

var errAway = errors.New("the store is away")

func succeed(context.Context, *vedette.Task) (string, error) { return "well", nil }

// outlast ends when it pleases, whatever its ctx says.
func outlast(d time.Duration) vedette.HandlerFunc {
	return func(context.Context, *vedette.Task) (string, error) {
		time.Sleep(d)
		return "late", nil
	}
}

func TestWorkerRunsJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, succeed)
		synctest.Wait()
		id := g.push()
		j := g.want(id, vedette.JobSucceeded)
		if j.Result != "well" || j.Error != "" || j.Attempt != 1 {
			t.Errorf("result %q, error %q, attempt %d", j.Result, j.Error, j.Attempt)
		}
		if !j.FinishedAt.Equal(j.CreatedAt) {
			t.Errorf("a lone job ended %v after its push, want at once", j.FinishedAt.Sub(j.CreatedAt))
		}
		if g.meter.started != 1 || g.meter.ended[vedette.JobSucceeded] != 1 || g.work.Running() != 0 {
			t.Errorf("%+v, %d running", g.meter, g.work.Running())
		}
	})
}

func TestWhatHandlersReturnDecides(t *testing.T) {
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		handler vedette.HandlerFunc
		state   vedette.JobState
		text    string
		wait    time.Duration // until the next attempt, at least
	}{
		"an error is tried again after a back-off":     {fails(boom), vedette.JobRetrying, "boom", 10 * time.Second},
		"one that asks for a time gets it":             {fails(fmt.Errorf("busy: %w", vedette.RetryAfter(time.Hour, boom))), vedette.JobRetrying, "busy: boom", time.Hour},
		"a permanent one ends the job":                 {fails(fmt.Errorf("no use: %w", vedette.Permanent(boom))), vedette.JobFailed, "no use: boom", 0},
		"a panic is an error with its stack":           {panics, vedette.JobRetrying, "worker_test.panics", 10 * time.Second},
		"so is the end of the goroutine":               {exits, vedette.JobRetrying, "ended its goroutine", 10 * time.Second},
		"so is a job of no handler":                    {nil, vedette.JobRetrying, `unknown handler "nobody": this worker knows h`, 10 * time.Second},
		"zero bytes and broken text are made harmless": {fails(errors.New("a\x00b\xffc")), vedette.JobRetrying, "a\uFFFDb\uFFFDc", 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := start(t, c.handler)
				id := g.push(func(j *vedette.Job) {
					j.MaxAttempts, j.RetryAfter = 3, 10*time.Second
					if c.handler == nil {
						j.Handler = "nobody"
					}
				})
				j := g.want(id, c.state)
				if !strings.Contains(j.Error, c.text) {
					t.Errorf("error %q, want %q in it", j.Error, c.text)
				}
				wait := time.Until(j.RunAt)
				if j.State == vedette.JobRetrying && (wait < c.wait || wait > c.wait*11/10) {
					t.Errorf("runs again in %v, want %v", wait, c.wait)
				}
			})
		})
	}
}

func fails(err error) vedette.HandlerFunc {
	return func(context.Context, *vedette.Task) (string, error) { return "", err }
}

func panics(context.Context, *vedette.Task) (string, error) { panic("ouch") }

func exits(context.Context, *vedette.Task) (string, error) {
	runtime.Goexit()
	return "", nil
}

func TestBackoffDoublesUntilTheJobIsDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		g := start(t, func(context.Context, *vedette.Task) (string, error) {
			at = append(at, time.Now())
			return "", errors.New("no")
		})
		id := g.push(func(j *vedette.Job) { j.MaxAttempts, j.RetryAfter = 9, 20*time.Minute })
		time.Sleep(12 * time.Hour)
		j := g.want(id, vedette.JobDead)
		if len(at) != 9 || j.Error != "no" || len(j.Attempts) != 9 {
			t.Fatalf("%d attempts, %+v", len(at), j)
		}
		want := 20 * time.Minute
		for i := range at[1:] {
			got := at[i+1].Sub(at[i])
			if got < want || got > want*11/10+time.Second {
				t.Errorf("wait %d is %v, want %v and up to a tenth", i, got, want)
			}
			want = min(2*want, time.Hour)
		}
		if g.meter.ended[vedette.JobDead] != 1 || g.meter.ended[vedette.JobRetrying] != 8 {
			t.Errorf("counted %v", g.meter.ended)
		}
	})
}

func TestLongWordsAreCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, func(context.Context, *vedette.Task) (string, error) {
			return strings.Repeat("ü", 20<<10), nil
		})
		j := g.want(g.push(), vedette.JobSucceeded)
		if len(j.Result) > 17<<10 || !strings.HasSuffix(j.Result, "ü… (cut, 40960 bytes in all)") {
			t.Errorf("%d bytes, ending in %q", len(j.Result), j.Result[len(j.Result)-40:])
		}
	})
}

func TestTimeoutEndsTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		g := start(t, func(ctx context.Context, _ *vedette.Task) (string, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return "", ctx.Err()
		})
		id := g.push(func(j *vedette.Job) { j.Timeout = 5 * time.Second })
		time.Sleep(5 * time.Second)
		j := g.want(id, vedette.JobDead)
		if !errors.Is(cause, context.DeadlineExceeded) || !strings.HasPrefix(j.Error, "no end within 5s") {
			t.Errorf("cause %v, error %q", cause, j.Error)
		}
	})
}

func TestCancelEndsTheHandlerWithItsReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		g := start(t, func(ctx context.Context, _ *vedette.Task) (string, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return "", errors.New("cleaned up")
		})
		id := g.push()
		time.Sleep(time.Second)
		if err := g.store.Jobs().Cancel(t.Context(), "not today", id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		j := g.want(id, vedette.JobCancelled)
		if !errors.Is(cause, worker.ErrCancelled) || j.Error != "cancelled: not today: cleaned up" {
			t.Errorf("cause %v, error %q", cause, j.Error)
		}
	})
}

func TestWhoSucceedsInSpiteOfACancelHasSucceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, outlast(8*time.Second))
		id := g.push()
		synctest.Wait()
		if err := g.store.Jobs().Cancel(t.Context(), "no", id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(8 * time.Second)
		g.want(id, vedette.JobSucceeded)
	})
}

func TestDeafHandlerKeepsItsSlotAndItsClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, outlast(time.Hour), func(c *worker.Config) { c.Concurrency = 1 })
		id := g.push(func(j *vedette.Job) { j.Timeout = time.Second })
		time.Sleep(time.Millisecond)
		next := g.push()
		lead := g.lead()
		for range 100 {
			time.Sleep(30 * time.Second)
			if rescued, err := g.store.Queue().Rescue(t.Context(), lead); err != nil || len(rescued) > 0 {
				t.Fatal(rescued, err)
			}
			lead = g.lead()
		}
		g.want(id, vedette.JobStarted)
		g.want(next, vedette.JobPending)
		time.Sleep(time.Hour)
		g.want(id, vedette.JobSucceeded)
		g.want(next, vedette.JobStarted)
		time.Sleep(time.Hour)
		g.want(next, vedette.JobSucceeded)
	})
}

func TestNewWantsWhatItNeeds(t *testing.T) {
	if _, err := worker.New(worker.Config{}); err == nil {
		t.Error("a worker without a queue")
	}
	s := memory.New()
	c := worker.Config{
		Queue: s.Queue(), Feed: s.Feed(), KV: s.KV(), Owner: "w", Handlers: map[string]vedette.Handler{},
		Queues: []worker.Share{{Queue: "a"}, {Queue: "a"}},
	}
	if _, err := worker.New(c); err == nil {
		t.Error("a queue named twice")
	}
}
