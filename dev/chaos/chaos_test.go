//go:build unix

package chaos

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vedettehq/vedette/app"
	"github.com/vedettehq/vedette/postgres"
	"github.com/vedettehq/vedette/storetest"
)

var (
	rounds = flag.Int("rounds", 20, "how many blows to strike")
	seed   = flag.Uint64("seed", 0, "of the order of blows; 0 takes one from the clock")
	binary string // the program under test
)

const (
	sites    = 120
	leaseTTL = 10 * time.Second // of shards
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
	if testing.Short() {
		t.Skip("it takes minutes")
	}
	a := newArena(t)
	a.fight()
	a.settle()
	a.judge()
}

// An arena is two watchers and two recorders on servers of their own.
type arena struct {
	t        *testing.T
	services *services
	web      *web
	proxy    *storetest.Proxy // between the recorders and PostgreSQL
	store    string           // the way around it

	watchers, recorders []*process
	rand                *rand.Rand
}

func newArena(t *testing.T) *arena {
	t.Helper()
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano()) //nolint:gosec // any number will do
	}
	t.Logf("repeat the order of blows with -seed %d", s)
	a := &arena{t: t, services: startServices(t), web: newWeb(t), rand: rand.New(rand.NewPCG(s, s))} //nolint:gosec // no secret
	a.store = a.services.env["VEDETTE_TEST_POSTGRES"]
	u, err := url.Parse(a.store)
	if err != nil {
		t.Fatal(err)
	}
	a.proxy = storetest.NewProxy(t, u.Host)
	u.Host = a.proxy.Addr()
	dir := t.TempDir()
	binary = filepath.Join(dir, "vedette")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/vedette").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	path := filepath.Join(dir, "vedette.yml")
	if err := os.WriteFile(path, []byte(a.config()), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		a.watchers = append(a.watchers, a.process("watch", i, path, a.store))
		a.recorders = append(a.recorders, a.process("record", i, path, u.String()))
	}
	return a
}

func (a *arena) config() string {
	var b strings.Builder
	fmt.Fprintf(&b, config, a.services.env["VEDETTE_TEST_KAFKA"])
	for i := range sites {
		fmt.Fprintf(&b, "  - {id: s%03d, name: s%03d, url: \"%s/s%03d\"}\n", i, i, a.web.server.URL, i)
	}
	return b.String()
}

func (a *arena) process(role string, i int, config, store string) *process {
	a.t.Helper()
	name := fmt.Sprintf("%s%d", role, i)
	dir := filepath.Join(filepath.Dir(config), name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		a.t.Fatal(err)
	}
	p := &process{
		t: a.t, name: name, dir: dir,
		env:  append(os.Environ(), "CHAOS_STORE="+store),
		args: []string{"up", "-c", config, "--role", role, "--listen", "none", "-o", "jsonl"},
	}
	p.start()
	a.t.Cleanup(func() {
		p.kill()
		if a.t.Failed() {
			a.t.Logf("%s:\n%s", name, p.logTail())
		}
	})
	return p
}

// A blow is something that happens to somebody; when strike returns it is over.
type blow struct {
	name   string
	weight int
	strike func(a *arena)
}

func blows() []blow {
	return []blow{
		{"kill a recorder", 4, func(a *arena) { a.restart(a.any(a.recorders)) }},
		{"kill a watcher", 4, func(a *arena) { a.restart(a.any(a.watchers)) }},
		{"stop a recorder past its session", 2, func(a *arena) {
			p := a.any(a.recorders)
			p.signal(syscall.SIGSTOP)
			a.wait(session+time.Second, session+4*time.Second)
			p.signal(syscall.SIGCONT)
		}},
		{"kill Kafka", 2, func(a *arena) {
			a.services.must("crash", "kafka")
			a.wait(0, 3*time.Second)
			a.services.must("up", "kafka")
		}},
		{"crash PostgreSQL", 3, func(a *arena) {
			a.services.must("crash", "postgres")
			a.wait(0, 3*time.Second)
			a.services.must("up", "postgres")
		}},
		{"cut in the middle of COMMIT", 3, func(a *arena) {
			before := a.rand.IntN(2) == 0
			a.proxy.CutWhen(func(chunk []byte) bool { return bytes.Contains(bytes.ToLower(chunk), []byte("commit")) }, before)
			a.wait(time.Second, 3*time.Second)
			a.proxy.CutWhen(nil, false)
		}},
		{"hold up PostgreSQL", 2, func(a *arena) {
			a.proxy.Pause(storetest.BothWays)
			a.wait(time.Second, 6*time.Second)
			a.proxy.Resume(storetest.BothWays)
		}},
	}
}

// fight strikes as often as is asked for: every kind of blow by its weight before any again.
func (a *arena) fight() {
	var bag []blow
	a.wait(3*time.Second, 4*time.Second)
	for i := range *rounds {
		if len(bag) == 0 {
			for _, b := range blows() {
				bag = append(bag, slices.Repeat([]blow{b}, b.weight)...)
			}
			a.rand.Shuffle(len(bag), func(i, j int) { bag[i], bag[j] = bag[j], bag[i] })
		}
		b := bag[0]
		bag = bag[1:]
		began := time.Now()
		b.strike(a)
		a.t.Logf("%3d %s: %s", i+1, b.name, time.Since(began).Round(100*time.Millisecond))
		a.wait(500*time.Millisecond, 3*time.Second)
		for _, p := range slices.Concat(a.watchers, a.recorders) {
			if !p.alive() {
				a.t.Fatalf("%s has ended by itself: %v", p.name, p.exit)
			}
		}
	}
}

func (a *arena) any(of []*process) *process { return of[a.rand.IntN(len(of))] }

func (a *arena) restart(p *process) {
	p.kill()
	a.wait(0, 2*time.Second)
	p.start()
}

func (a *arena) wait(from, to time.Duration) {
	time.Sleep(from + time.Duration(a.rand.Int64N(int64(to-from))))
}

// settle lets all sites be well, ends the watchers and waits until everything is written.
func (a *arena) settle() {
	a.t.Helper()
	a.web.relax()
	// As long as it takes to hand over shards, empty the spools and confirm.
	time.Sleep(leaseTTL + 5*time.Second)
	for _, p := range a.watchers {
		a.until(time.Minute, "spool of "+p.name+" to empty", p.delivered)
	}
	for _, p := range a.watchers {
		if err := p.stop(30 * time.Second); err != nil {
			a.t.Errorf("stop %s: %v", p.name, err)
		}
	}
	s, stopped := a.open(), time.Now()
	a.until(2*time.Minute, "recorders to come to the end of the topic", func() bool {
		return a.caughtUp(s, stopped)
	})
	for _, p := range a.recorders {
		if err := p.stop(30 * time.Second); err != nil {
			a.t.Errorf("stop %s: %v", p.name, err)
		}
	}
}

func (a *arena) until(within time.Duration, what string, is func() bool) {
	a.t.Helper()
	for end := time.Now().Add(within); !is(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			a.t.Fatalf("waited %s for the %s", within, what)
		}
	}
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
	var acked []app.ResultLine
	for _, p := range a.watchers {
		acked = append(acked, p.results()...)
	}
	if len(acked) < sites**rounds/2 {
		a.t.Errorf("only %d results were acknowledged", len(acked))
	}
	k.once(a.t, acked, a.web.came())
	k.folded(a.t)
	k.exclusive(a.t, leaseTTL+timeout)
}
