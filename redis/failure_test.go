package redis

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/storetest"
)

func job(change ...func(*vedette.Job)) vedette.Job {
	j := vedette.Job{ID: vedette.NewID(time.Now()), Handler: "h", Queue: "q", MaxAttempts: 5}
	for _, f := range change {
		f(&j)
	}
	return j
}

func jobs(n int, change ...func(*vedette.Job)) []vedette.Job {
	all := make([]vedette.Job, n)
	for i := range all {
		all[i] = job(change...)
	}
	return all
}

func pushAll(t *testing.T, s *Store, all ...vedette.Job) {
	t.Helper()
	if refused, err := s.Jobs().Push(t.Context(), all...); err != nil || len(refused) > 0 {
		t.Fatalf("Push: %v refused, %v", refused, err)
	}
}

func beat(t *testing.T, s *Store, owner string, held ...vedette.Ref) {
	t.Helper()
	if _, err := s.Queue().Beat(t.Context(), owner, time.Hour, held...); err != nil {
		t.Fatalf("Beat: %v", err)
	}
}

// claim takes n jobs of q, all of which are there.
func claim(t *testing.T, s *Store, owner string, n int) []vedette.Job {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got, err := s.Queue().Claim(ctx, owner, n, vedette.Want{Queue: "q"})
	if err != nil || len(got) != n {
		t.Fatalf("Claim of %d: %d, %v", n, len(got), err)
	}
	return got
}

func ends(all []vedette.Job, state vedette.JobState) []vedette.End {
	ends := make([]vedette.End, len(all))
	for i, j := range all {
		ends[i] = vedette.End{Ref: j.Ref(), State: state}
	}
	return ends
}

func lead(t *testing.T, s *Store) vedette.Lease {
	t.Helper()
	held, err := s.Leases().Acquire(t.Context(), "leader", time.Hour, "leader")
	if err != nil || len(held) != 1 {
		t.Fatalf("Acquire: %v, %v", held, err)
	}
	return held[0]
}

// behindProxy returns a store that is reached through a proxy, and the same one without.
func behindProxy(t *testing.T) (*Store, *Store, *storetest.Proxy) {
	t.Helper()
	text := place(t)
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	proxy := storetest.NewProxy(t, u.Host)
	u.Host = proxy.Addr()
	return openAt(t, u.String(), Options{}), openAt(t, text, Options{}), proxy
}

// cut cuts the connection behind the next call of a script: it is carried out, and nobody hears of it.
func cut(p *storetest.Proxy, s *Store, script string) {
	done := false
	p.CutWhen(func(chunk []byte) bool {
		if !done && bytes.Contains(chunk, []byte(s.scripts[script].sha)) {
			done = true
			return true
		}
		return false
	}, false)
}

func TestPushWhoseAnswerIsLostMayBeSaidAgain(t *testing.T) {
	s, direct, proxy := behindProxy(t)
	pushAll(t, s, job(func(j *vedette.Job) { j.Queue = "warm" }))
	all := jobs(300, func(j *vedette.Job) { j.Unique = j.ID.String() })
	cut(proxy, s, "push")
	if _, err := s.Jobs().Push(t.Context(), all...); err == nil {
		t.Fatal("a Push whose answer was lost says that it did")
	}
	pushAll(t, s, all...)
	beat(t, direct, "w")
	if got := claim(t, direct, "w", 300); got[0].Attempt != 1 {
		t.Errorf("claimed %+v", got[0])
	}
	if st, err := direct.Jobs().Queues(t.Context()); err != nil || st[0].Started != 300 || len(st[0].Ready) != 0 {
		t.Errorf("queues %+v, %v; want 300 started and no more", st, err)
	}
}

func TestClaimWhoseAnswerIsLostIsGivenBack(t *testing.T) {
	s, direct, proxy := behindProxy(t)
	pushAll(t, direct, jobs(50)...)
	beat(t, s, "w")
	if _, err := s.Jobs().Queues(t.Context()); err != nil {
		t.Fatal(err)
	}
	known := claim(t, s, "w", 1)[0]
	cut(proxy, s, "claim")
	if got, err := s.Queue().Claim(t.Context(), "w", 49, vedette.Want{Queue: "q"}); err == nil {
		t.Fatalf("a Claim whose answer was lost returned %d jobs", len(got))
	}
	for deadline := time.Now().Add(5 * time.Second); ; {
		if st, err := direct.Jobs().Queues(t.Context()); err == nil && st[0].Started == 50 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the server did not carry it out: %+v, %v", st, err)
		}
	}
	for range 3 {
		beat(t, s, "w", known.Ref())
	}
	beat(t, direct, "heir")
	for _, j := range claim(t, direct, "heir", 49) {
		if j.Attempt != 1 || j.ID == known.ID {
			t.Errorf("the heir has %s, attempt %d", j.ID, j.Attempt)
		}
	}
}

