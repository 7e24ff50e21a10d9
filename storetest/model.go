package storetest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/vedettehq/vedette"
)

// modelCases hold a queue to a model of it.
func modelCases() map[string]func(*desk) {
	return map[string]func(*desk){"does what a list of jobs does": testQueueModel}
}

// A mirror is a model of a queue, as simple as it can be: a list that is looked through.
type mirror struct {
	*desk
	rt     *rapid.T
	run    int
	leader vedette.Lease
	jobs   []*vedette.Job
	owners []string // who live; those lost are gone
	lost   int      // how many owners there were before
	paused map[string]bool
}

// testQueueModel does 10,000 random operations on the store and on models, 100 on each.
func testQueueModel(d *desk) {
	leader := d.lead()
	run := 0
	t := struct{ rapid.TB }{d.t} // without the deadline, which is not to be asked for in a bubble
	rapid.Check(t, func(rt *rapid.T) {
		run++
		m := &mirror{desk: d, rt: rt, run: run, leader: leader, paused: map[string]bool{}}
		for range 2 {
			m.hire()
		}
		for range 100 {
			m.step()
		}
		m.clear()
	})
}

// name returns one of two names that are this model's.
func (m *mirror) name(kind string) string {
	return fmt.Sprintf("%d/%s%d", m.run, kind, rapid.IntRange(0, 1).Draw(m.rt, kind))
}

// hire adds an owner.
func (m *mirror) hire() {
	m.lost++
	m.owners = append(m.owners, fmt.Sprintf("%d/owner%d", m.run, m.lost))
	m.beat(m.owners[len(m.owners)-1], time.Hour)
}

func (m *mirror) step() {
	steps := []func(){
		m.pushSome, m.pushSome, m.pushSome, m.claimSome, m.claimSome, m.finishSome, m.finishSome, m.finishSome,
		m.cancelSome, m.beatOne, m.loseOne, m.pauseOne,
	}
	steps[rapid.IntRange(0, len(steps)-1).Draw(m.rt, "step")]()
	if diff := differ(m.states(), m.mine()); diff != "" {
		m.rt.Fatalf("queues (-want +got):\n%s", diff)
	}
}

// mine returns the store's queues that are this model's: there are others if one failed before.
func (m *mirror) mine() map[string]vedette.QueueState {
	all := m.queues()
	maps.DeleteFunc(all, func(name string, _ vedette.QueueState) bool {
		return !strings.HasPrefix(name, fmt.Sprintf("%d/", m.run))
	})
	return all
}

func (m *mirror) pushSome() {
	var jobs []vedette.Job
	for range rapid.IntRange(1, 3).Draw(m.rt, "jobs") {
		jobs = append(jobs, m.draw())
	}
	if len(m.jobs) > 0 && rapid.IntRange(0, 9).Draw(m.rt, "known") == 0 {
		jobs = append(jobs, *m.jobs[0])
	}
	var want []vedette.ID
	for _, j := range jobs {
		switch {
		case m.find(j.ID) != nil:
		case m.keptOut(j):
			want = append(want, j.ID)
		default:
			j.State = vedette.JobPending
			if j.RunAt.After(m.began) {
				j.State = vedette.JobScheduled
			}
			m.jobs = append(m.jobs, &j)
		}
	}
	if diff := differ(want, m.pushed(jobs...)); diff != "" {
		m.rt.Fatalf("refused (-want +got):\n%s", diff)
	}
}

// draw returns a random job, due in the past or far in the future.
func (m *mirror) draw() vedette.Job {
	rt := m.rt
	return m.job(func(j *vedette.Job) {
		j.Queue, j.Priority = m.name("queue"), rapid.IntRange(-1, 1).Draw(rt, "priority")
		j.MaxAttempts = rapid.IntRange(1, 3).Draw(rt, "attempts")
		j.RunAt = m.began.Add(-time.Duration(rapid.IntRange(1, 5).Draw(rt, "age")) * time.Hour)
		if rapid.IntRange(0, 5).Draw(rt, "later") == 0 {
			j.RunAt = m.began.Add(1000 * time.Hour)
		}
		switch rapid.IntRange(0, 5).Draw(rt, "key") {
		case 0:
			j.Unique = m.name("unique")
		case 1:
			j.UniqueWaiting = m.name("unique")
		case 2, 3:
			j.LimitKey, j.Limit = m.name("limit"), rapid.IntRange(0, 2).Draw(rt, "limit")
		}
	})
}

