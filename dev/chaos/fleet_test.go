//go:build unix

package chaos

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vedettehq/vedette/app"
)

// A process is a `vedette up` that is started again and again.
type process struct {
	t    *testing.T
	name string
	env  []string
	args []string
	dir  string // where it works: its spool lies there

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{}
	acked []app.ResultLine
	exit  error
}

func (p *process) start() {
	p.t.Helper()
	log, err := os.OpenFile(filepath.Join(p.dir, "log.txt"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(binary, p.args...)
	cmd.Dir, cmd.Stderr, cmd.Env = p.dir, log, p.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan struct{})
	p.mu.Lock()
	p.cmd, p.ended = cmd, ended
	p.mu.Unlock()
	go func() {
		defer close(ended)
		p.hear(out)
		err := cmd.Wait()
		p.mu.Lock()
		p.exit = err
		p.mu.Unlock()
	}()
}

// hear takes down what the process says that it has kept.
func (p *process) hear(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r app.ResultLine
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			continue // the last line of a process that was killed
		}
		p.mu.Lock()
		p.acked = append(p.acked, r)
		p.mu.Unlock()
	}
}

func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.cmd.Process.Signal(s) // one that has ended by itself is started again
}

// kill ends the process at once.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// stop ends the process as a service manager does, and returns what it said.
func (p *process) stop(within time.Duration) error {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(within):
		p.kill()
		return fmt.Errorf("%s did not stop within %s", p.name, within)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exit
}

func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *process) results() []app.ResultLine {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clip(p.acked)
}

// delivered reports whether nothing waits on the disk of the process.
func (p *process) delivered() bool {
	empty := true
	_ = filepath.WalkDir(filepath.Join(p.dir, "vedette.spool"), func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(d.Name(), ".seg") {
			empty = false
		}
		return nil
	})
	return empty
}

// logTail is the end of what the process has logged.
func (p *process) logTail() string {
	text, _ := os.ReadFile(filepath.Join(p.dir, "log.txt"))
	return string(text[max(0, len(text)-3000):])
}

// services are a Kafka and a PostgreSQL of this test's own.
type services struct {
	t   *testing.T
	dir string
	env map[string]string
}

func startServices(t *testing.T) *services {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "vedette-chaos-") //nolint:usetesting // what failed is to be looked at
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // PostgreSQL runs as a user of its own
		t.Fatal(err)
	}
	s := &services{t: t, dir: dir, env: make(map[string]string)}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("servers' data is left in %s", dir)
			_, _ = s.run(context.Background(), "down")
			return
		}
		_, _ = s.run(context.Background(), "down", "--wipe")
		_ = os.RemoveAll(dir)
	})
	s.must("up", "postgres", "kafka")
	// It reports what is not up by its exit code, and Redis and RabbitMQ are not.
	out, _ := s.run(t.Context(), "env", "postgres", "kafka")
	for line := range bytes.Lines(out) {
		name, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte("="))
		s.env[string(name)] = string(bytes.Trim(value, `'"`))
	}
	for _, name := range []string{"VEDETTE_TEST_POSTGRES", "VEDETTE_TEST_KAFKA"} {
		if s.env[name] == "" {
			t.Fatalf("dev/services does not say %s:\n%s", name, out)
		}
	}
	return s
}

func (s *services) must(args ...string) {
	s.t.Helper()
	if out, err := s.run(s.t.Context(), args...); err != nil {
		s.t.Fatalf("dev/services %v: %v\n%s", args, err, out)
	}
}

func (s *services) run(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "../services", args...)
	cmd.Env = append(os.Environ(), "VEDETTE_SERVICES_DIR="+s.dir)
	var out, told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &told
	err := cmd.Run()
	if err != nil {
		return append(out.Bytes(), told.Bytes()...), err
	}
	return out.Bytes(), nil
}
