//go:build unix

package chaos

import (
	"flag"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/vedettehq/vedette/storetest"
)

var (
	rounds = flag.Int("rounds", 20, "how many blows to strike")
	seed   = flag.Uint64("seed", 0, "of the order of blows; 0 takes one from the clock")
)

// A ring is where processes and the servers that they use are struck at random.
type ring struct {
	t         *testing.T
	services  *services
	rand      *rand.Rand
	bin       string // where programs are
	dir       string
	processes []*process
}

func newRing(t *testing.T, bin string, services ...string) *ring {
	t.Helper()
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano()) //nolint:gosec // any number will do
	}
	t.Logf("repeat the order of blows with -seed %d", s)
	r := &ring{t: t, bin: bin, services: startServices(t, services...), rand: rand.New(rand.NewPCG(s, s))} //nolint:gosec // no secret
	r.dir = filepath.Join(r.services.dir, "ring")
	if err := os.Mkdir(r.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return r
}

// build makes the programs of processes and of their jobs, and returns the folder where they are.
func build(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes minutes")
	}
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir, "../../cmd/vedette", "./chore").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return dir
}

// file writes a file into the ring's folder, and returns its path.
func (r *ring) file(name, text string) string {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// through returns a proxy to the server of a URL, and the URL that goes through it.
func (r *ring) through(server string) (*storetest.Proxy, string) {
	r.t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		r.t.Fatal(err)
	}
	p := storetest.NewProxy(r.t, u.Host)
	u.Host = p.Addr()
	return p, u.String()
}

// start starts a process with an environment that says where its servers are.
func (r *ring) start(p *process, env ...string) *process {
	r.t.Helper()
	p.t, p.binary, p.dir = r.t, filepath.Join(r.bin, "vedette"), filepath.Join(r.dir, p.name)
	p.env = append(os.Environ(), env...)
	if err := os.Mkdir(p.dir, 0o700); err != nil {
		r.t.Fatal(err)
	}
	p.start()
	r.processes = append(r.processes, p)
	r.t.Cleanup(func() {
		p.kill()
		if r.t.Failed() {
			r.t.Logf("%s:\n%s", p.name, p.logTail())
		}
	})
	return p
}

// A blow is something that happens to somebody; when strike returns it is over.
type blow struct {
	name   string
	weight int
	strike func()
}

// fight strikes as often as is asked for: every kind of blow once, then by its weight, before any
// again.
func (r *ring) fight(blows []blow) {
	r.t.Helper()
	var bag []blow
	r.ready()
	r.wait(3*time.Second, 4*time.Second)
	for i := range *rounds {
		if len(bag) == 0 {
			bag = r.bag(blows)
		}
		b := bag[0]
		bag = bag[1:]
		began := time.Now()
		b.strike()
		r.t.Logf("%3d %s: %s", i+1, b.name, time.Since(began).Round(100*time.Millisecond))
		r.wait(500*time.Millisecond, 3*time.Second)
		r.ready()
	}
}

// ready waits until all processes serve.
func (r *ring) ready() {
	r.t.Helper()
	for _, p := range r.processes {
		r.until(time.Minute, p.name+" to serve", func() bool {
			if !p.alive() {
				r.t.Fatalf("%s has ended by itself: %v", p.name, p.exit)
			}
			return p.serves()
		})
	}
}

// bag is all blows in an order of its own. The first of each kind come before the rest.
func (r *ring) bag(blows []blow) []blow {
	first := slices.Clone(blows)
	var rest []blow
	for _, b := range blows {
		rest = append(rest, slices.Repeat([]blow{b}, b.weight-1)...)
	}
	for _, part := range [][]blow{first, rest} {
		r.rand.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
	}
	return append(first, rest...)
}

func (r *ring) any(of []*process) *process { return of[r.rand.IntN(len(of))] }

func (r *ring) restart(p *process) {
	p.kill()
	r.wait(0, 2*time.Second)
	p.start()
}

func (r *ring) wait(from, to time.Duration) {
	time.Sleep(from + time.Duration(r.rand.Int64N(int64(to-from))))
}

// stopAll ends processes, which must end well.
func (r *ring) stopAll(all []*process) {
	r.t.Helper()
	for _, p := range all {
		if err := p.stop(30 * time.Second); err != nil {
			r.t.Errorf("stop %s: %v", p.name, err)
		}
	}
}

func (r *ring) until(within time.Duration, what string, is func() bool) {
	r.t.Helper()
	for end := time.Now().Add(within); !is(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("waited %s for %s", within, what)
		}
	}
}