func (m *mirror) find(id vedette.ID) *vedette.Job {
	for _, j := range m.jobs {
		if j.ID == id {
			return j
		}
	}
	return nil
}

func (m *mirror) keptOut(j vedette.Job) bool {
	return slices.ContainsFunc(m.jobs, func(k *vedette.Job) bool {
		return k.State.Live() && (j.Unique != "" && k.Unique == j.Unique ||
			j.UniqueWaiting != "" && k.UniqueWaiting == j.UniqueWaiting && k.Epoch == 0)
	})
}

// full says whether the limit of j is reached.
func (m *mirror) full(j *vedette.Job) bool {
	started := 0
	for _, k := range m.jobs {
		if k.State == vedette.JobStarted && k.LimitKey == j.LimitKey {
			started++
		}
	}
	return j.Limit > 0 && started >= j.Limit
}

// first returns the job that starts next, or nil.
func (m *mirror) first(queue string) *vedette.Job {
	var first *vedette.Job
	for _, j := range m.jobs {
		if j.State != vedette.JobPending || m.paused[j.Queue] || j.Queue != queue || m.full(j) {
			continue
		}
		if first == nil || cmp.Or(cmp.Compare(j.Priority, first.Priority), j.RunAt.Compare(first.RunAt), slices.Compare(j.ID[:], first.ID[:])) < 0 {
			first = j
		}
	}
	return first
}

func (m *mirror) claimSome() {
	owner := rapid.SampledFrom(m.owners).Draw(m.rt, "owner")
	queues := []string{m.name("queue"), m.name("queue")}
	n := rapid.IntRange(1, 4).Draw(m.rt, "n")
	var want []*vedette.Job
	for _, queue := range queues {
		for j := m.first(queue); j != nil && len(want) < n; j = m.first(queue) {
			j.State, j.Owner = vedette.JobStarted, owner
			j.Attempt++
			want = append(want, j)
		}
	}
	if len(want) == 0 {
		return // a Claim would wait
	}
	got := m.claim(owner, n, queues...)
	for i, j := range got {
		if i >= len(want) || j.ID != want[i].ID || j.Attempt != want[i].Attempt || j.Epoch <= want[i].Epoch {
			m.rt.Fatalf("claim %d of %d is %s, attempt %d, epoch %d; want %+v", i, len(want), j.ID, j.Attempt, j.Epoch, want)
		}
		want[i].Epoch = j.Epoch
	}
	if len(got) != len(want) {
		m.rt.Fatalf("claimed %d, want %d", len(got), len(want))
	}
}

