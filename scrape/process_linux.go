package scrape

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// start begins a program in a process group of its own. It dies with the thread that calls this.
// With limits it is stopped before its first instruction, as a debugger does, until they are set,
// so that nothing that it begins escapes them.
func start(cmd *exec.Cmd, l limits) error {
	limited := l != limits{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Ptrace: limited}
	if err := cmd.Start(); err != nil || !limited {
		return err
	}
	err := limit(cmd.Process.Pid, l)
	if err != nil {
		kill(cmd.Process)
		_ = cmd.Wait() // what went wrong is said already
	}
	return err
}

func limit(pid int, l limits) error {
	var ws syscall.WaitStatus
	if err := restart(func() error {
		_, err := syscall.Wait4(pid, &ws, 0, nil)
		return err
	}); err != nil || !ws.Stopped() {
		return fmt.Errorf("stop the program to set its limits: status %#x: %w", ws, errors.Join(err, errors.ErrUnsupported))
	}
	seconds := uint64((l.cpu + time.Second - 1) / time.Second) //nolint:gosec // above 0
	if err := setLimit(pid, unix.RLIMIT_CPU, seconds, seconds+1); err != nil {
		return fmt.Errorf("limit CPU time: %w", err)
	}
	// Not the address space, of which many runtimes take much more than they use.
	if err := setLimit(pid, unix.RLIMIT_DATA, uint64(l.memory), uint64(l.memory)); err != nil { //nolint:gosec // not below 0
		return fmt.Errorf("limit memory: %w", err)
	}
	if err := syscall.PtraceDetach(pid); err != nil {
		return fmt.Errorf("let the limited program go: %w", err)
	}
	return nil
}

// setLimit sets a limit of a process, but never above the one that it has. 0 sets none.
func setLimit(pid, resource int, soft, hard uint64) error {
	if soft == 0 {
		return nil
	}
	var old unix.Rlimit
	if err := unix.Prlimit(pid, resource, nil, &old); err != nil {
		return err
	}
	return unix.Prlimit(pid, resource, &unix.Rlimit{Cur: min(soft, old.Max), Max: min(hard, old.Max)}, nil)
}

// reap waits for the end of a program, tells ended, and kills what is left of its group. Until that
// is done the program's number stays taken, so that no other group is hit.
func reap(cmd *exec.Cmd, ended func()) {
	_ = restart(func() error {
		return unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
	})
	ended()
	kill(cmd.Process)
	_ = cmd.Wait() // its ProcessState says it too
}

func restart(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
