package demo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vedettehq/vedette"
)

// open serves the sites for a test, with an age that the test sets.
func open(t *testing.T) (*Web, *atomic.Int64) {
	t.Helper()
	age := new(atomic.Int64)
	ctx, cancel := context.WithCancel(t.Context())
	w, err := serve(ctx, func() time.Duration { return time.Duration(age.Load()) })
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		w.Wait()
	})
	return w, age
}

// client trusts the Web's authority.
func client(t *testing.T, w *Web) *http.Client {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: trusting(t, w)}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func trusting(t *testing.T, w *Web) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(w.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// get returns the status code and the body, and what went wrong with either.
func get(t *testing.T, c *http.Client, url string) (int, string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

func TestPagesAnswerAsTheySay(t *testing.T) {
	w, age := open(t)
	c := client(t, w)
	for _, p := range []struct {
		name string
		age  time.Duration
		code int
		body string
	}{
		{"good", 0, 200, "hello"},
		{"expiring", 0, 200, "hello"},
		{"slow", 0, 200, "good things"},
		{"api", 0, 200, `"queue": 5120`},
		{"errors", 0, 500, "it broke"},
		{"content", 0, 200, "cannot reach the database"},
		{"patching", 0, 503, "back soon"},
		{"flapping", 2900 * time.Millisecond, 200, "up again"},
		{"flapping", 3100 * time.Millisecond, 503, "down again"},
		{"flapping", 7100 * time.Millisecond, 200, "up again"},
		{"shop", 3900 * time.Millisecond, 200, "hello"},
	} {
		age.Store(int64(p.age))
		began := time.Now()
		code, body, err := get(t, c, w.URL(p.name))
		if err != nil || code != p.code || !strings.Contains(body, p.body) {
			t.Errorf("%s at %v: got %d %q, %v; want %d %q", p.name, p.age, code, body, err, p.code, p.body)
		}
		if took := time.Since(began); p.name == "slow" && took < 600*time.Millisecond {
			t.Errorf("slow took %v, want at least 600ms", took)
		}
	}
}

func TestBrokenSitesFailAsTheySay(t *testing.T) {
	w, age := open(t)
	age.Store(int64(5 * time.Second)) // the gateway is down
	c := client(t, w)
	for _, p := range []struct {
		name  string
		fails func(error) bool
	}{
		{"loop", func(err error) bool { return strings.Contains(err.Error(), "stopped after 10 redirects") }},
		{"cut", func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"garbage", func(err error) bool { return strings.Contains(err.Error(), "malformed HTTP") }},
		{"refused", func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }},
		{"shop", func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }},
		{"expired", func(err error) bool {
			var invalid x509.CertificateInvalidError
			return errors.As(err, &invalid) && invalid.Reason == x509.Expired
		}},
		{"self-signed", func(err error) bool {
			var unknown x509.UnknownAuthorityError
			return errors.As(err, &unknown)
		}},
	} {
		if _, _, err := get(t, c, w.URL(p.name)); err == nil || !p.fails(err) {
			t.Errorf("%s: got %v", p.name, err)
		}
	}
}

func TestSilentNeverAnswers(t *testing.T) {
	w, _ := open(t)
	c := dial(t, w, "silent")
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %d bytes, %v; want none until the deadline", n, err)
	}
}

func dial(t *testing.T, w *Web, name string) net.Conn {
	t.Helper()
	at, err := url.Parse(w.URL(name))
	if err != nil {
		t.Fatal(err)
	}
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", at.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestGatewayEchoesAndCutsWhileItIsDown(t *testing.T) {
	w, age := open(t)
	ask := func() (string, error) {
		c := dial(t, w, "gateway")
		if _, err := io.WriteString(c, "ping\nhello\n"); err != nil {
			return "", err
		}
		answer := make([]byte, len("pong\nhello\n"))
		n, err := io.ReadFull(c, answer)
		return string(answer[:n]), err
	}
	if got, err := ask(); got != "pong\nhello\n" {
		t.Errorf("up: got %q, %v", got, err)
	}
	age.Store(int64(4 * time.Second))
	if got, err := ask(); got != "" || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("down: got %q, %v; want a reset", got, err)
	}
}

func TestMailShakesHandsWhileTheGatewayIsUp(t *testing.T) {
	w, age := open(t)
	config := trusting(t, w)
	config.ServerName = "127.0.0.1"
	if err := tls.Client(dial(t, w, "mail"), config).HandshakeContext(t.Context()); err != nil {
		t.Errorf("up: %v", err)
	}
	age.Store(int64(9 * time.Second))
	if err := tls.Client(dial(t, w, "mail"), config).HandshakeContext(t.Context()); err == nil {
		t.Error("down: the handshake worked")
	}
}

