package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/app"
	"github.com/vedettehq/vedette/sqlite"
	"github.com/vedettehq/vedette/when"
)

const (
	kills    = 50
	interval = 500 * time.Millisecond
)

// The process is killed with -9 at random moments and started again on the same file at once.
func TestKillLosesNothingThatWasAcknowledged(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "kill.db")
	config := file(t, many(100, serve(t, ok), db, "interval: 500ms, timeout: 400ms"))
	acked := make(map[vedette.ID]bool)
	var starts []time.Time
	for round := range kills {
		began := time.Now()
		starts = append(starts, began)
		p := startUp(t, "-c", config, "--listen", "none")
		// The lease of the one that was killed lasts 10 s: waiting for it would be seen.
		acked[p.next(t, 9*time.Second).ID] = true
		if took := time.Since(began); round%10 == 0 {
			t.Logf("round %d: first result %s after the start", round, took.Round(time.Millisecond))
		}
		time.Sleep(rand.N(interval))
		for _, r := range p.kill(t) {
			acked[r.ID] = true
		}
	}
	t.Logf("%d results acknowledged over %d kills", len(acked), kills)
	checkSound(t, db)

	stored := make(map[vedette.ID]int)
	madeUp := make(map[string]int) // by monitor and start
	eachResult(t, db, func(r app.ResultLine) {
		stored[r.ID]++
		phase := when.Phase(r.Monitor.Hash(), interval)
		due := when.Next(r.DueAt.Add(-time.Microsecond), interval, phase)
		if r.FailureKind == vedette.KindStale || due.Sub(r.DueAt).Abs() <= time.Microsecond { // it is kept to the microsecond
			return
		}
		// A beat that passed while the process was starting is made up for, once.
		start := fmt.Sprint(r.Monitor, lastBefore(starts, r.DueAt))
		if madeUp[start]++; madeUp[start] > 1 {
			t.Errorf("%s was due at %s, not in its phase", r.Monitor, r.DueAt.Format(time.RFC3339Nano))
		}
	})
	for id := range acked {
		if stored[id] != 1 {
			t.Errorf("result %s was acknowledged and is stored %d times", id, stored[id])
		}
	}
	for id, n := range stored {
		if n != 1 {
			t.Errorf("result %s is stored %d times", id, n)
		}
	}
}

// lastBefore returns the last of the times that is not after at.
func lastBefore(times []time.Time, at time.Time) (last time.Time) {
	for _, t := range times {
		if !t.After(at) {
			last = t
		}
	}
	return last
}

// checkSound wants the file to be sound by SQLite's own judgement.
func checkSound(t *testing.T, db string) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), db, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // read only here
	if err := s.Sound(t.Context()); err != nil {
		t.Error(err)
	}
}

// eachResult reads all results as the command prints them.
func eachResult(t *testing.T, db string, f func(app.ResultLine)) {
	t.Helper()
	got := vedetteCmd(t, "results", "--store", "sqlite:"+db, "-o", "jsonl")
	if got.code != exitOK {
		t.Fatalf("results: exit %d: %s", got.code, got.err)
	}
	for line := range strings.Lines(got.out) {
		var r app.ResultLine
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		f(r)
	}
}

// A stop by a signal loses nothing either, and answers within the grace period.
func TestStopWritesWhatWasFound(t *testing.T) {
	db := filepath.Join(t.TempDir(), "stop.db")
	config := file(t, many(50, serve(t, ok), db, "interval: 200ms, timeout: 200ms"))
	p := startUp(t, "-c", config, "--listen", "none")
	n := 1
	p.next(t, 10*time.Second)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	n += len(p.rest())
	if code := p.cmd.ProcessState.ExitCode(); code != exitOK {
		t.Errorf("exit %d:\n%s", code, p.log.String())
	}
	stored := 0
	eachResult(t, db, func(app.ResultLine) { stored++ })
	if stored != n {
		t.Errorf("%d results acknowledged, %d stored", n, stored)
	}
}

// A second process on the same store is refused and says who owns it.
func TestSecondOwnerIsRefused(t *testing.T) {
	db := filepath.Join(t.TempDir(), "one.db")
	config := file(t, many(1, serve(t, ok), db, "interval: 200ms, timeout: 200ms"))
	p := startUp(t, "-c", config, "--listen", "none")
	p.next(t, 10*time.Second)
	got := vedetteCmd(t, "up", "-c", config, "--listen", "none")
	if got.code != exitFailed || !strings.Contains(got.err, "in use") {
		t.Errorf("exit %d: %s", got.code, got.err)
	}
	p.kill(t)
}
