//go:build linux

package main

import (
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func fileText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// While nothing can be written the target is looked at as ever, and all that was found is kept
// once the disk has room again.
func TestFullDiskLosesNothing(t *testing.T) {
	t.Parallel()
	const every, monitors = 500 * time.Millisecond, 40
	var hits atomic.Int64
	site := serve(t, func(w http.ResponseWriter, r *http.Request) { hits.Add(1); ok(w, r) })
	db := database(t)
	v := harm(t, file(t, many(monitors, site, db, "interval: 500ms, timeout: 2s")), db, "")
	v.eventually(t, 20*time.Second, "results", func() bool { return len(v.kept()) > 2*monitors })

	// The disk is full in the middle of a transaction.
	wal, err := os.Stat(db + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	logged := len(v.log.String())
	v.limit(t, unix.RLIMIT_FSIZE, uint64(wal.Size())+20_000)
	v.eventually(t, 10*time.Second, "/readyz to tell", func() bool {
		code, text := v.ready(t)
		return code == http.StatusServiceUnavailable && strings.Contains(text, "results wait to be written")
	})
	_, text := v.ready(t)
	t.Logf("/readyz: %s", text)
	before, acked := hits.Load(), len(v.kept())
	pass(7 * time.Second)
	if n, want := hits.Load()-before, int64(monitors*7*time.Second/every); n < want*8/10 {
		t.Errorf("%d looks in 7s of a full disk, want %d", n, want)
	}
	if n := len(v.kept()); n != acked {
		t.Errorf("%d results were acknowledged on a full disk", n-acked)
	}
	checkToldOnce(t, v.log.since(logged), "results not delivered, trying again")

	v.limit(t, unix.RLIMIT_FSIZE, unix.RLIM_INFINITY)
	took := v.eventually(t, 10*time.Second, "/readyz to be well again", func() bool {
		code, _ := v.ready(t)
		return code == http.StatusOK
	})
	t.Logf("well again %s after the disk had room", took.Round(time.Millisecond))
	v.eventually(t, 10*time.Second, "what waited to be kept", func() bool { return v.metrics(t)["vedette_results_queued"] < monitors })
	notMade := missed(v.metrics(t))
	v.stop(t)

	checkSound(t, db)
	by := v.results(t)
	if n := gaps(by, every); n > int(notMade) {
		t.Errorf("%d due times have no result, %v were missed", n, notMade)
	}
	if n := checkOrder(t, by); int64(n) != hits.Load() {
		t.Errorf("%d looks arrived at the target, %d are kept", hits.Load(), n)
	}
	v.quiet(t)
}

// checkToldOnce wants a line with this text in what was logged, and no line at warning or above
// twice.
func checkToldOnce(t *testing.T, log, text string) {
	t.Helper()
	told := map[string]int{}
	for line := range strings.Lines(log) {
		_, message, _ := strings.Cut(line, "level=")
		level, message, _ := strings.Cut(message, " msg=")
		if level != "WARN" && level != "ERROR" {
			continue
		}
		message, _, _ = strings.Cut(message, " err=")
		if told[message]++; told[message] == 2 {
			t.Errorf("said again and again: %s", line)
		}
	}
	if !strings.Contains(log, text) {
		t.Errorf("the log does not say %q", text)
	}
}

// A disk that is full at the start is an error that says so, and does no harm.
func TestFullDiskAtStartIsRefusedWithItsReason(t *testing.T) {
	t.Parallel()
	db := database(t)
	config := file(t, many(5, serve(t, ok), db, "interval: 500ms, timeout: 400ms"))
	refused := func(ulimit string) {
		t.Helper()
		v := start(t, config, db, ulimit)
		if code := v.exit(t, 20*time.Second); code != exitFailed {
			t.Errorf("ulimit %s: exit %d", ulimit, code)
		}
		if text := v.log.String(); !strings.Contains(text, db) || !strings.Contains(text, "full") && !strings.Contains(text, "I/O") {
			t.Errorf("ulimit %s: %s", ulimit, text)
		}
	}
	refused("-S -f 16") // not even the tables
	v := harm(t, config, db, "")
	v.eventually(t, 20*time.Second, "results", func() bool { return len(v.kept()) > 10 })
	v.stop(t)
	refused("-S -f 1")
	v = harm(t, config, db, "")
	v.eventually(t, 20*time.Second, "results", func() bool { return len(v.kept()) > 10 })
	v.stop(t)
	checkSound(t, db)
	checkOrder(t, v.results(t))
}
