//go:build unix

package chaos

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/postgres"
	"github.com/vedettehq/vedette/redis"
	"github.com/vedettehq/vedette/storetest"
)

// everywhere runs a test for each place where scrapers and jobs can be kept. It does so at once,
// however many tests may be parallel: each has servers of its own, and mostly waits.
func everywhere(t *testing.T, test func(*plant)) {
	t.Helper()
	t.Parallel()
	bin := build(t)
	var all sync.WaitGroup
	for name, servers := range map[string][]string{
		"postgres": {"postgres"}, "redis": {"redis"}, "apart": {"postgres", "redis"},
	} {
		all.Go(func() {
			t.Run(name, func(t *testing.T) {
				p := &plant{ring: newRing(t, bin, servers...), servers: servers}
				p.diary = p.file("diary.txt", "")
				test(p)
			})
		})
	}
	all.Wait()
}

// A plant is where schedulers and workers live, each with a proxy of its own to each server.
type plant struct {
	*ring
	servers []string // the store, and the queue if that is elsewhere
	diary   string   // where chores write down what they do

	schedulers, workers []*process
}

// setting is the begin of a configuration: where things are kept.
func (p *plant) setting() string {
	if len(p.servers) == 1 {
		return "store: ${CHAOS_STORE}\n"
	}
	return "store: ${CHAOS_STORE}\nqueue: ${CHAOS_QUEUE}\n"
}

func (p *plant) process(role string, i int, config string) *process {
	p.t.Helper()
	one := &process{
		name: fmt.Sprintf("%s%d", role, i),
		args: []string{"up", "-c", config, "--role", role, "--listen", "127.0.0.1:0"},
	}
	var env []string
	for i, server := range p.servers {
		proxy, url := p.through(p.services.url(server))
		one.wires = append(one.wires, proxy)
		env = append(env, []string{"CHAOS_STORE=", "CHAOS_QUEUE="}[i]+url)
	}
	return p.start(one, env...)
}

// wires are the ways from a process to the servers that it uses.
type wires []*storetest.Proxy

func (w wires) cutWhen(f func(chunk []byte) bool, before bool) {
	for _, one := range w {
		one.CutWhen(f, before)
	}
}

func (w wires) cut() {
	for _, one := range w {
		one.Cut()
	}
}

// hold lets nothing pass for as long as during takes.
func (w wires) hold(way storetest.Way, during func()) {
	for _, one := range w {
		one.Pause(way)
	}
	during()
	for _, one := range w {
		one.Resume(way)
	}
}

// some are one of a process's wires, or all of them.
func (p *plant) some(of *process) wires {
	if i := p.rand.IntN(len(of.wires) + 1); i < len(of.wires) {
		return of.wires[i : i+1]
	}
	return of.wires
}

// A shop is what a store tells of scrapers and jobs.
type shop interface {
	Scrapers() vedette.Scrapers
	Schedules() vedette.Schedules
	Jobs() vedette.Jobs
	Leases() vedette.Leaser
	Close() error
}

// A parted shop keeps jobs and what belongs to them in a place of their own.
type parted struct {
	shop
	store shop
}

func (p parted) Scrapers() vedette.Scrapers { return p.store.Scrapers() }

// open opens to read what is kept, around the proxies, as soon as the servers are there.
func (p *plant) open() shop {
	p.t.Helper()
	s := p.openOne(p.servers[0])
	if len(p.servers) > 1 {
		return parted{p.openOne(p.servers[1]), s}
	}
	return s
}

func (p *plant) openOne(server string) (s shop) {
	p.t.Helper()
	p.until(time.Minute, server+" to be there", func() bool {
		var err error
		if server == "redis" {
			s, err = redis.Open(p.t.Context(), p.services.url(server), redis.Options{ReadOnly: true})
		} else {
			s, err = postgres.Open(p.t.Context(), p.services.url(server), postgres.Options{ReadOnly: true})
		}
		return err == nil
	})
	p.t.Cleanup(func() { _ = s.Close() })
	return s
}
