//go:build unix

package check_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"syscall"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/check"
)

// target answers 200 with 15 bytes, and costs as little as a server can.
func target(b *testing.B) string {
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 15\r\nConnection: close\r\n\r\nHello, sentry!\n")
	return "http://" + bare(b, func(conn net.Conn) {
		buf := make([]byte, 4096)
		if n, err := conn.Read(buf); err == nil && bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
			_, _ = conn.Write(answer)
		}
	})
}

// reportCPU adds the CPU time of the process for each operation, which other load on the
// machine changes less than the time.
func reportCPU(b *testing.B) {
	b.ReportAllocs()
	var before syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	b.Cleanup(func() {
		var now syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &now)
		spent := now.Utime.Nano() + now.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
		b.ReportMetric(float64(spent)/float64(b.N), "cpu-ns/op")
	})
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
	reportCPU(b)
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
	reportCPU(b)
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
	reportCPU(b)
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

func BenchmarkLookTLS(b *testing.B) {
	url, options := secureTarget(b)
	c, err := check.New(check.Config{})
	if err != nil {
		b.Fatal(err)
	}
	look, err := c.Compile(vedette.Monitor{URL: url, Timeout: 10 * time.Second, Probe: vedette.Raw(options)})
	if err != nil {
		b.Fatal(err)
	}
	reportCPU(b)
	for b.Loop() {
		if r := look(b.Context()); r.State != vedette.Up {
			b.Fatal(r.Failure.Message)
		}
	}
}

func secureTarget(b *testing.B) (url, options string) {
	a := newAuthority(b)
	srv := secureSite(b, a.issue(b, 60), false, nil, ok)
	return srv.URL, `{"request":{"http":"1"},"tls":{"ca_file":"` + a.file + `"}}`
}

// BenchmarkFloorTLS is net/http over TLS with the certificate verified, without any trace.
func BenchmarkFloorTLS(b *testing.B) {
	a := newAuthority(b)
	srv := secureSite(b, a.issue(b, 60), false, nil, ok)
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}, Timeout: 10 * time.Second}
	reportCPU(b)
	for b.Loop() {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, srv.URL, nil)
		if err != nil {
			b.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
}
