package worker_test

import (
	"context"
	"errors"
	"log/slog"
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
