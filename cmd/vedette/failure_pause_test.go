//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// A process that is stopped for longer than its leases last goes on by itself, under new
// leases, and what it could not see meanwhile is not held against the sites.
func TestPausedProcessGoesOnUnderNewLeases(t *testing.T) {
	t.Parallel()
	const monitors, every, paused = 100, time.Second, 15 * time.Second
	db, site := database(t), slow(t, 300*time.Millisecond)
	// The time-out is one that a busy machine keeps, and that the pause outlasts.
	v := harm(t, file(t, many(monitors, site.url, db, "interval: 1s, timeout: 10s")), db, "")
	v.allUp(t, monitors, "the start")
	pass(2 * every)
	logged := len(v.log.String())
	v.signal(t, syscall.SIGSTOP)
	v.eventually(t, time.Minute, "it to stand still", func() bool {
		return strings.Contains(fileText(t, fmt.Sprintf("/proc/%d/status", v.cmd.Process.Pid)), "State:\tT")
	})
	stopped := time.Now()
	pass(paused)
	resumed := time.Now() // before the signal: looks begin while this test waits for a CPU
	v.signal(t, syscall.SIGCONT)
	v.eventually(t, time.Minute, "new looks", func() bool {
		all := v.kept()
		return all[len(all)-1].StartedAt.After(resumed.Add(2 * every))
	})
	v.allUp(t, monitors, "it went on")
	pass(2 * every)
	if n := missed(v.metrics(t), "late"); n < float64(monitors*(paused/every-1)) {
		t.Errorf("%v looks were missed in %s, want about %d", n, paused, monitors*paused/every)
	}
	log := v.log.since(logged)
	v.stop(t)

	var first time.Time
	by := v.results(t)
	for id, results := range by {
		var before, after int64
		for _, r := range looks(results) {
			switch {
			case r.StartedAt.Before(stopped):
				before = max(before, r.Token)
			case r.StartedAt.Before(resumed):
				t.Errorf("%s: a look at %s, when the process was stopped", id, r.StartedAt)
			case after == 0 || r.Token < after:
				after = r.Token
				if first.IsZero() || r.StartedAt.Before(first) {
					first = r.StartedAt
				}
			}
		}
		if before == 0 || after <= before {
			t.Errorf("%s: a look under token %d after its lease had lapsed, want a later token than %d", id, after, before)
		}
	}
	t.Logf("first look %s after it went on; log:\n%s", first.Sub(resumed).Round(time.Millisecond), log)
	checkToldOfPause(t, v.log.String(), log)
	checkOrder(t, by)
	v.quiet(t)
}

// checkToldOfPause wants the log to say that the process did not run, and nothing else that needs
// an explanation. It says so once a minute: a busy machine may have made it say so before. A
// renewal of leases may have been cut off.
func checkToldOfPause(t *testing.T, log, since string) {
	t.Helper()
	const told = "this process did not run"
	if !strings.Contains(log, told) {
		t.Errorf("want a line that says %q", told)
	}
	happened := []string{told, "leases not renewed", "leases renewed", "the lease ran out"} // the last is the worker's
	for line := range strings.Lines(since) {
		if !slices.ContainsFunc(happened, func(text string) bool { return strings.Contains(line, text) }) {
			t.Errorf("want no more than what happened: %s", line)
		}
	}
}

// A stop lets the looks in flight end, as far as the grace period goes, and keeps them all.
func TestStopWaitsForLooksInFlight(t *testing.T) {
	t.Parallel()
	const monitors = 200
	db, slowly, never := database(t), slow(t, 6*time.Second), slow(t, time.Hour)
	config := many(monitors/2, slowly.url, db, "interval: 2s, timeout: 30s")
	config += strings.ReplaceAll(strings.SplitN(many(monitors/2, never.url, db, ""), "monitors:\n", 2)[1], "name: site", "name: mute")
	v := harm(t, file(t, config), db, "")
	v.eventually(t, 30*time.Second, "all looks to be in flight", func() bool {
		return v.metrics(t)["vedette_checks_in_flight"] == monitors
	})
	took := v.stop(t)
	t.Logf("stopped in %s", took.Round(time.Millisecond))
	if took < 9*time.Second || took > 12*time.Second {
		t.Errorf("the stop took %s, want the 10s of grace and at most 2s more", took)
	}
	stored := map[vedette.ID]int{}
	cut := 0
	for id, results := range v.results(t) {
		for _, r := range looks(results) {
			stored[r.ID]++
			mute := strings.HasPrefix(string(id), "mute")
			if mute {
				cut++
			}
			if mute && (r.State != vedette.Unknown || r.Failure.Kind != vedette.KindMissed) || !mute && r.State != vedette.Up {
				t.Errorf("%s: %s: %+v", id, r.State, r.Failure)
			}
		}
	}
	if cut != monitors/2 {
		t.Errorf("%d looks that were cut off are kept, want %d", cut, monitors/2)
	}
	for _, r := range v.kept() {
		if stored[r.ID] != 1 {
			t.Errorf("result %s was acknowledged and is stored %d times", r.ID, stored[r.ID])
		}
	}
	if len(stored) < monitors || len(stored) != len(v.kept()) {
		t.Errorf("%d results are stored, %d acknowledged", len(stored), len(v.kept()))
	}
}

// A second signal stops at once, and harms nothing. One that comes with the first is its echo.
func TestSecondSignalStopsAtOnce(t *testing.T) {
	t.Parallel()
	db := database(t)
	v := harm(t, file(t, many(50, slow(t, time.Hour).url, db, "interval: 1s, timeout: 30s")), db, "")
	v.eventually(t, 20*time.Second, "looks in flight", func() bool { return v.metrics(t)["vedette_checks_in_flight"] >= 40 })
	v.signal(t, syscall.SIGTERM)
	v.signal(t, syscall.SIGINT)
	v.eventually(t, 5*time.Second, "the stop to begin", func() bool { return v.log.count("msg=stopping") == 1 })
	pass(500 * time.Millisecond)
	if v.log.count("stopped at once") != 0 {
		t.Error("the echo of a signal was taken for a second one")
	}
	began := time.Now()
	v.signal(t, syscall.SIGTERM)
	if code := v.exit(t, 5*time.Second); code != exitFailed {
		t.Errorf("exit %d, want %d", code, exitFailed)
	}
	t.Logf("it ended %s after the second signal", time.Since(began).Round(time.Millisecond))
	checkSound(t, db)
}
