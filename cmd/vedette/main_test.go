package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vedettehq/vedette/app"
)

// asProgram makes the test binary the program itself, so that tests can start it as a process of
// its own, with the race detector on, and kill it.
const asProgram = "VEDETTE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(run(context.Background(), os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
	}
	os.Exit(m.Run())
}

// program returns the command line of the program as a process.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "NO_COLOR=1")
	cmd.Dir = t.TempDir()
	return cmd
}

// A said is what one command line printed, and its exit code.
type said struct {
	code     int
	out, err string
}

// vedetteCmd runs one command line in this process.
func vedetteCmd(t *testing.T, args ...string) said {
	t.Helper()
	var out, err bytes.Buffer
	code := run(t.Context(), args, streams{strings.NewReader(""), &out, &err})
	return said{code, out.String(), err.String()}
}

// serve serves a page that answers with what it is told.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") }

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vedette.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A process is a `vedette up -o jsonl` that was started, and the results it acknowledged.
type process struct {
	cmd   *exec.Cmd
	log   bytes.Buffer
	lines chan app.ResultLine // closed at its end
}

func startUp(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{cmd: program(t, append([]string{"up", "-o", "jsonl"}, args...)...), lines: make(chan app.ResultLine, 1_000_000)}
	p.cmd.Stderr = &p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var r app.ResultLine
			if json.Unmarshal(lines.Bytes(), &r) == nil { // the last line may be cut off
				p.lines <- r
			}
		}
	}()
	return p
}

// next waits for an acknowledged result.
func (p *process) next(t *testing.T, within time.Duration) app.ResultLine {
	t.Helper()
	select {
	case r, ok := <-p.lines:
		if ok {
			return r
		}
		_ = p.cmd.Wait()
		t.Fatalf("the process ended:\n%s", p.log.String())
	case <-time.After(within):
		t.Fatalf("no result within %s", within)
	}
	return app.ResultLine{}
}

// kill ends the process at once and returns what it had acknowledged and nobody has read.
func (p *process) kill(t *testing.T) []app.ResultLine {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	return p.rest()
}

func (p *process) rest() (rest []app.ResultLine) {
	for r := range p.lines {
		rest = append(rest, r)
	}
	_ = p.cmd.Wait() // killed or stopped
	return rest
}

// many returns a configuration of n monitors of one site, each with its own path.
func many(n int, url, store, settings string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "store: sqlite:%s\ndefaults: {%s}\nmonitors:\n", store, settings)
	for i := range n {
		fmt.Fprintf(&b, "  - {name: site %d, url: %s/%d}\n", i, url, i)
	}
	return b.String()
}
