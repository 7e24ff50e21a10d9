package redis

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/storetest"
)

// calls counts the calls of a script.
type calls struct {
	sha string
	n   atomic.Int32
}

func count(s *Store, script string) *calls {
	c := &calls{sha: s.scripts[script].sha}
	s.db.AddHook(c)
	return c
}

func (c *calls) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *calls) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (c *calls) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); len(args) > 1 && args[1] == c.sha {
			c.n.Add(1)
		}
		return next(ctx, cmd)
	}
}

// lined waits until n stand in line, and no call or one is under way for them.
func lined(t *testing.T, s *Store, n, flying int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		s.desks.mu.Lock()
		line, fly := 0, 0
		for _, d := range s.desks.all {
			line, fly = line+len(d.line), fly+d.flying
		}
		s.desks.mu.Unlock()
		if line == n && fly == flying {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d in line, %d asked for; want %d and %d", line, fly, n, flying)
		}
	}
}

// gaveUp says whether one who stands in line has given up.
func gaveUp(s *Store) bool {
	s.desks.mu.Lock()
	defer s.desks.mu.Unlock()
	for _, d := range s.desks.all {
		if slices.ContainsFunc(d.line, func(c *claimer) bool { return c.gone }) {
			return true
		}
	}
	return false
}

func TestManyWhoWaitAskOnce(t *testing.T) {
	s := openNew(t)
	beat(t, s, "w")
	asked := count(s, "claim")
	const many = 50
	served := make(chan vedette.ID, many)
	var all sync.WaitGroup
	for range many {
		all.Go(func() {
			got, err := s.Queue().Claim(t.Context(), "w", 1, vedette.Want{Queue: "q"})
			if err != nil || len(got) != 1 {
				t.Errorf("Claim: %d jobs, %v", len(got), err)
				return
			}
			served <- got[0].ID
		})
	}
	lined(t, s, many, 0)
	time.Sleep(200 * time.Millisecond) // until the subscription is there
	asked.n.Store(0)
	time.Sleep(2 * time.Second)
	if n := asked.n.Load(); n < 1 || n > 3 {
		t.Errorf("%d calls in two seconds for nothing, want one in each", n)
	}
	lined(t, s, many, 0)
	asked.n.Store(0)
	one := job()
	pushAll(t, s, one)
	if got := <-served; got != one.ID {
		t.Errorf("claimed %s, want %s", got, one.ID)
	}
	lined(t, s, many-1, 0)
	if n := asked.n.Load(); n > 2 { // a poll may come between
		t.Errorf("%d calls for one job", n)
	}
	pushAll(t, s, jobs(many-1)...)
	all.Wait()
	close(served)
	seen := map[vedette.ID]bool{one.ID: true}
	for id := range served {
		seen[id] = true
	}
	if len(seen) != many {
		t.Errorf("%d jobs were claimed by %d", len(seen), many)
	}
}

func TestWhoGaveUpLeavesJobsToOthers(t *testing.T) {
	s, direct, proxy := behindProxy(t)
	beat(t, s, "w")
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	ask := func(ctx context.Context, done chan error) {
		_, err := s.Queue().Claim(ctx, "w", 1, vedette.Want{Queue: "q"})
		done <- err
	}
	go ask(ctx, first)
	lined(t, s, 1, 0)
	go ask(t.Context(), second)
	lined(t, s, 2, 0)
	proxy.Pause(storetest.ToClient)
	pushAll(t, direct, job())
	lined(t, s, 2, 2)
	cancel()
	for deadline := time.Now().Add(5 * time.Second); !gaveUp(s); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("who gave up still stands in line as before")
		}
	}
	proxy.Resume(storetest.BothWays)
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("who gave up: %v", err)
	}
	if err := <-second; err != nil {
		t.Errorf("who stayed: %v", err)
	}
}

