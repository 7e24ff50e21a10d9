package watch

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// checks is a Checker whose checks do what look says.
type checks func(ctx context.Context, m vedette.Monitor) vedette.Result

func (c checks) Compile(m vedette.Monitor) (vedette.Check, error) {
	return func(ctx context.Context) vedette.Result { return c(ctx, m) }, nil
}

var (
	up   = vedette.Result{State: vedette.Up}
	down = vedette.Result{State: vedette.Down, Failure: &vedette.Failure{Kind: vedette.KindTimeout, Message: "no answer"}}
)

func allUp(context.Context, vedette.Monitor) vedette.Result { return up }

// sink keeps what it is sent, unless fail says otherwise.
type sink struct {
	mu    sync.Mutex
	fail  func(f vedette.Found) error
	found []vedette.Result
	sends int
	again int // sends with Resent set
}

func (s *sink) Send(_ context.Context, f vedette.Found) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sends++
	if f.Resent {
		s.again++
	}
	if s.fail != nil {
		if err := s.fail(f); err != nil {
			return err
		}
	}
	s.found = append(s.found, f.Results...)
	return nil
}

func (s *sink) results() []vedette.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.found
}

func (s *sink) setFail(fail func(f vedette.Found) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

// of returns the results of one monitor.
func (s *sink) of(id vedette.MonitorID) (rs []vedette.Result) {
	for _, r := range s.results() {
		if r.Monitor == id {
			rs = append(rs, r)
		}
	}
	return rs
}

// meter counts.
type meter struct {
	mu     sync.Mutex
	missed map[string]int
	lag    time.Duration // the greatest
	flight int           // the most at once
	looked int
	held   int
}

func (m *meter) with(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

func (m *meter) Lag(d time.Duration)   { m.with(func() { m.lag = max(m.lag, d) }) }
func (m *meter) InFlight(n int)        { m.with(func() { m.flight = max(m.flight, n) }) }
func (m *meter) Looked(vedette.Result) { m.with(func() { m.looked++ }) }
func (m *meter) Queued(int)            {}
func (m *meter) Held(n int)            { m.with(func() { m.held = n }) }
func (m *meter) Missed(why string, n int) {
	m.with(func() {
		if m.missed == nil {
			m.missed = map[string]int{}
		}
		m.missed[why] += n
	})
}

func (m *meter) looks() (n int)  { m.with(func() { n = m.looked }); return n }
func (m *meter) shards() (n int) { m.with(func() { n = m.held }); return n }
func (m *meter) most() (n int)   { m.with(func() { n = m.flight }); return n }
func (m *meter) of(why string) (n int) {
	m.with(func() { n = m.missed[why] })
	return n
}

// A logBook keeps what is logged.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// A rig is a watch over a store in memory with all that it tells.
type rig struct {
	*Watch
	store *memory.Store
	sink  *sink
	meter *meter
	log   *logBook
	stop  func() error
}

// rigged returns a watch that does not run yet.
func rigged(t testing.TB, store *memory.Store, look checks, edit ...func(*Config)) *rig {
	t.Helper()
	r := &rig{store: store, sink: &sink{}, meter: &meter{}, log: &logBook{}}
	c := Config{
		Monitors: store.Monitors(), Leaser: store.Leases(), Checker: look, Sink: r.sink,
		Region: "eu", MaxInFlight: 1000, Meter: r.meter, Log: slog.New(slog.NewTextHandler(r.log, nil)),
	}
	for _, f := range edit {
		f(&c)
	}
	var err error
	if r.Watch, err = New(c); err != nil {
		t.Fatal(err)
	}
	return r
}

// start runs it.
func (r *rig) start(t testing.TB) *rig {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { _ = r.stop() })
	return r
}

// monitors puts n monitors m000000... into the store.
func monitors(t testing.TB, store *memory.Store, n int, m vedette.Monitor) []vedette.MonitorID {
	t.Helper()
	all := make([]vedette.Monitor, n)
	ids := make([]vedette.MonitorID, n)
	for i := range all {
		all[i] = m
		all[i].ID = vedette.MonitorID(fmt.Sprintf("m%06d", i))
		all[i].Name = string(all[i].ID)
		all[i].URL = "tcp://127.0.0.1:1"
		ids[i] = all[i].ID
	}
	if err := store.Monitors().Put(t.Context(), all...); err != nil {
		t.Fatal(err)
	}
	return ids
}

// edit changes one monitor in the store.
func edit(t testing.TB, store *memory.Store, id vedette.MonitorID, f func(*vedette.Monitor)) {
	t.Helper()
	m, err := store.Monitors().Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	f(&m)
	if err := store.Monitors().Put(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// hanging is a store of leases that does not answer while it is stuck, not even to say that the
// time is up.
type hanging struct {
	vedette.Leaser
	stuck atomic.Bool
	hang  chan struct{}
}

func (h *hanging) Acquire(ctx context.Context, owner string, ttl time.Duration, names ...string) ([]vedette.Lease, error) {
	if h.stuck.Load() {
		<-h.hang
	}
	return h.Leaser.Acquire(ctx, owner, ttl, names...)
}
