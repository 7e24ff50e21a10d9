//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is one that the bench started. It is killed when the bench dies.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stdout *bufio.Reader // nil if it went to the log
	began  time.Time
	log    string
}

// startProcess runs path with args. What it says on stderr goes to NAME.log in dir.
func startProcess(ctx context.Context, dir, name, path string, args ...string) (*process, error) {
	p := &process{log: filepath.Join(dir, name+".log")}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer func() { _ = log.Close() }()
	p.cmd = exec.CommandContext(ctx, path, args...)
	p.cmd.Stderr = log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = 15 * time.Second
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if name == "target" {
		out, err := p.cmd.StdoutPipe()
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", name, err)
		}
		p.stdout = bufio.NewReader(out)
	} else {
		p.cmd.Stdout = log
	}
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// stop asks the process to end and, after 15 seconds, makes it. It reports what is in its log
// if it did not end well.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.stdin.Close()
	kill := time.AfterFunc(15*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return nil
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGTERM {
		return nil
	}
	log, _ := os.ReadFile(p.log)
	return fmt.Errorf("%w: %s", err, tail(string(log), 2000))
}

func tail(s string, n int) string { return s[max(len(s)-n, 0):] }

// cpu is the time that the process has spent on all cores, to 10 ms.
func (p *process) cpu() (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	text := string(data)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:]) // its name may hold anything
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux that Go runs on
	return time.Duration(user+system) * tick, nil
}

// A memory is what a process holds, in bytes.
type memory struct{ rss, anon, file int64 }

func (p *process) memory() (m memory, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return m, fmt.Errorf("read memory: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kib, _ := strconv.ParseInt(fields[1], 10, 64)
		switch fields[0] {
		case "VmRSS:":
			m.rss = kib << 10
		case "RssAnon:":
			m.anon = kib << 10
		case "RssFile:":
			m.file = kib << 10
		}
	}
	return m, nil
}

// cached is how much of the files is in the page cache, in bytes, and -1 if nobody can tell.
func cached(ctx context.Context, paths ...string) int64 {
	out, err := exec.CommandContext(ctx, "fincore", append([]string{"-b", "-n", "-o", "RES"}, paths...)...).Output()
	if err != nil {
		return -1
	}
	total := int64(0)
	for field := range strings.FieldsSeq(string(out)) {
		n, _ := strconv.ParseInt(field, 10, 64)
		total += n
	}
	return total
}

// runningTarget is the target's process and where it is.
type runningTarget struct {
	*process
	spec spec
}

func startTarget(ctx context.Context, dir string, r row) (*runningTarget, error) {
	s := spec{Row: r, Dir: dir}
	path, err := s.write("target.json")
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find myself: %w", err)
	}
	p, err := startProcess(ctx, dir, "target", self, "target", path)
	if err != nil {
		return nil, err
	}
	line, err := p.stdout.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &s)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start target: %w", err), p.stop())
	}
	return &runningTarget{p, s}, nil
}
