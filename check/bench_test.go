package check_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/check"
)

// target answers 200 with 15 bytes, as the one of the research does.
func target(b *testing.B) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "Hello, sentry!\n")
	}))
	b.Cleanup(srv.Close)
	return srv.URL
}

func BenchmarkLook(b *testing.B) {
	c, err := check.New(check.Config{})
	if err != nil {
		b.Fatal(err)
	}
	look, err := c.Compile(vedette.Monitor{URL: target(b), Timeout: 10 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if r := look(ctx); r.State != vedette.Up {
			b.Fatal(r.Failure.Message)
		}
	}
}

// BenchmarkFloor is what a look is measured against: net/http with a new connection for each
// request, all phases traced, the body read.
func BenchmarkFloor(b *testing.B) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	url := target(b)
	b.ReportAllocs()
	for b.Loop() {
		var at [8]time.Time
		mark := func(i int) { at[i] = time.Now() }
		trace := &httptrace.ClientTrace{
			DNSStart:             func(httptrace.DNSStartInfo) { mark(0) },
			DNSDone:              func(httptrace.DNSDoneInfo) { mark(1) },
			ConnectStart:         func(_, _ string) { mark(2) },
			ConnectDone:          func(_, _ string, _ error) { mark(3) },
			TLSHandshakeStart:    func() { mark(4) },
			TLSHandshakeDone:     func(tls.ConnectionState, error) { mark(5) },
			WroteRequest:         func(httptrace.WroteRequestInfo) { mark(6) },
			GotFirstResponseByte: func() { mark(7) },
		}
		req, err := http.NewRequestWithContext(httptrace.WithClientTrace(b.Context(), trace), http.MethodGet, url, nil)
		if err != nil {
			b.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			b.Fatal(err)
		}
		_ = resp.Body.Close()
	}
}

// BenchmarkSite is what the target and the kernel cost without any client of HTTP: it is in
// both of the others.
func BenchmarkSite(b *testing.B) {
	addr := target(b)[len("http://"):]
	ask := []byte("GET / HTTP/1.1\r\nHost: " + addr + "\r\nConnection: close\r\n\r\n")
	buf := make([]byte, 4096)
	for b.Loop() {
		conn, err := new(net.Dialer).DialContext(b.Context(), "tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := conn.Write(ask); err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = conn.Read(buf)
		}
		_ = conn.Close()
	}
}
