//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/app"
	"github.com/vedettehq/vedette/sqlite"
)

// A victim is a `vedette up` in a process of its own, to which something bad is done.
type victim struct {
	cmd    *exec.Cmd
	db     string
	url    string // of its HTTP server
	client *http.Client
	log    lines
	done   chan struct{} // closed when it has ended

	mu    sync.Mutex
	acked []app.ResultLine
}

// lines are what a process wrote so far.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// count is how many lines hold text.
func (l *lines) count(text string) int { return strings.Count(l.String(), text) }

// since returns what was written after the first n bytes.
func (l *lines) since(n int) string { return l.String()[n:] }

var servesAt = regexp.MustCompile(`msg=serving address=(\S+)`)

// harm starts a victim on a configuration, and waits until it serves. With a limit, which is
// an argument of the shell's ulimit, it is born with it.
func harm(t *testing.T, config, db, ulimit string) *victim {
	t.Helper()
	v := start(t, config, db, ulimit)
	v.eventually(t, time.Minute, "to serve", func() bool {
		m := servesAt.FindStringSubmatch(v.log.String())
		if m != nil {
			v.url = m[1]
		}
		return m != nil
	})
	return v
}

func start(t *testing.T, config, db, ulimit string) *victim {
	t.Helper()
	cmd := program(t, "up", "-o", "jsonl", "-c", config, "--listen", "127.0.0.1:0")
	if ulimit != "" {
		cmd.Args = append([]string{"sh", "-c", "ulimit " + ulimit + ` && exec "$0" "$@"`}, cmd.Args...)
		cmd.Path = "/bin/sh"
	}
	v := &victim{
		cmd: cmd, db: db, done: make(chan struct{}),
		client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 1}},
	}
	cmd.Stderr = &v.log
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go v.read(out)
	t.Cleanup(func() {
		v.client.CloseIdleConnections()
		_ = v.cmd.Process.Kill() // mostly it has ended
		<-v.done
		if t.Failed() {
			t.Logf("the log of the process:\n%s", tail(v.log.String(), 6000))
		}
	})
	return v
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// read collects what is acknowledged, until the process ends.
func (v *victim) read(out io.Reader) {
	defer close(v.done)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r app.ResultLine
		if json.Unmarshal(lines.Bytes(), &r) == nil {
			v.mu.Lock()
			v.acked = append(v.acked, r)
			v.mu.Unlock()
		}
	}
	_ = v.cmd.Wait() // its exit code is looked at where it matters
}

// kept returns what was acknowledged so far.
func (v *victim) kept() []app.ResultLine {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clip(v.acked)
}

// eventually waits until something is so, looking often, and fails after a time.
func (v *victim) eventually(t *testing.T, within time.Duration, what string, so func() bool) time.Duration {
	t.Helper()
	began, tick := time.Now(), time.NewTicker(100*time.Millisecond)
	defer tick.Stop()
	for !so() {
		if time.Since(began) > within {
			t.Fatalf("waited %s in vain: %s", within, what)
		}
		<-tick.C
	}
	return time.Since(began)
}

// pass lets time go by.
func pass(d time.Duration) { <-time.After(d) }

