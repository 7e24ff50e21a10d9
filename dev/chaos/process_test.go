//go:build unix

package chaos

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A process is a `vedette up` that is started again and again.
type process struct {
	t      *testing.T
	name   string
	binary string
	env    []string
	args   []string
	dir    string            // where it works: its log and its spool lie there
	hear   func(line []byte) // is told what it says; nil is nobody
	wires  wires             // between it and its servers, if they are its own

	mu    sync.Mutex
	cmd   *exec.Cmd
	born  int64 // how long its log was when its present life began
	ended chan struct{}
	exit  error
}

func (p *process) start() {
	p.t.Helper()
	log, err := os.OpenFile(p.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	before, err := log.Stat()
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command(p.binary, p.args...)
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
	p.cmd, p.born, p.ended = cmd, before.Size(), ended
	p.mu.Unlock()
	go func() {
		defer close(ended)
		p.listen(out)
		err := cmd.Wait()
		p.mu.Lock()
		p.exit = err
		p.mu.Unlock()
	}()
}

func (p *process) listen(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if p.hear != nil {
			p.hear(lines.Bytes())
		}
	}
}

// pid is that of its present life.
func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Pid
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

// freeze stops the process for as long as during takes, without its knowing.
func (p *process) freeze(during func()) {
	p.signal(syscall.SIGSTOP)
	during()
	p.signal(syscall.SIGCONT)
}

func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *process) log() string { return filepath.Join(p.dir, "log.txt") }

// lives returns what the process has logged in all its lives, and in the present one.
func (p *process) lives() (all, last string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text, err := os.ReadFile(p.log())
	if err != nil {
		p.t.Error(err)
		return "", ""
	}
	return string(text), string(text[p.born:])
}

// serves reports whether the process has come to serve in its present life. A server that is away
// before that ends it.
func (p *process) serves() bool {
	_, life := p.lives()
	return strings.Contains(life, "msg=serving")
}

// logTail is the end of what the process has logged.
func (p *process) logTail() string {
	text, _ := os.ReadFile(p.log())
	return string(text[max(0, len(text)-3000):])
}
