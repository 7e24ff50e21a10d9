//go:build unix

package chaos

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/storetest"
)

const (
	scrapers  = 42
	workerTTL = 9 * time.Second // of a beat
)

// TestChaosJobs strikes three schedulers, who make jobs, and four workers, who do them, and then
// counts what is left.
func TestChaosJobs(t *testing.T) {
	everywhere(t, func(p *plant) {
		path := p.file("vedette.yml", p.config(filepath.Join(p.bin, "chore")))
		for i := range 3 {
			p.schedulers = append(p.schedulers, p.process("schedule", i, path))
		}
		for i := range 4 {
			p.workers = append(p.workers, p.process("work", i, path))
		}
		p.fight(p.blows())
		p.judge(p.settle())
	})
}

// config is a file of scrapers of every overlap policy and pace, whose chores are short or long,
// fail, run out of time, or do not end when they are told to.
func (p *plant) config(chore string) string {
	overlaps := []vedette.Overlap{
		vedette.Skip, vedette.BufferOne, vedette.BufferAll, vedette.CancelOther, vedette.TerminateOther, vedette.AllowAll,
	}
	chores := []string{
		"-to 200ms", "-from 100ms -to 1s -fail 30", "-to 8s", "-from 1s -to 8s -stubborn", "-to 300ms -fail 80",
	}
	var b strings.Builder
	b.WriteString(p.setting() + "worker: {concurrency: 12, queues: {default: 2, slow: 1}}\nscrapers:\n")
	for i := range scrapers {
		overlap := overlaps[i%len(overlaps)]
		fmt.Fprintf(&b, "  - {id: s%02d, name: s%02d, handler: exec, priority: %d, queue: %s, timeout: %s, keep: 0,\n",
			i, i, i%4, either(i%3 == 0, "slow", "default"), either(i%8 == 3, "3s", "10s"))
		fmt.Fprintf(&b, "     schedule: {every: %ds, overlap: %s, catch_up: 1h}, retries: {times: %s, after: 1s}%s,\n",
			pace(i, overlap), overlap, either(i%2 == 0, "2", "4"), limit(i, overlap))
		fmt.Fprintf(&b, "     params: {argv: [%q, -log, %q, %s], grace: 1s}}\n",
			chore, p.diary, strings.Join(strings.Fields(chores[i%len(chores)]), ", "))
	}
	return b.String()
}

// pace is how many seconds there are between runs: as many as the longest chore takes, and more,
// where all wait their turn.
func pace(i int, o vedette.Overlap) int {
	if o == vedette.BufferAll {
		return 8
	}
	return 1 + i/6%5
}

func either(is bool, this, that string) string {
	if is {
		return this
	}
	return that
}

// limit lets some scrapers whose policy has no limit of its own share one.
func limit(i int, o vedette.Overlap) string {
	if o != vedette.Skip && o != vedette.AllowAll || i%4 > 1 {
		return ""
	}
	return ", limit_key: shared, limit: 3"
}

func (p *plant) blows() []blow {
	past := func() { p.wait(leaseTTL+time.Second, leaseTTL+3*time.Second) }
	blows := []blow{
		{"kill a worker", 3, func() { p.restart(p.any(p.workers)) }},
		{"kill a scheduler", 2, func() { p.restart(p.any(p.schedulers)) }},
		{"stop and start a worker", 2, func() { p.renew(p.any(p.workers)) }},
		{"stop and start a scheduler", 1, func() { p.renew(p.any(p.schedulers)) }},
		{"freeze a worker past its lease", 2, func() { p.any(p.workers).freeze(past) }},
		{"freeze a scheduler past its lease", 1, func() { p.any(p.schedulers).freeze(past) }},
		{"freeze a leader that has asked what is due", 1, func() { p.freezeAt("due", past) }},
		{"hold up a worker's words past its lease", 1, func() { p.late(p.any(p.workers)) }},
		{"hold up what a worker is told past its lease", 1, func() {
			p.some(p.any(p.workers)).hold(storetest.ToClient, past)
		}},
		{"hold up a scheduler", 1, func() {
			p.some(p.any(p.schedulers)).hold(storetest.BothWays, func() { p.wait(time.Second, 6*time.Second) })
		}},
		{"cut all connections", 1, func() { p.cut() }},
		{"cut in the middle of changes", 2, func() { p.cutChanges() }},
	}
	for _, server := range p.servers {
		blows = append(blows, blow{"crash " + server, 2, func() {
			p.services.crash(server, func() { p.wait(0, 3*time.Second) })
		}})
	}
	return blows
}