func TestFinishWhoseAnswerIsLostMayBeSaidAgain(t *testing.T) {
	s, direct, proxy := behindProxy(t)
	pushAll(t, direct, jobs(50)...)
	beat(t, s, "w")
	all := claim(t, s, "w", 50)
	said := append(ends(all[:25], vedette.JobSucceeded), ends(all[25:], vedette.JobRetrying)...)
	if _, err := s.Queue().Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	cut(proxy, s, "finish")
	if _, err := s.Queue().Finish(t.Context(), said...); err == nil {
		t.Fatal("a Finish whose answer was lost says that it did")
	}
	stale, err := s.Queue().Finish(t.Context(), said...)
	if err != nil || len(stale) > 0 {
		t.Errorf("said again: %v stale, %v", stale, err)
	}
	beat(t, direct, "w2")
	for _, j := range claim(t, direct, "w2", 25) {
		if j.Attempt != 2 {
			t.Errorf("%s has attempt %d, want 2", j.ID, j.Attempt)
		}
	}
}

func TestCallsEndWithTheirContextWhenTheServerIsSilent(t *testing.T) {
	s, _, proxy := behindProxy(t)
	beat(t, s, "w")
	proxy.Pause(storetest.ToClient)
	defer proxy.Resume(storetest.BothWays)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := s.Jobs().Push(ctx, job())
	if took := time.Since(begun); err == nil || took > 2*time.Second {
		t.Errorf("Push: %v after %v", err, took)
	}
}

