//go:build unix

package check_test

import (
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/check"
)

func TestTimeoutWhileConnecting(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	rc, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	// With a queue of one that nobody empties, the kernel leaves further connections waiting.
	_ = rc.Control(func(fd uintptr) { _ = syscall.Listen(int(fd), 0) })
	full := false
	for range 8 {
		d := net.Dialer{Timeout: 500 * time.Millisecond}
		conn, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			full = true
			break
		}
		defer func() { _ = conn.Close() }()
	}
	if !full {
		t.Skip("the queue of this kernel never fills")
	}
	m := vedette.Monitor{URL: "http://" + l.Addr().String(), Timeout: 60 * time.Millisecond}
	r := lookWith(t, check.Config{}, m)
	want(t, r, vedette.Down, "timeout connect no answer within 60ms (waited", "for the connection)")
	if r.Phases.Connect < 50*time.Millisecond || r.Phases.Total() != r.Phases.Connect+r.Phases.DNS {
		t.Errorf("phases are %+v", r.Phases)
	}
	m.Probe = vedette.Raw(`{"fails_with":["timeout"]}`)
	want(t, lookWith(t, check.Config{}, m), vedette.Up)
}
