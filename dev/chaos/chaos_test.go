//go:build unix

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedettehq/vedette/app"
	"github.com/vedettehq/vedette/postgres"
	"github.com/vedettehq/vedette/storetest"
)

const (
	sites    = 120
	leaseTTL = 10 * time.Second // of shards, and of whoever leads
	timeout  = 800 * time.Millisecond
	session  = 10 * time.Second // of consumers
)

const config = `
store: ${CHAOS_STORE}
results: kafka://%s/results
kafka: {partitions: 6}
defaults: {interval: 1s, timeout: 800ms, retry_interval: 1s, confirm: {down: 2, up: 2}}
monitors:
`

// TestChaos strikes at random and then counts what is left.
func TestChaos(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	a.fight(a.blows())
	a.settle()
	a.judge()
}

// An arena is two watchers and two recorders on servers of their own.
type arena struct {
	*ring
	web   *web
	proxy *storetest.Proxy // between the recorders and PostgreSQL
	store string           // the way around it

	watchers, recorders []*process

	mu    sync.Mutex
	acked []app.ResultLine
}

func newArena(t *testing.T) *arena {
	t.Helper()
	a := &arena{ring: newRing(t, build(t), "postgres", "kafka"), web: newWeb(t)}
	a.store = a.services.url("postgres")
	proxy, proxied := a.through(a.store)
	a.proxy = proxy
	path := a.file("vedette.yml", a.config())
	for i := range 2 {
		a.watchers = append(a.watchers, a.process("watch", i, path, a.store, a.hear))
		a.recorders = append(a.recorders, a.process("record", i, path, proxied, nil))
	}
	return a
}

func (a *arena) config() string {
	var b strings.Builder
	fmt.Fprintf(&b, config, a.services.url("kafka"))
	for i := range sites {
		fmt.Fprintf(&b, "  - {id: s%03d, name: s%03d, url: \"%s/s%03d\"}\n", i, i, a.web.server.URL, i)
	}
	return b.String()
}

func (a *arena) process(role string, i int, config, store string, hear func([]byte)) *process {
	a.t.Helper()
	return a.start(&process{
		name: fmt.Sprintf("%s%d", role, i), hear: hear,
		args: []string{"up", "-c", config, "--role", role, "--listen", "127.0.0.1:0", "-o", "jsonl"},
	}, "CHAOS_STORE="+store)
}

// hear takes down what a watcher says that is kept.
func (a *arena) hear(line []byte) {
	var r app.ResultLine
	if json.Unmarshal(line, &r) != nil {
		return // the last line of a process that was killed
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.acked = append(a.acked, r)
}

func (a *arena) blows() []blow {
	return []blow{
		{"kill a recorder", 4, func() { a.restart(a.any(a.recorders)) }},
		{"kill a watcher", 4, func() { a.restart(a.any(a.watchers)) }},
		{"stop a recorder past its session", 2, func() {
			a.any(a.recorders).freeze(func() { a.wait(session+time.Second, session+4*time.Second) })
		}},
		{"kill Kafka", 2, func() { a.services.crash("kafka", func() { a.wait(0, 3*time.Second) }) }},
		{"crash PostgreSQL", 3, func() { a.services.crash("postgres", func() { a.wait(0, 3*time.Second) }) }},
		{"cut in the middle of COMMIT", 3, func() {
			before := a.rand.IntN(2) == 0
			a.proxy.CutWhen(func(chunk []byte) bool { return bytes.Contains(bytes.ToLower(chunk), []byte("commit")) }, before)
			a.wait(time.Second, 3*time.Second)
			a.proxy.CutWhen(nil, false)
		}},
		{"hold up PostgreSQL", 2, func() {
			a.proxy.Pause(storetest.BothWays)
			a.wait(time.Second, 6*time.Second)
			a.proxy.Resume(storetest.BothWays)
		}},
	}
}

// settle lets all sites be well, ends the watchers and waits until everything is written.
func (a *arena) settle() {
	a.t.Helper()
	a.web.relax()
	// As long as it takes to hand over shards, empty the spools and confirm.
	time.Sleep(leaseTTL + 5*time.Second)
	for _, p := range a.watchers {
		a.until(time.Minute, "the spool of "+p.name+" to empty", func() bool { return delivered(p) })
	}
	a.stopAll(a.watchers)
	s, stopped := a.open(), time.Now()
	a.until(2*time.Minute, "the recorders to come to the end of the topic", func() bool {
		return a.caughtUp(s, stopped)
	})
	a.stopAll(a.recorders)
}

// delivered reports whether nothing waits on the disk of a watcher.
func delivered(p *process) bool {
	empty := true
	_ = filepath.WalkDir(filepath.Join(p.dir, "vedette.spool"), func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(d.Name(), ".seg") {
			empty = false
		}
		return nil
	})
	return empty
}

func (a *arena) open() *postgres.Store {
	a.t.Helper()
	s, err := postgres.Open(context.Background(), a.store, postgres.Options{ReadOnly: true})
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = s.Close() })
	return s
}

// caughtUp reports whether everything that was sent by then is kept.
func (a *arena) caughtUp(s *postgres.Store, then time.Time) bool {
	positions, err := s.Positions().List(a.t.Context(), "vedette")
	if err != nil || len(positions) == 0 {
		return false
	}
	for _, p := range positions {
		if p.Through.Before(then) {
			return false
		}
	}
	return true
}

func (a *arena) judge() {
	a.t.Helper()
	k := read(a.t.Context(), a.t, a.open())
	a.mu.Lock()
	acked := slices.Clone(a.acked)
	a.mu.Unlock()
	if len(acked) < sites**rounds/2 {
		a.t.Errorf("only %d results were acknowledged", len(acked))
	}
	k.once(a.t, acked, a.web.came())
	k.folded(a.t)
	k.exclusive(a.t, leaseTTL+timeout)
}
