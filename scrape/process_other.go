//go:build !linux

package scrape

import (
	"errors"
	"os/exec"
)

// start begins a program in a process group of its own, where there are such.
func start(cmd *exec.Cmd, l limits) error {
	if l != (limits{}) {
		return errors.New("limits of CPU time and memory are for Linux only")
	}
	cmd.SysProcAttr = group()
	return cmd.Start()
}

// reap waits for the end of a program, tells ended, and kills what is left of its group.
func reap(cmd *exec.Cmd, ended func()) {
	_ = cmd.Wait() // its ProcessState says it too
	ended()
	kill(cmd.Process)
}
