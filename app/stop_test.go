package app_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/vedettehq/vedette/app"
)

func TestClientThatDoesNotLetGoDelaysNoResignation(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := newApp(t, app.Config{Listener: l, Roles: []string{"schedule"}})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // it has served its turn
	// The second request never ends; the answer to the first says that the server has both.
	fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nPOST /-/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
		t.Fatal(err)
	}
	stop()
	began := time.Now()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 900*time.Millisecond {
		t.Errorf("the stop took %v", took)
	}
}

func TestStopBeforeItRunsIsNoError(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for _, listen := range []string{"", "127.0.0.1:0"} {
		a := newApp(t, app.Config{Store: "sqlite:" + filepath.Join(t.TempDir(), "a.db"), Listen: listen})
		if err := a.Run(ctx); err != nil {
			t.Errorf("listening on %q: %v", listen, err)
		}
	}
}