func TestResolverKnowsOneName(t *testing.T) {
	w, age := open(t)
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", w.Resolver)
	}}
	got, err := r.LookupHost(t.Context(), known+".")
	if err != nil || !slices.Equal(got, []string{"192.0.2.7"}) {
		t.Errorf("got %v, %v; want 192.0.2.7", got, err)
	}
	var missing *net.DNSError
	if _, err := r.LookupHost(t.Context(), "nowhere.invalid."); !errors.As(err, &missing) || !missing.IsNotFound {
		t.Errorf("got %v, want that there is no such host", err)
	}
	age.Store(int64(5 * time.Second))
	query := append([]byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, "\x05names\x04demo\x04test\x00\x00\x01\x00\x01"...)
	if reply := w.resolve(query); reply != nil {
		t.Errorf("got %x while the gateway is down, want no answer", reply)
	}
}

func FuzzQuestion(f *testing.F) {
	f.Add(append(make([]byte, 12), "\x05names\x04demo\x04test\x00\x00\x01\x00\x01"...))
	w := &Web{age: func() time.Duration { return 0 }}
	f.Fuzz(func(t *testing.T, query []byte) {
		if reply := w.resolve(query); reply != nil && len(reply) < 12 {
			t.Errorf("got a reply of %d bytes", len(reply))
		}
	})
}

func TestEveryCycleShowsBothStatesWithinElevenSeconds(t *testing.T) {
	var now time.Duration
	w := &Web{age: func() time.Duration { return now }}
	for _, c := range []struct {
		name     string
		up       func() bool
		down, to int
	}{{"flapping", w.flapUp, 3, 2}, {"gateway", w.gateUp, 3, 2}} {
		for first := time.Duration(0); first < 10*time.Second; first += 50 * time.Millisecond {
			seen := watched(&now, first, c.up, c.down, c.to)
			if !seen[vedette.Up] || !seen[vedette.Down] {
				t.Errorf("%s watched from %v on: saw %v, want up and down", c.name, first, seen)
			}
		}
	}
}

// watched returns the states that a watcher confirms in 11 seconds of a look a second.
func watched(now *time.Duration, first time.Duration, up func() bool, down, to int) map[vedette.State]bool {
	seen := map[vedette.State]bool{}
	ups, downs := 0, 0
	for *now = first; *now <= first+11*time.Second; *now += time.Second {
		if up() {
			ups, downs = ups+1, 0
		} else {
			ups, downs = 0, downs+1
		}
		seen[vedette.Up] = seen[vedette.Up] || ups >= to
		seen[vedette.Down] = seen[vedette.Down] || downs >= down
	}
	return seen
}

func TestEveryStateAndKindOfTheDemoIsWanted(t *testing.T) {
	w, _ := open(t)
	states, kinds := map[vedette.State]bool{}, map[vedette.Kind]bool{}
	muted := 0
	for i, want := range w.Wanted() {
		if want.Name != w.Sites()[i].Name || len(want.States) == 0 {
			t.Errorf("%s: wants %+v", w.Sites()[i].Name, want)
		}
		for _, s := range want.States {
			states[s] = true
		}
		kinds[want.Kind] = true
		if want.Muted == "gateway" {
			muted++
		}
	}
	for _, s := range []vedette.State{vedette.Up, vedette.Degraded, vedette.Down, vedette.Maintenance} {
		if !states[s] {
			t.Errorf("nothing is %s", s)
		}
	}
	for _, k := range []vedette.Kind{
		vedette.KindDNS, vedette.KindRefused, vedette.KindReset, vedette.KindCertificate, vedette.KindTimeout,
		vedette.KindRedirect, vedette.KindProtocol, vedette.KindTruncated, vedette.KindStatus,
		vedette.KindContent, vedette.KindExpectation,
	} {
		if !kinds[k] {
			t.Errorf("nothing fails with %s", k)
		}
	}
	if len(w.Wanted()) > 20 || muted != 3 {
		t.Errorf("got %d sites, %d behind the gateway; want at most 20, which fit a screen, and 3", len(w.Wanted()), muted)
	}
}

func TestManifestNamesEverySite(t *testing.T) {
	w, _ := open(t)
	text := string(w.Manifest(`sqlite:/tmp/a "b".db`, "127.0.0.1:0"))
	for _, want := range []string{`store: "sqlite:/tmp/a \"b\".db"`, `http: {listen: "127.0.0.1:0"}`, "match: {name: patching}"} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %s in\n%s", want, text)
		}
	}
	for _, s := range w.Sites() {
		if want := fmt.Sprintf("- name: %s\n", s.Name); !strings.Contains(text, want) || !strings.Contains(text, s.URL) {
			t.Errorf("missing %s (%s) in\n%s", s.Name, s.URL, text)
		}
	}
}

func TestNothingStaysWhenTheWebEnds(t *testing.T) {
	defer goleak.VerifyNone(t)
	ctx, cancel := context.WithCancel(t.Context())
	w, err := Serve(ctx)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	open := dial(t, w, "silent")
	cancel()
	w.Wait()
	if _, err := os.Stat(w.CAFile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("authority's file: got %v, want it gone", err)
	}
	if _, err := open.Read(make([]byte, 1)); err == nil {
		t.Error("a connection lives on")
	}
}
