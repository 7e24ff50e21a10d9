package app

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/sqlite"
)

// A follower is an app on a file, with what it logs.
type follower struct {
	*App
	path string
	mu   sync.Mutex
	log  bytes.Buffer
}

func (f *follower) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log.Write(p)
}

func (f *follower) logged(text string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Contains(f.log.String(), text)
}

// follow makes an app that does not run yet on a file of this text.
func follow(t *testing.T, text string, edit func(*Config)) *follower {
	t.Helper()
	f := &follower{path: filepath.Join(t.TempDir(), "vedette.yaml")}
	f.edit(t, text)
	cfg := Config{File: f.path, Log: slog.New(slog.NewTextHandler(f, nil))}
	if edit != nil {
		edit(&cfg)
	}
	var err error
	if f.App, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *follower) edit(t *testing.T, text string) {
	t.Helper()
	err := os.WriteFile(f.path+".new", []byte(text), 0o600)
	if err == nil {
		err = os.Rename(f.path+".new", f.path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// run runs it until the test ends.
func (f *follower) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func (f *follower) metric(line string) bool {
	w := httptest.NewRecorder()
	f.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	return strings.Contains(w.Body.String(), "\n"+line+"\n")
}

func wait(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("waited in vain for: %s", what)
}

// A busyKeeper has always more to prune, and notes to what.
type busyKeeper struct {
	vedette.Keeper
	keep atomic.Pointer[vedette.Retention]
}

func (k *busyKeeper) Prune(_ context.Context, _ time.Time, keep vedette.Retention) (bool, error) {
	k.keep.Store(&keep)
	return true, nil
}

// refusedAddress is one where nobody listens.
func refusedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // nothing was written
	return l.Addr().String()
}

func TestRetentionAndConnectivityTakeEffectWhileRunning(t *testing.T) {
	site := "tcp://" + refusedAddress(t)
	text := "store: 'memory:'\nmonitors: [{name: a, url: '" + site + "', interval: 100ms, timeout: 50ms}]\n"
	f := follow(t, text+"retention: {results: 2d}\n", nil)
	keeper := &busyKeeper{Keeper: f.store.keeper}
	f.store.keeper = keeper
	var err error
	if f.record, err = f.newRecord(); err != nil {
		t.Fatal(err)
	}
	var last atomic.Pointer[vedette.Result]
	f.OnKept(func(results []vedette.Result) { last.Store(&results[len(results)-1]) })
	f.run(t)
	is := func(state vedette.State, keep time.Duration) func() bool {
		return func() bool {
			r, k := last.Load(), keeper.keep.Load()
			return r != nil && r.State == state && k != nil && k.Results == keep
		}
	}
	const day = 24 * time.Hour
	wait(t, "down, and two days", is(vedette.Down, 2*day))
	f.edit(t, text+"connectivity: {targets: ['"+site+"']}\nretention: {results: 4d}\n")
	wait(t, "unknown, for no target answers, and four days", is(vedette.Unknown, 4*day))
	f.edit(t, text+"retention: {results: 1d}\n")
	wait(t, "down without a guard, and one day", is(vedette.Down, day))
	if f.logged("next start") {
		t.Error("it was said that this takes effect at the next start")
	}
}

// A fickleRegistry fails while it is told to, and takes its time.
type fickleRegistry struct {
	vedette.Monitors
	broken atomic.Bool
	takes  time.Duration
}

func (r *fickleRegistry) Put(ctx context.Context, monitors ...vedette.Monitor) error {
	if r.broken.Load() {
		return errors.New("disk full")
	}
	time.Sleep(r.takes)
	return r.Monitors.Put(ctx, monitors...)
}

func TestFileThatTheStoreDidNotTakeIsAppliedLater(t *testing.T) {
	f := follow(t, "store: 'memory:'\nmonitors: [{name: a, url: 'tcp://127.0.0.1:1', paused: true}]\n", nil)
	registry := &fickleRegistry{Monitors: f.store.monitors}
	f.store.monitors = registry
	f.run(t)
	wait(t, "the file in force", f.ready.applied.Load)
	registry.broken.Store(true)
	f.edit(t, "store: 'memory:'\nmonitors: [{name: b, url: 'tcp://127.0.0.1:1', paused: true}]\n")
	wait(t, "the failure in the log", func() bool { return f.logged("configuration not in force yet") })
	if !f.metric("vedette_config_last_reload_successful 0") {
		t.Error("the metrics do not show the failure")
	}
	registry.broken.Store(false)
	wait(t, "b in the registry", func() bool {
		_, err := f.store.monitors.Get(t.Context(), "b")
		return err == nil && f.metric("vedette_config_last_reload_successful 1")
	})
}

// How long the last change took to apply does not delay the next.
func TestChangeRightAfterAnotherIsNoticed(t *testing.T) {
	text := func(name string) string {
		return "store: 'memory:'\nmonitors: [{name: " + name + ", url: 'tcp://127.0.0.1:1', paused: true}]\n"
	}
	f := follow(t, text("a"), nil)
	f.store.monitors = &fickleRegistry{Monitors: f.store.monitors, takes: lookAtMost / 20}
	f.run(t)
	var edited time.Time
	for _, name := range []string{"b", "c"} {
		wait(t, "the file in force", f.ready.applied.Load)
		edited = time.Now()
		f.edit(t, text(name))
		wait(t, name, func() bool { _, err := f.store.monitors.Get(t.Context(), vedette.MonitorID(name)); return err == nil })
	}
	if took := time.Since(edited); took > lookAtMost*4/5 {
		t.Errorf("it took %s", took)
	}
}

func TestFileThatIsGoneLeavesTheOldOneInForce(t *testing.T) {
	const text = "store: 'memory:'\nmonitors: [{name: a, url: 'tcp://127.0.0.1:1', paused: true}]\n"
	f := follow(t, text, nil)
	f.run(t)
	wait(t, "the file in force", f.ready.applied.Load)
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	wait(t, "the failure in the metrics", func() bool { return f.metric("vedette_config_last_reload_successful 0") })
	if _, err := f.store.monitors.Get(t.Context(), "a"); err != nil {
		t.Errorf("without the file: %v", err)
	}
	if err := f.Reload(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Reload of no file: %v", err)
	}
	f.edit(t, text)
	wait(t, "the file again", func() bool { return f.metric("vedette_config_last_reload_successful 1") })
}

// Run that cannot begin says why, and holds neither the store nor an address after it.
func TestRunThatCannotBeginHoldsNothing(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "v.db")
	text := "store: '" + url + "'\nmonitors: [{name: a, url: 'tcp://127.0.0.1:1', paused: true}]\n"
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() //nolint:errcheck // nothing was written
	f := follow(t, text, func(cfg *Config) { cfg.Listen = taken.Addr().String() })
	if err := f.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "choose another address") {
		t.Errorf("Run on a taken address: %v", err)
	}

	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f = follow(t, text, func(cfg *Config) { cfg.Listener = free }) // the store is free again
	registry := &fickleRegistry{Monitors: f.store.monitors}
	registry.broken.Store(true)
	f.store.monitors = registry
	if err := f.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("Run with a file that cannot be applied: %v", err)
	}
	_ = free.(*net.TCPListener).SetDeadline(time.Now()) // fails where it is closed
	if _, err := free.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener after it: %v", err)
	}

	f = follow(t, text, nil)
	if held, err := f.store.leases.Acquire(t.Context(), "another", time.Minute, definitionsLease); err != nil || len(held) != 1 {
		t.Fatalf("held %v, %v", held, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := f.Run(ctx); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("Run while another publishes definitions: %v", err)
	}
}

// The number of shards is that of the store's first start.
func TestStoredNumberOfShardsIsUsed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "v.db")
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err == nil {
		_, err = s.Shards(t.Context(), 5)
		err = errors.Join(err, s.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	f := follow(t, "store: 'sqlite:"+path+"'\n", nil)
	f.run(t)
	wait(t, "five shards", func() bool { return f.metric("vedette_shards_held 5") })
	if !f.logged("store's number of shards is used") {
		t.Error("it is not said that the store's number is used")
	}
}
