//go:build unix

package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

const (
	// runsElsewhere is how long a job may stand still whose worker is gone, at the defaults.
	runsElsewhere = 15 * time.Second
	// followsOn is how long schedules may stand still after a leader has resigned: 200 ms, and what a
	// loaded machine takes to stop a process.
	followsOn = time.Second
)

const longChore = `
scrapers:
  - {name: long, handler: exec, schedule: {every: 1s}, retries: {times: 5}, params: {argv: [%q, -log, %q, -from, 1h]}}
`

const idle = "scrapers: [{name: idle, handler: http, schedule: {every: 1h}, params: {url: 'http://127.0.0.1:9/'}}]\n"

// TestKilledWorkersJobRunsElsewhere kills the worker of a long job, which must begin anew under
// another.
func TestKilledWorkersJobRunsElsewhere(t *testing.T) {
	everywhere(t, func(p *plant) {
		path := p.file("vedette.yml", p.setting()+fmt.Sprintf(longChore, filepath.Join(p.bin, "chore"), p.diary))
		p.process("schedule", 0, path)
		for i := range 2 {
			p.workers = append(p.workers, p.process("work", i, path))
		}
		for n := range 3 {
			before := p.began(n + 1)
			for _, w := range p.workers {
				if w.pid() == before.parent {
					p.killBusy(w, before, n+2)
				}
			}
		}
	})
}

// killBusy kills a worker in the middle of a chore, and holds that the n. to begin is the same
// elsewhere, and soon.
func (p *plant) killBusy(w *process, before entry, n int) {
	p.t.Helper()
	w.kill()
	killed := time.Now()
	after := p.began(n)
	took := after.at.Sub(killed)
	p.t.Logf("a job whose worker was killed began anew after %s", took.Round(time.Millisecond))
	if after.job != before.job || after.parent == before.parent || took > runsElsewhere {
		p.t.Errorf("after %s began %+v, want %s to run elsewhere within %s", took, after, before.job, runsElsewhere)
	}
	w.start()
}

// began waits until so many chores have begun, and returns the last of them.
func (p *plant) began(n int) (last entry) {
	p.t.Helper()
	p.until(time.Minute, fmt.Sprintf("the %d. beginning of a chore", n), func() bool {
		text, err := os.ReadFile(p.diary)
		if err != nil {
			p.t.Fatal(err)
		}
		count := 0
		for _, e := range parseDiary(p.t, string(text)) {
			if e.what == "began" {
				last = e
				count++
			}
		}
		return count >= n
	})
	return last
}

// TestLeaderResigns stops the one of two schedulers that leads, which the other must see at once.
func TestLeaderResigns(t *testing.T) {
	everywhere(t, func(p *plant) {
		path := p.file("vedette.yml", p.setting()+idle)
		leader := p.process("schedule", 0, path)
		s := p.open()
		was := p.leads(s, vedette.Lease{})
		other := p.process("schedule", 1, path)
		for range 4 {
			was = p.resign(s, leader, other, was)
			leader, other = other, leader
		}
	})
}

// resign stops a leader and starts it again. It returns the lease of the other, who must lead soon.
func (p *plant) resign(s shop, leader, other *process, was vedette.Lease) (now vedette.Lease) {
	p.t.Helper()
	p.until(time.Minute, other.name+" to serve", other.serves)
	p.wait(3*time.Second, 6*time.Second) // it asks again and again, at no moment that we would choose
	told := time.Now()
	leader.signal(syscall.SIGTERM)
	now = p.leads(s, was)
	// A token is the time at which it was granted.
	took := time.UnixMicro(now.Token).Sub(told)
	p.t.Logf("the next led %s after its leader was told to end", took.Round(time.Millisecond))
	if took > followsOn {
		p.t.Errorf("nobody led for %s, want %s at most", took, followsOn)
	}
	<-leader.ended
	leader.start()
	return now
}

// leads waits for a lease of leaders of another owner than was has.
func (p *plant) leads(s shop, was vedette.Lease) (now vedette.Lease) {
	p.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		all, err := s.Leases().List(p.t.Context(), "schedule")
		if err != nil {
			p.t.Fatal(err)
		}
		if len(all) == 1 && all[0].Owner != was.Owner {
			return all[0]
		}
	}
	p.t.Fatal("nobody leads")
	return now
}