// some returns a random job that test allows, or nil.
func (m *mirror) some(test func(*vedette.Job) bool) *vedette.Job {
	var all []*vedette.Job
	for _, j := range m.jobs {
		if test(j) {
			all = append(all, j)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return rapid.SampledFrom(all).Draw(m.rt, "job")
}

func isStarted(j *vedette.Job) bool { return j.State == vedette.JobStarted }

func (m *mirror) finishSome() {
	j := m.some(isStarted)
	if j == nil {
		return
	}
	e := vedette.End{Ref: j.Ref(), RunAt: m.began.Add(-time.Minute), State: rapid.SampledFrom([]vedette.JobState{
		vedette.JobSucceeded, vedette.JobFailed, vedette.JobCancelled, vedette.JobPending, vedette.JobRetrying,
	}).Draw(m.rt, "state")}
	if rapid.IntRange(0, 9).Draw(m.rt, "stale") == 0 {
		e.Epoch++
		if stale := m.finished(e); len(stale) != 1 {
			m.rt.Fatalf("the end of an epoch that is not yet of %+v is taken", j)
		}
		return
	}
	if stale := m.finished(e, e); len(stale) != 0 {
		m.rt.Fatalf("stale: %v of %+v", stale, j)
	}
	m.ended(j, e)
}

// ended makes of a started job what its end asks for.
func (m *mirror) ended(j *vedette.Job, e vedette.End) {
	again := e.State == vedette.JobPending || e.State == vedette.JobRetrying
	j.Owner = ""
	switch {
	case again && j.Cancel != "":
		j.State = vedette.JobCancelled
	case e.State == vedette.JobPending:
		j.State = vedette.JobPending
		j.Attempt--
	case e.State == vedette.JobRetrying && j.Attempt >= j.MaxAttempts:
		j.State = vedette.JobDead
	case e.State == vedette.JobRetrying:
		j.State, j.RunAt = vedette.JobPending, e.RunAt
	default:
		j.State = e.State
	}
	m.check(j)
}

// check compares a job with the store's.
func (m *mirror) check(j *vedette.Job) {
	if got := m.get(j.ID); got.State != j.State || got.Attempt != j.Attempt || got.Epoch < j.Epoch {
		m.rt.Fatalf("the store has %+v, want %+v", got, *j)
	}
}

func (m *mirror) cancelSome() {
	j := m.some(func(*vedette.Job) bool { return true })
	if j == nil {
		return
	}
	m.cancel("enough", j.ID)
	switch {
	case j.State == vedette.JobStarted:
		j.Cancel = "enough"
	case j.State.Live():
		j.State = vedette.JobCancelled
	}
	m.check(j)
}

// heldBy returns the claims of an owner.
func (m *mirror) heldBy(owner string) []vedette.Ref {
	var held []vedette.Ref
	for _, j := range m.jobs {
		if isStarted(j) && j.Owner == owner {
			held = append(held, j.Ref())
		}
	}
	return held
}

func (m *mirror) beatOne() {
	owner := rapid.SampledFrom(m.owners).Draw(m.rt, "owner")
	held := m.heldBy(owner)
	want, got := map[vedette.Ref]vedette.Order{}, map[vedette.Ref]vedette.Order{}
	for _, ref := range held {
		if j := m.find(ref.Job); j.Cancel != "" {
			want[ref] = vedette.Order{Ref: ref, Reason: j.Cancel}
		}
	}
	for _, o := range m.beat(owner, time.Hour, held...) {
		got[o.Ref] = o
	}
	if diff := differ(want, got); diff != "" {
		m.rt.Fatalf("orders (-want +got):\n%s", diff)
	}
}

// loseOne lets an owner's time run out, and rescues what it held.
func (m *mirror) loseOne() {
	i := rapid.IntRange(0, len(m.owners)-1).Draw(m.rt, "owner")
	owner := m.owners[i]
	held := m.heldBy(owner)
	m.lose(owner, held...)
	m.owners = slices.Delete(m.owners, i, i+1)
	m.hire()
	rescued := map[vedette.ID]bool{}
	for _, j := range m.rescue(m.leader) {
		rescued[j.ID] = true
		if own := m.find(j.ID); own != nil && own.Owner != owner && own.Cancel != "" { // where the test has stood still
			m.ended(own, vedette.End{State: vedette.JobCancelled})
		}
	}
	for _, ref := range held {
		j := m.find(ref.Job)
		if !rescued[j.ID] {
			m.rt.Fatalf("%s was not rescued from %s", j.ID, owner)
		}
		m.ended(j, vedette.End{State: vedette.JobRetrying, RunAt: j.RunAt})
	}
}

func (m *mirror) pauseOne() {
	queue, change := m.name("queue"), m.s.Queues().Pause
	if m.paused[queue] {
		change = m.s.Queues().Resume
	}
	if err := change(m.t.Context(), queue); err != nil {
		m.rt.Fatal(err)
	}
	m.paused[queue] = !m.paused[queue]
}

// states returns what is to be said of the queues.
func (m *mirror) states() map[string]vedette.QueueState {
	all := map[string]vedette.QueueState{}
	of := func(name string) vedette.QueueState {
		if s, known := all[name]; known {
			return s
		}
		return vedette.QueueState{Name: name, Paused: m.paused[name], Ready: map[int]int{}}
	}
	for name, paused := range m.paused {
		if paused {
			all[name] = of(name)
		}
	}
	for _, j := range m.jobs {
		if !j.State.Live() {
			continue
		}
		s := of(j.Queue)
		switch {
		case j.State == vedette.JobStarted:
			s.Started++
		case j.State == vedette.JobScheduled:
			s.Scheduled++
		case m.full(j):
			s.Held++
		default:
			s.Ready[j.Priority]++
			if s.Oldest.IsZero() || j.RunAt.Before(s.Oldest) {
				s.Oldest = j.RunAt
			}
		}
		all[j.Queue] = s
	}
	return all
}

// clear ends what is left, so that the next model need not look at it.
func (m *mirror) clear() {
	for _, j := range m.jobs {
		m.cancel("clear", j.ID)
		if j.State == vedette.JobStarted {
			m.finished(end(*j, vedette.JobCancelled))
		}
	}
	for name := range m.paused {
		if err := m.s.Queues().Resume(m.t.Context(), name); err != nil {
			m.rt.Fatal(err)
		}
	}
	if got := m.mine(); len(got) != 0 {
		m.rt.Fatalf("in the end: %+v", got)
	}
}
