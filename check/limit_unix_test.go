//go:build unix

package check

import (
	"net"
	"syscall"
	"testing"

	"github.com/vedettehq/vedette"
)

func TestDescriptorsExhausted(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Skip(err)
	}
	c, _ := New(Config{})
	for _, url := range []string{"tcp://" + l.Addr().String(), "tcp://some.invalid:1"} {
		look, err := c.Compile(vedette.Monitor{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		small := old
		small.Cur = 3
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &small); err != nil {
			t.Skip(err)
		}
		got := look(t.Context())
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			t.Fatal(err)
		}
		if got.State != vedette.Unknown || got.Failure.Kind != vedette.KindInternal {
			t.Errorf("%s: %s %+v", url, got.State, got.Failure)
		}
	}
}
