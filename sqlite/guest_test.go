package sqlite_test

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/sqlite"
)

// notice is how soon a process sees what another one did, with room for a busy machine.
const notice = 250*time.Millisecond + 150*time.Millisecond

func job() vedette.Job {
	return vedette.Job{ID: vedette.NewID(time.Now()), Handler: "h", Queue: "q", MaxAttempts: 3}
}

func beat(t testing.TB, s *sqlite.Store, owner string) {
	t.Helper()
	if _, err := s.Queue().Beat(t.Context(), owner, time.Hour); err != nil {
		t.Fatal(err)
	}
}

func claim(t testing.TB, s *sqlite.Store, owner string) vedette.Job {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	jobs, err := s.Queue().Claim(ctx, owner, 1, vedette.Want{Queue: "q"})
	if err != nil {
		t.Fatal(err)
	}
	return jobs[0]
}

func TestReaderFollowsWhatTheOwnerAppends(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vedette.db")
	owner := open(t, path, sqlite.Options{})
	reader := open(t, path, sqlite.Options{ReadOnly: true})
	got := make(chan time.Time, 1)
	go func() {
		if _, err := reader.Feed().Read(t.Context(), "t", 0, 9); err != nil {
			t.Errorf("Read: %v", err)
		}
		got <- time.Now()
	}()
	time.Sleep(50 * time.Millisecond)
	at := time.Now()
	if err := owner.Feed().Append(t.Context(), vedette.Entry{Topic: "t", Data: vedette.Raw("1")}); err != nil {
		t.Fatal(err)
	}
	if took := (<-got).Sub(at); took > notice {
		t.Errorf("a reader saw it after %v", took)
	}
}

func TestGuestChangesNoResults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vedette.db")
	if _, err := sqlite.Open(t.Context(), path, sqlite.Options{Guest: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a guest of no store: %v", err)
	}
	open(t, path, sqlite.Options{})
	s := open(t, path, sqlite.Options{Guest: true})
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"Write":  func() error { return s.Write(ctx, batch(look("a", time.Now()))) },
		"Prune":  func() error { _, err := s.Prune(ctx, time.Now(), vedette.Retention{}); return err },
		"Roll":   func() error { return s.Roll(ctx, vedette.Rollup{Monitor: "a"}) },
		"Forget": func() error { return s.Forget(ctx, "a") },
	} {
		if err := call(); !errors.Is(err, vedette.ErrReadOnly) {
			t.Errorf("%s: %v, want ErrReadOnly", name, err)
		}
	}
	if err := s.Monitors().Put(ctx, vedette.Monitor{ID: "a"}); err != nil {
		t.Errorf("Put: %v", err)
	}
	if err := s.KV().Put(ctx, vedette.Value{Key: "k"}); err != nil {
		t.Errorf("Put: %v", err)
	}
}

func TestReaderChangesNoJobs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vedette.db")
	owner := open(t, path, sqlite.Options{})
	j := job()
	push(t, owner, j)
	s := open(t, path, sqlite.Options{ReadOnly: true})
	ctx, lease := t.Context(), vedette.Lease{Name: "leader"}
	for name, call := range map[string]func() error{
		"Push":    func() error { _, err := s.Jobs().Push(ctx, job()); return err },
		"Cancel":  func() error { return s.Jobs().Cancel(ctx, "", j.ID) },
		"Beat":    func() error { _, err := s.Queue().Beat(ctx, "w", time.Hour); return err },
		"Claim":   func() error { _, err := s.Queue().Claim(ctx, "w", 1, vedette.Want{Queue: "q"}); return err },
		"Finish":  func() error { _, err := s.Queue().Finish(ctx, vedette.End{State: vedette.JobDead}); return err },
		"Rescue":  func() error { _, err := s.Queue().Rescue(ctx, lease); return err },
		"Retire":  func() error { _, err := s.Queue().Retire(ctx, lease, time.Now()); return err },
		"Pause":   func() error { return s.Queues().Pause(ctx, "q") },
		"Resume":  func() error { return s.Queues().Resume(ctx, "q") },
		"Fire":    func() error { return s.Schedules().Fire(ctx, lease) },
		"Append":  func() error { return s.Feed().Append(ctx, vedette.Entry{Topic: "t", Data: vedette.Raw("1")}) },
		"Drop":    func() error { return s.Feed().Drop(ctx, "t") },
		"KV.Put":  func() error { return s.KV().Put(ctx, vedette.Value{Key: "k"}) },
		"Delete":  func() error { return s.KV().Delete(ctx, vedette.Value{Key: "k"}) },
		"Scraper": func() error { return s.Scrapers().Put(ctx, vedette.Scraper{ID: "s"}) },
	} {
		if err := call(); !errors.Is(err, vedette.ErrReadOnly) {
			t.Errorf("%s: %v, want ErrReadOnly", name, err)
		}
	}
	if got, err := s.Jobs().Get(ctx, j.ID); err != nil || got.State != vedette.JobPending {
		t.Errorf("Get: %+v, %v", got, err)
	}
	if got, err := s.Jobs().Queues(ctx); err != nil || len(got) != 1 {
		t.Errorf("Queues: %+v, %v", got, err)
	}
}

// TestJobsOfAProcessThatIsGoneRunAgain opens a store anew whose workers held jobs.
func TestJobsOfAProcessThatIsGoneRunAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vedette.db")
	s := open(t, path, sqlite.Options{})
	push(t, s, job())
	beat(t, s, "old")
	old := claim(t, s, "old")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path, sqlite.Options{})
	held, err := s.Leases().Acquire(t.Context(), "me", time.Hour, "leader")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Queue().Beat(t.Context(), "old", time.Hour, old.Ref()); !errors.Is(err, vedette.ErrLeaseLost) {
		t.Errorf("Beat of a worker of the process before: %v", err)
	}
	rescued, err := s.Queue().Rescue(t.Context(), held[0])
	if err != nil || len(rescued) != 1 {
		t.Fatalf("rescued %v, %v", rescued, err)
	}
	beat(t, s, "new")
	if j := claim(t, s, "new"); j.ID != old.ID || j.Attempt != 2 || j.Epoch <= old.Epoch {
		t.Errorf("claimed %+v after %+v", j, old)
	}
}

func TestClosedStoreEndsWaits(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "vedette.db"), sqlite.Options{})
	beat(t, s, "w")
	done := make(chan error, 2)
	go func() {
		_, err := s.Queue().Claim(t.Context(), "w", 1, vedette.Want{Queue: "q"})
		done <- err
	}()
	go func() {
		_, err := s.Feed().Read(t.Context(), "t", 0, 1)
		done <- err
	}()
	time.Sleep(20 * time.Millisecond)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range cap(done) {
		select {
		case err := <-done:
			if !errors.Is(err, fs.ErrClosed) {
				t.Errorf("a wait ended with %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("somebody waits on a closed store")
		}
	}
}