func (v *victim) get(path string) (code int, text string, err error) {
	resp, err := v.client.Get(v.url + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// ready is what /readyz says.
func (v *victim) ready(t *testing.T) (code int, text string) {
	t.Helper()
	code, text, err := v.get("/readyz")
	if err != nil {
		t.Fatal(err)
	}
	return code, text
}

// metrics returns the values of /metrics by name with labels.
func (v *victim) metrics(t *testing.T) map[string]float64 {
	t.Helper()
	_, text, err := v.get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for line := range strings.Lines(text) {
		i := strings.LastIndexByte(line, ' ')
		if n, err := strconv.ParseFloat(strings.TrimSpace(line[i+1:]), 64); err == nil && line[0] != '#' {
			values[line[:i]] = n
		}
	}
	return values
}

// missed is how many looks were missed for these reasons, or for all.
func missed(metrics map[string]float64, reasons ...string) (n float64) {
	for name, value := range metrics {
		if rest, ok := strings.CutPrefix(name, `vedette_checks_missed_total{reason="`); ok {
			reason := strings.TrimSuffix(rest, `"}`)
			if len(reasons) == 0 || strings.Contains(strings.Join(reasons, " "), reason) {
				n += value
			}
		}
	}
	return n
}

// limit sets the soft limit of a resource of the running process.
func (v *victim) limit(t *testing.T, resource int, n uint64) {
	t.Helper()
	var now unix.Rlimit
	err := unix.Prlimit(v.cmd.Process.Pid, resource, nil, &now)
	if err == nil {
		now.Cur = min(n, now.Max)
		err = unix.Prlimit(v.cmd.Process.Pid, resource, &now, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (v *victim) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := v.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// stop stops it in its own time and wants it to end well. It returns how long that took.
func (v *victim) stop(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	v.client.CloseIdleConnections()
	v.signal(t, syscall.SIGTERM)
	if code := v.exit(t, 15*time.Second); code != exitOK {
		t.Errorf("exit %d", code)
	}
	return time.Since(began)
}

// exit waits for its end and returns the exit code.
func (v *victim) exit(t *testing.T, within time.Duration) int {
	t.Helper()
	select {
	case <-v.done:
	case <-time.After(within):
		t.Fatalf("it goes on for more than %s", within)
	}
	return v.cmd.ProcessState.ExitCode()
}

// memory is the most that it had in memory, in bytes.
func (v *victim) memory(t *testing.T) int64 {
	t.Helper()
	text := fileText(t, fmt.Sprintf("/proc/%d/status", v.cmd.Process.Pid))
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no VmHWM in %s", text)
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}

// results reads what its store holds, with tokens, by monitor and oldest first.
func (v *victim) results(t *testing.T) map[vedette.MonitorID][]vedette.Result {
	t.Helper()
	s := v.open(t)
	by := map[vedette.MonitorID][]vedette.Result{}
	span := vedette.Span{N: 5000}
	for {
		page, err := s.History(t.Context(), "", span)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			by[r.Monitor] = append(by[r.Monitor], r)
		}
		if len(page) < span.N {
			return by
		}
		span.After = page[len(page)-1].ID
	}
}

// quiet wants no look to have found a site down, and no incident.
func (v *victim) quiet(t *testing.T) {
	t.Helper()
	for id, results := range v.results(t) {
		for _, r := range results {
			if r.State == vedette.Down {
				t.Fatalf("%s was found down at %s: %s", id, r.StartedAt, r.Failure.Message)
			}
		}
	}
	incidents, err := v.open(t).Incidents(t.Context(), "", vedette.Span{})
	if err != nil || len(incidents) > 0 {
		t.Errorf("%d incidents: %v", len(incidents), err)
	}
}

func (v *victim) open(t *testing.T) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), v.db, sqlite.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// looks leaves out what is no look but the end of a vote.
func looks(results []vedette.Result) (made []vedette.Result) {
	for _, r := range results {
		if r.Failure == nil || r.Failure.Kind != vedette.KindStale {
			made = append(made, r)
		}
	}
	return made
}

// checkOrder wants the looks of each monitor to be there once each and in their order.
func checkOrder(t *testing.T, by map[vedette.MonitorID][]vedette.Result) (n int) {
	t.Helper()
	for id, results := range by {
		var last vedette.Result
		for _, r := range looks(results) {
			n++
			if r.Seq <= last.Seq || !r.StartedAt.After(last.StartedAt) || !r.DueAt.After(last.DueAt) {
				t.Errorf("%s: look %d due at %s, started at %s after look %d due at %s, started at %s",
					id, r.Seq, r.DueAt, r.StartedAt, last.Seq, last.DueAt, last.StartedAt)
			}
			last = r
		}
	}
	return n
}

// gaps counts the due times without a result, from the first to the last of each monitor.
func gaps(by map[vedette.MonitorID][]vedette.Result, every time.Duration) (n int) {
	for _, results := range by {
		made := looks(results)
		for i := 1; i < len(made); i++ {
			n += max(int(made[i].DueAt.Sub(made[i-1].DueAt).Round(every)/every)-1, 0)
		}
	}
	return n
}

func database(t *testing.T) string { return filepath.Join(t.TempDir(), "failure.db") }

// silent accepts connections and never says a word.
func silent(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var held []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			held = append(held, c)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
		for _, c := range held {
			_ = c.Close()
		}
	})
	return "http://" + l.Addr().String()
}
