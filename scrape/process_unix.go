//go:build unix

package scrape

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func terminate(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGTERM) }

func kill(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) }

// ending says how a program ended, "" if it was well.
func ending(s *os.ProcessState, l limits) string {
	ws, ok := s.Sys().(syscall.WaitStatus)
	switch used := s.UserTime() + s.SystemTime(); {
	case s.Success():
		return ""
	case !ok || !ws.Signaled():
		return s.String()
	case l.cpu > 0 && used >= l.cpu && (ws.Signal() == syscall.SIGXCPU || ws.Signal() == syscall.SIGKILL):
		return fmt.Sprintf("killed by signal %s: it has used up its %v of CPU time", unix.SignalName(ws.Signal()), l.cpu)
	default:
		return "killed by signal " + unix.SignalName(ws.Signal())
	}
}
