package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/vedettehq/vedette/app"
)

// A watcher is a `vedette up` in a process of its own, so that it can be killed.
type watcher struct {
	config, log string
	kept        func(app.ResultLine) // called with each result that is on disk

	mu      sync.Mutex
	process *os.Process
	done    chan struct{} // closed when the process has ended and its output was read
}

func newWatcher(config, log string, kept func(app.ResultLine)) *watcher {
	return &watcher{config: config, log: log, kept: kept}
}

// start starts the process.
func (w *watcher) start() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.Command(self, "up", "-c", w.config, "-o", "jsonl") //nolint:gosec,noctx // ourselves; it is told to stop
	cmd.SysProcAttr = dieWithParent()
	log, err := os.OpenFile(w.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the watcher's log: %w", err)
	}
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("read the watcher: %w", err)
	}
	started := make(chan error)
	w.done = make(chan struct{})
	go w.mind(cmd, out, log, started, w.done)
	if err := <-started; err != nil {
		return fmt.Errorf("start the watcher: %w", err)
	}
	w.process = cmd.Process
	return nil
}

// mind owns the process from its start to its end. It keeps its thread: the process dies
// with the thread that started it.
func (w *watcher) mind(cmd *exec.Cmd, out io.Reader, log io.Closer, started chan<- error, done chan<- struct{}) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(done)
	defer log.Close() //nolint:errcheck // the process has its own handle
	err := cmd.Start()
	started <- err
	if err != nil {
		return
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r app.ResultLine
		if json.Unmarshal(lines.Bytes(), &r) == nil { // a line cut off by a kill is no acknowledgement
			w.kept(r)
		}
	}
	_ = cmd.Wait() // killed, mostly
}

// kill ends the process at once, as a crash would, and starts it again.
func (w *watcher) kill() error {
	w.signal(syscall.SIGKILL)
	<-w.done
	return w.start()
}

// stop lets the process end in its own time, at most 3 s.
func (w *watcher) stop() {
	w.signal(syscall.SIGTERM)
	select {
	case <-w.done:
	case <-time.After(3 * time.Second):
		w.signal(syscall.SIGKILL)
		<-w.done
	}
}

func (w *watcher) signal(s os.Signal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.process != nil {
		_ = w.process.Signal(s) // it may have ended
	}
}