// freezeAt freezes the leader when it says a word, and any scheduler if none does for a while.
func (p *plant) freezeAt(word string, during func()) {
	said := make(chan *process, len(p.schedulers))
	var first atomic.Bool
	for _, one := range p.schedulers {
		one.wires.cutWhen(func(chunk []byte) bool {
			if bytes.Contains(chunk, []byte(word)) && first.CompareAndSwap(false, true) {
				one.signal(syscall.SIGSTOP)
				said <- one
			}
			return false
		}, false)
	}
	var one *process
	select {
	case one = <-said:
	case <-time.After(5 * time.Second):
		first.Store(true)
		one = p.any(p.schedulers)
	}
	for _, s := range p.schedulers {
		s.wires.cutWhen(nil, false)
	}
	one.freeze(during)
}

// renew lets a process end as it is told to, and begin anew.
func (p *plant) renew(one *process) {
	p.stopAll([]*process{one})
	p.wait(0, 2*time.Second)
	one.start()
}

// late holds up what a worker says until what it had is taken from it. Then its words come, but for
// those by which its driver takes them back, on connections of their own.
func (p *plant) late(w *process) {
	w.wires.cutWhen(func(chunk []byte) bool { return bytes.HasPrefix(chunk, []byte("\x00\x00\x00\x10\x04\xd2\x16\x2e")) }, true)
	w.wires.hold(storetest.ToServer, func() {
		time.Sleep(workerTTL - 2*time.Second) // what is rescued until then may be others'
		before := p.rescues()
		for end := time.Now().Add(workerTTL); p.rescues() == before && time.Now().Before(end); {
			time.Sleep(50 * time.Millisecond)
		}
		p.wait(0, time.Second)
	})
	time.Sleep(time.Second)
	w.wires.cutWhen(nil, false)
}

// rescues is how often schedulers have taken jobs from lost workers.
func (p *plant) rescues() (n int) {
	for _, one := range p.schedulers {
		all, _ := one.lives()
		n += strings.Count(all, "jobs were rescued")
	}
	return n
}

func (p *plant) cut() {
	for _, one := range p.processes {
		one.wires.cut()
	}
}

// cutChanges cuts connections before or behind what their clients say: every commit, and every
// fifth of the rest, where a statement is a transaction of its own.
func (p *plant) cutChanges() {
	before := p.rand.IntN(2) == 0
	var said atomic.Int64
	for _, one := range p.processes {
		one.wires.cutWhen(func(chunk []byte) bool {
			return bytes.Contains(bytes.ToLower(chunk), []byte("commit")) || said.Add(1)%5 == 0
		}, before)
	}
	p.wait(time.Second, 3*time.Second)
	for _, one := range p.processes {
		one.wires.cutWhen(nil, false)
	}
}

// settle lets what was lost be found, ends the schedules, and waits until all jobs have ended. It
// returns until when schedulers fired.
func (p *plant) settle() (calm time.Time) {
	p.t.Helper()
	// A leader comes to lead, and workers that are gone are missed by it.
	time.Sleep(leaseTTL + workerTTL)
	calm = time.Now()
	p.stopAll(p.schedulers)
	s := p.open()
	p.until(2*time.Minute, "jobs to end", func() bool {
		queues, err := s.Jobs().Queues(p.t.Context())
		return err == nil && len(queues) == 0
	})
	lost, refused := counted(p.t, p.workers)
	p.t.Logf("workers lost %d claims, and were refused %d ends", lost, refused)
	if lost == 0 && *rounds >= 20 {
		p.t.Error("workers were kept from the store for longer than their leases last, and lost nothing")
	}
	p.stopAll(p.workers)
	return calm
}

func (p *plant) judge(calm time.Time) {
	p.t.Helper()
	l := readLedger(p.t, p.open(), p.diary)
	if len(l.jobs) < scrapers**rounds/4 {
		p.t.Errorf("only %d jobs were made", len(l.jobs))
	}
	l.fired(p.t, calm)
	l.ended(p.t)
	l.owned(p.t)
	l.alone(p.t)
	l.limited(p.t)
	l.told(p.t)
	for _, w := range p.workers {
		all, _ := w.lives()
		l.refused(p.t, refusedIn(all))
	}
}