// TestWhoGaveUpAloneGetsTheJob checks that what the server has done is not forgotten.
func TestWhoGaveUpAloneGetsTheJob(t *testing.T) {
	s, direct, proxy := behindProxy(t)
	beat(t, s, "w")
	pushAll(t, direct, job())
	proxy.Pause(storetest.ToClient)
	ctx, cancel := context.WithCancel(t.Context())
	var got []vedette.Job
	var err error
	var done sync.WaitGroup
	done.Go(func() { got, err = s.Queue().Claim(ctx, "w", 1, vedette.Want{Queue: "q"}) })
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if st, err := direct.Jobs().Queues(t.Context()); err == nil && st[0].Started == 1 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the server did not carry it out: %+v, %v", st, err)
		}
	}
	cancel()
	proxy.Resume(storetest.BothWays)
	if done.Wait(); err != nil || len(got) != 1 {
		t.Errorf("Claim: %d jobs, %v; want the one that it has", len(got), err)
	}
}

func TestClaimsTogetherHaveTheirShares(t *testing.T) {
	line := []*claimer{{n: 2}, {n: 1, gone: true}, {n: 3}, {n: 1}}
	at := &desk{line: line, flying: 3}
	for _, c := range line {
		c.done, c.ctx = make(chan struct{}), t.Context()
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	line[1].ctx = gone
	d := &desks{}
	five := jobs(5)
	if !d.land(at, five[:1], nil) {
		t.Error("nobody is left")
	}
	var have []int
	for _, c := range line {
		have = append(have, len(c.jobs))
	}
	if want := []int{1, 0, 0, 0}; !reflect.DeepEqual(have, want) || !errors.Is(line[1].err, context.Canceled) {
		t.Errorf("they have %v, want %v; who gave up: %v", have, want, line[1].err)
	}
	at.line[0].gone, at.flying = true, 2
	if d.land(at, five[1:5], nil) || len(line[2].jobs) != 3 || line[3].jobs[0].ID != five[1].ID {
		t.Errorf("who gave up has %d, who stayed %v", len(line[2].jobs), line[3].jobs)
	}
}

func TestDeadOwnersWaitEndsForAll(t *testing.T) {
	s := openNew(t)
	if _, err := s.Queue().Beat(t.Context(), "w", 500*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := s.Queue().Claim(t.Context(), "w", 1, vedette.Want{Queue: "q"}); !errors.Is(err, vedette.ErrLeaseLost) {
				t.Errorf("Claim: %v", err)
			}
		})
	}
	all.Wait()
}

// TestCallsTogetherHaveTheirAnswers checks who of some callers is told what.
func TestCallsTogetherHaveTheirAnswers(t *testing.T) {
	s := openNew(t)
	beat(t, s, "w")
	q := queue{s}
	named := func(key string) vedette.Job { return job(func(j *vedette.Job) { j.Unique = key }) }
	said := [][]vedette.Job{{named("a"), named("b")}, {named("a")}, {named("c")}, {named("c"), named("b")}}
	want := [][]vedette.ID{nil, {said[1][0].ID}, nil, {said[3][0].ID, said[3][1].ID}}
	var pushes [][]any
	for _, some := range said {
		args, err := pushArgs(some)
		if err != nil {
			t.Fatal(err)
		}
		pushes = append(pushes, args)
	}
	if got, err := q.push(t.Context(), pushes); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("refused %v, %v; want %v", got, err, want)
	}

	held := claim(t, s, "w", 3)
	stale := vedette.End{Ref: vedette.Ref{Job: held[0].ID, Epoch: 1}, State: vedette.JobSucceeded}
	var endings []ending
	for _, some := range [][]vedette.End{
		{stale}, ends(held[:1], vedette.JobSucceeded), {}, append(ends(held[1:], vedette.JobFailed), stale), ends(held[:1], vedette.JobSucceeded),
	} {
		args, err := endArgs(some)
		if err != nil {
			t.Fatal(err)
		}
		endings = append(endings, ending{some, args})
	}
	got, err := q.finish(t.Context(), endings)
	if want := [][]vedette.Ref{{stale.Ref}, nil, nil, {stale.Ref}, nil}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("stale %v, %v; want %v", got, err, want)
	}
}
