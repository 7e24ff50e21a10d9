package scrape

import (
	"os"
	"syscall"
)

func group() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// terminate kills p: there is no signal to ask it with.
func terminate(p *os.Process) { kill(p) }

func kill(p *os.Process) { _ = p.Kill() }

// ending says how a program ended, "" if it was well.
func ending(s *os.ProcessState, _ limits) string {
	if s.Success() {
		return ""
	}
	return s.String()
}
