package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/sqlite"
)

// workForEver leads, fires, pushes, claims and finishes, several at a time, and says on standard
// output what it was told was kept: "ID push", "ID claim EPOCH", "ID finish".
func workForEver(path string) error {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	me := vedette.NewID(time.Now()).String()
	held, err := s.Leases().Acquire(ctx, me, time.Hour, "leader")
	if err != nil {
		return err
	}
	if _, err := s.Queue().Rescue(ctx, held[0]); err != nil {
		return err
	}
	if _, err := s.Queue().Beat(ctx, me, time.Hour); err != nil {
		return err
	}
	ended := make(chan error)
	for _, live := range []func(context.Context, *sqlite.Store) error{
		func(ctx context.Context, s *sqlite.Store) error { return fireForEver(ctx, s, held[0]) },
		pushForEver,
		func(ctx context.Context, s *sqlite.Store) error { return finishForEver(ctx, s, me) },
		func(ctx context.Context, s *sqlite.Store) error { return finishForEver(ctx, s, me) },
	} {
		go func() { ended <- live(ctx, s) }()
	}
	return <-ended
}

var saying sync.Mutex

func say(text string, args ...any) {
	saying.Lock()
	defer saying.Unlock()
	fmt.Fprintf(os.Stdout, text+"\n", args...)
}

func pushForEver(ctx context.Context, s *sqlite.Store) error {
	for {
		jobs := []vedette.Job{job(), job(), job()}
		for i := range jobs {
			jobs[i].MaxAttempts, jobs[i].LimitKey, jobs[i].Limit = 1000, "k", 7
		}
		if _, err := s.Jobs().Push(ctx, jobs...); err != nil {
			return err
		}
		for _, j := range jobs {
			say("%s push", j.ID)
		}
	}
}

// fireForEver moves the cursor of a schedule on, a second at a time.
func fireForEver(ctx context.Context, s *sqlite.Store, leader vedette.Lease) error {
	for {
		at, err := s.Schedules().List(ctx, "", 1)
		if err != nil {
			return err
		}
		f := vedette.Firing{Scraper: "s", Now: vedette.Cursor{Version: 1, At: time.Unix(1e9, 0)}}
		if len(at) == 1 {
			j := job()
			j.Scraper, j.FireAt, j.Fired, j.MaxAttempts = "s", at[0].At, true, 1000
			f.Was, f.Push = at[0], []vedette.Job{j}
			f.Now = at[0]
			f.Now.At = f.Now.At.Add(time.Second)
		}
		if err := s.Schedules().Fire(ctx, leader, f); err != nil {
			return err
		}
		for _, j := range f.Push {
			say("%s push", j.ID)
		}
	}
}

func finishForEver(ctx context.Context, s *sqlite.Store, owner string) error {
	for {
		jobs, err := s.Queue().Claim(ctx, owner, 4, vedette.Want{Queue: "q"})
		if err != nil {
			return err
		}
		var ends []vedette.End
		for _, j := range jobs {
			say("%s claim %d", j.ID, j.Epoch)
			ends = append(ends, vedette.End{Ref: j.Ref(), State: vedette.JobSucceeded})
		}
		if stale, err := s.Queue().Finish(ctx, ends...); err != nil || len(stale) > 0 {
			return fmt.Errorf("%d stale: %w", len(stale), err)
		}
		for _, j := range jobs {
			say("%s finish", j.ID)
		}
	}
}

// TestKilledWorkerLosesNothing kills an owner and its workers again and again: all that was kept
// by its word is there, nothing that was finished runs again, no claim is had twice, and each
// fire is there once.
func TestKilledWorkerLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vedette.db")
	finished, claims, said := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for kill := range 6 {
		for _, line := range runAndKill(t, "VEDETTE_TEST_WORK", path, 150+kill*331) {
			id, what, _ := strings.Cut(line, " ")
			said[id] = true
			switch {
			case what == "finish":
				finished[id] = true
			case what != "push" && (claims[line] || finished[id]):
				t.Fatalf("kill %d: %s, which was said before, or the job had finished", kill, line)
			case what != "push":
				claims[line] = true
			}
		}
		s := open(t, path, sqlite.Options{})
		checkKept(t, s, said, finished)
		if err := s.Sound(t.Context()); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// checkKept checks that all jobs are there of which somebody said so.
func checkKept(t *testing.T, s *sqlite.Store, said, finished map[string]bool) {
	t.Helper()
	jobs, err := s.Jobs().List(t.Context(), vedette.Job{}, vedette.ID{}, 1e6)
	if err != nil {
		t.Fatal(err)
	}
	kept, fires := map[string]vedette.JobState{}, map[int64]int{}
	for _, j := range jobs {
		kept[j.ID.String()] = j.State
		if j.Fired {
			fires[j.FireAt.Unix()]++
		}
	}
	for id := range said {
		if kept[id] == "" || finished[id] && kept[id] != vedette.JobSucceeded {
			t.Errorf("job %s is %q, finished by its worker's word: %v", id, kept[id], finished[id])
		}
	}
	cursors, err := s.Schedules().List(t.Context(), "", 1)
	if err != nil || len(cursors) != 1 {
		t.Fatal(cursors, err)
	}
	for at := int64(1e9); at < cursors[0].At.Unix(); at++ {
		if fires[at] != 1 {
			t.Errorf("the fire of %d is there %d times", at, fires[at])
		}
	}
	if int64(len(fires)) != cursors[0].At.Unix()-1e9 {
		t.Errorf("%d fires, and the schedule stands at %v", len(fires), cursors[0].At)
	}
}