// TestWaitsSurviveTheirServer lets one wait for jobs while the server is away.
func TestWaitsSurviveTheirServer(t *testing.T) {
	p := startPrivate(t, "--appendfsync", "always")
	s := openAt(t, p.url(), Options{})
	beat(t, s, "w")
	before := jobs(10)
	pushAll(t, s, before...)
	held := claim(t, s, "w", 10)
	followed := make(chan error, 1)
	go func() {
		_, err := s.Feed().Read(t.Context(), "t", 0, 1)
		followed <- err
	}()
	p.kill()
	if _, err := s.Jobs().Push(t.Context(), job()); err == nil {
		t.Error("Push to a server that is gone says that it did")
	}
	p.start()
	if err := <-followed; err != nil { // whatever it says, it does not hang
		t.Log("who followed:", err)
	}
	if stale, err := s.Queue().Finish(t.Context(), ends(held, vedette.JobSucceeded)...); err != nil || len(stale) > 0 {
		t.Errorf("Finish after a restart: %v stale, %v", stale, err)
	}
	next := make(chan error, 1)
	go func() {
		_, err := s.Queue().Claim(t.Context(), "w", 1, vedette.Want{Queue: "q"})
		next <- err
	}()
	time.Sleep(50 * time.Millisecond)
	other := openAt(t, p.url(), Options{})
	pushAll(t, other, job())
	select {
	case err := <-next:
		if err != nil {
			t.Errorf("Claim after a restart: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("Claim after a restart does not wake")
	}
}

// TestNothingIsGivenOutTwiceAfterTheLogIsCutBack takes from the server the last of what it wrote, as a
// machine does that fails before the log is on its disk.
func TestNothingIsGivenOutTwiceAfterTheLogIsCutBack(t *testing.T) {
	p := startPrivate(t, "--appendfsync", "always")
	s := openAt(t, p.url(), Options{})
	pushAll(t, s, jobs(2)...)
	beat(t, s, "w")
	first := lead(t, s)
	cursor := vedette.Firing{Scraper: "s", Now: vedette.Cursor{Version: 1, At: time.Now().Add(-time.Minute)}}
	if err := s.Schedules().Fire(t.Context(), first, cursor); err != nil {
		t.Fatal(err)
	}
	path, size := p.log()

	zombie := claim(t, s, "w", 2)
	if err := s.Leases().Release(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	second := lead(t, s)
	due, _, err := s.Schedules().Due(t.Context(), 1)
	if err != nil || len(due) != 1 {
		t.Fatalf("due: %v, %v", due, err)
	}
	fired := job(func(j *vedette.Job) { j.Scraper, j.FireAt, j.Fired, j.Queue = "s", due[0].At, true, "fired" })
	moved := vedette.Firing{Scraper: "s", Was: due[0], Now: due[0], Push: []vedette.Job{fired}}
	moved.Now.At = due[0].At.Add(time.Hour)
	if err := s.Schedules().Fire(t.Context(), second, moved); err != nil {
		t.Fatal(err)
	}
	p.kill()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	p.start()

	beat(t, s, "w2")
	again := claim(t, s, "w2", 2)
	for _, j := range again {
		if j.Epoch <= max(zombie[0].Epoch, zombie[1].Epoch) {
			t.Errorf("epoch %d after %d", j.Epoch, zombie[0].Epoch)
		}
	}
	if stale, err := s.Queue().Finish(t.Context(), ends(zombie, vedette.JobSucceeded)...); err != nil || len(stale) != 2 {
		t.Errorf("Finish of claims that were cut off: %v stale, %v; want both", stale, err)
	}
	if err := s.Leases().Release(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	third := lead(t, s)
	if third.Token <= second.Token {
		t.Errorf("token %d after %d", third.Token, second.Token)
	}
	if err := s.Schedules().Fire(t.Context(), second, moved); !errors.Is(err, vedette.ErrLeaseLost) {
		t.Errorf("Fire under a lease that was cut off: %v", err)
	}
	// What the log lost of the fire it lost of the cursor: it is due again, and is fired once.
	due, _, err = s.Schedules().Due(t.Context(), 1)
	if err != nil || len(due) != 1 || !due[0].At.Equal(fired.FireAt) {
		t.Fatalf("due: %+v, %v; want the fire that was cut off", due, err)
	}
	for range 2 {
		if err := s.Schedules().Fire(t.Context(), third, moved); err != nil {
			t.Fatal(err)
		}
	}
	runs, err := s.Jobs().List(t.Context(), vedette.Job{Scraper: "s"}, vedette.ID{}, 9)
	if err != nil || len(runs) != 1 {
		t.Errorf("%d runs of the fire, %v; want one", len(runs), err)
	}
}

func TestFullMemoryHoldsUpNoWorker(t *testing.T) {
	p := startPrivate(t, "--appendfsync", "no")
	s := openAt(t, p.url(), Options{})
	pushAll(t, s, jobs(100)...)
	beat(t, s, "w")
	held := claim(t, s, "w", 50)
	p.set("maxmemory", "1mb")
	more := jobs(3, func(j *vedette.Job) { j.Unique = j.ID.String() })
	_, err := s.Jobs().Push(t.Context(), more...)
	if err == nil || !strings.Contains(err.Error(), "maxmemory") {
		t.Errorf("Push to a full server: %v, want it to say what is full", err)
	}
	if err := s.Feed().Append(t.Context(), vedette.Entry{Topic: "t", Data: vedette.Raw("1")}); err == nil {
		t.Error("Append to a full server says that it did")
	}
	if stale, err := s.Queue().Finish(t.Context(), ends(held, vedette.JobSucceeded)...); err != nil || len(stale) > 0 {
		t.Errorf("Finish on a full server: %v stale, %v", stale, err)
	}
	beat(t, s, "w")
	rest := claim(t, s, "w", 50)
	if stale, err := s.Queue().Finish(t.Context(), ends(rest, vedette.JobRetrying)...); err != nil || len(stale) > 0 {
		t.Errorf("Finish on a full server: %v stale, %v", stale, err)
	}
	p.set("maxmemory", "0")
	for _, j := range more {
		if _, err := s.Jobs().Get(t.Context(), j.ID); !errors.Is(err, vedette.ErrNotFound) {
			t.Errorf("what was refused is there: %v", err)
		}
	}
	pushAll(t, s, more...)
}

func TestScriptsAreLoadedAgain(t *testing.T) {
	p := startPrivate(t)
	s := openAt(t, p.url(), Options{})
	for range 2 {
		pushAll(t, s, job())
		if err := p.client().ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
}
