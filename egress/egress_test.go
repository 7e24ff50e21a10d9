package egress_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vedettehq/vedette/egress"
)

func TestMetadataIsForbiddenInEveryNotation(t *testing.T) {
	f := egress.Metadata()
	for addr, want := range map[string]bool{
		"169.254.169.254": true, "::ffff:169.254.169.254": true, "64:ff9b::a9fe:a9fe": true, "2002:a9fe:a9fe::1": true,
		"::169.254.169.254": true, "fe80::1": true, "fe80::1%eth0": true, "0.0.0.0": true, "::": true,
		"100.100.100.200": true, "fd00:ec2::254": true,
		"127.0.0.1": false, "::1": false, "10.0.0.1": false, "192.0.2.1": false, "2001:db8::1": false, "fd00::1": false,
		"64:ff9b::c000:201": false,
	} {
		err := f.Addr(netip.MustParseAddr(addr))
		var forbidden *egress.ForbiddenError
		if errors.As(err, &forbidden) != want {
			t.Errorf("%s: %v, want forbidden %v", addr, err, want)
		}
	}
	if f.Host("Metadata.Google.Internal.") == nil || f.Host("example.com") != nil {
		t.Error("metadata hosts are not told by name")
	}
	var none *egress.Forbidden
	if none.Addr(netip.MustParseAddr("0.0.0.0")) != nil || none.Host("metadata") != nil {
		t.Error("nil forbids something")
	}
}

func listen(t *testing.T) (netip.AddrPort, net.Listener) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return netip.MustParseAddrPort(l.Addr().String()), l
}

func TestDialTriesAddressesInTurn(t *testing.T) {
	at, _ := listen(t)
	dead, good := netip.MustParseAddr("127.0.0.2"), at.Addr()
	conn, used, err := egress.Dial(t.Context(), []netip.Addr{dead, good}, at.Port(), time.Now().Add(time.Second), nil)
	if err != nil || used != at {
		t.Fatalf("got %v, %v; want %v", used, err, at)
	}
	_ = conn.Close()
	_, used, err = egress.Dial(t.Context(), []netip.Addr{dead, netip.MustParseAddr("127.0.0.3")}, at.Port(), time.Now().Add(time.Second), nil)
	if !errors.Is(err, syscall.ECONNREFUSED) || used.Addr() != dead {
		t.Errorf("got %v about %v, want the first refusal", err, used)
	}
	deny := egress.Forbidden{Nets: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}}
	_, _, err = egress.Dial(t.Context(), []netip.Addr{good, dead}, at.Port(), time.Now().Add(time.Second), &deny)
	if _, ok := errors.AsType[*egress.ForbiddenError](err); !ok {
		t.Errorf("got %v: a name with one forbidden address must not be reached", err)
	}
}

func TestDialEndsAtTheDeadline(t *testing.T) {
	// RFC 5737 addresses are not routed; where there is no route at all, the error is quick.
	begin := time.Now()
	_, _, err := egress.Dial(t.Context(), []netip.Addr{netip.MustParseAddr("192.0.2.1")}, 9, begin.Add(50*time.Millisecond), nil)
	if err == nil || time.Since(begin) > 2*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}

func TestResolveKnowsAddresses(t *testing.T) {
	r := egress.NewResolver("")
	for _, c := range []struct {
		host   string
		family egress.Family
		want   string
	}{
		{"192.0.2.1", egress.Any, "192.0.2.1"},
		{"192.0.2.1", egress.IP4, "192.0.2.1"},
		{"::ffff:192.0.2.1", egress.IP4, "192.0.2.1"},
		{"2001:db8::1", egress.IP6, "2001:db8::1"},
		{"192.0.2.1", egress.IP6, ""},
		{"2001:db8::1", egress.IP4, ""},
	} {
		got, err := egress.Resolve(t.Context(), r, c.host, c.family)
		if c.want == "" {
			if !errors.Is(err, egress.ErrFamily) {
				t.Errorf("%s over %d: %v, %v; want ErrFamily", c.host, c.family, got, err)
			}
			continue
		}
		if err != nil || len(got) != 1 || got[0].String() != c.want {
			t.Errorf("%s over %d: %v, %v", c.host, c.family, got, err)
		}
	}
}

func TestProxyURLs(t *testing.T) {
	for text, want := range map[string]string{
		"http://p": "http p 80", "https://u:pw@p": "https p 443 Basic dTpwdw==", "socks5://p:99": "socks5 p 99", "socks5h://p": "socks5 p 1080",
	} {
		p, err := egress.ParseProxy(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := strings.TrimSpace(strings.Join([]string{p.Scheme, p.Host, portText(p.Port), p.Auth()}, " ")); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"", "p:80", "ftp://p", "http://p:x", "http://p:99999", "http://"} {
		if p, err := egress.ParseProxy(text); err == nil {
			t.Errorf("%q: got %+v, want an error", text, p)
		}
	}
}

func portText(p uint16) string {
	return strings.TrimPrefix(netip.AddrPortFrom(netip.IPv4Unspecified(), p).String(), "0.0.0.0:")
}

func TestTunnelBoundsTheAnswerOfAProxy(t *testing.T) {
	at, l := listen(t)
	answer := make(chan string, 1)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, <-answer)
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
	}()
	p, err := egress.ParseProxy("http://127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"HTTP/1.1 200 OK\r\n\r\n":                                        "",
		"HTTP/1.1 407 Auth\r\n\r\n":                                      "answered 407 Auth to CONNECT x:443",
		"HTTP/1.1 200 OK\r\n\r\nearly":                                   "before it was asked",
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: aaaaaaaaa\r\n", 9000): "read the answer of proxy",
		"garbage\r\n\r\n":                                                "malformed",
	} {
		answer <- text
		conn, _, err := egress.Dial(t.Context(), []netip.Addr{at.Addr()}, at.Port(), time.Now().Add(time.Second), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		err = p.Tunnel(conn, "x", 443)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: got %v, want %q", text, err, want)
		}
		_ = conn.Close()
	}
}

func TestTrustsAreShared(t *testing.T) {
	var s egress.Trusts
	a, err := s.Get(egress.Trust{})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := s.Get(egress.Trust{}); err != nil || a != b {
		t.Errorf("two settings for one trust: %v", err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []egress.Trust{{CAFile: path}, {CAFile: path + "x"}, {CertFile: path}, {KeyFile: path}, {CertFile: path, KeyFile: path}, {MinVersion: "9"}} {
		if _, err := s.Get(bad); err == nil {
			t.Errorf("%+v is trusted", bad)
		}
	}
}
