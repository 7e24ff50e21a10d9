package check

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// A target is where a look goes: a URL, ready to be dialled and asked for.
type target struct {
	scheme string
	host   string // a name in ASCII or an address, without brackets
	port   uint16
	uri    string // path and query; for dns the question
	user   *url.Userinfo
	usual  bool // the port is the scheme's own
	// hostport is the value of a Host header.
	hostport string
}

// newTarget reads u, whose port is usual by default.
func newTarget(u *url.URL, usual uint16) (target, error) {
	t := target{scheme: u.Scheme, host: u.Hostname(), port: usual, user: u.User}
	if t.host == "" {
		return t, errors.New("the URL has no host")
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return t, fmt.Errorf("%q is no port", p)
		}
		t.port = uint16(n)
	}
	if t.port == 0 {
		return t, fmt.Errorf("the URL has no port: want %s://%s:PORT", u.Scheme, u.Host)
	}
	t.usual = t.port == usual
	if _, err := netip.ParseAddr(t.host); err != nil {
		ascii, err := asciiName(t.host)
		if err != nil {
			return t, err
		}
		t.host = ascii
	}
	t.uri = u.RequestURI()
	t.hostport = t.host
	if strings.Contains(t.host, ":") {
		t.hostport = "[" + t.host + "]"
	}
	if !t.usual {
		t.hostport += ":" + strconv.Itoa(int(t.port))
	}
	return t, nil
}

func asciiName(host string) (string, error) {
	for i := range len(host) {
		if host[i] >= 0x80 {
			ascii, err := idna.Lookup.ToASCII(host)
			if err != nil {
				return host, fmt.Errorf("%q is no host name: %w", host, err)
			}
			return ascii, nil
		}
	}
	if strings.ContainsAny(host, " /\\<>\"{}|^`") || len(host) > 253 {
		return host, fmt.Errorf("%q is no host name", host)
	}
	return host, nil
}

// dialled names the host and port.
func (t target) dialled() string {
	return net.JoinHostPort(t.host, strconv.Itoa(int(t.port)))
}

// String returns the URL without user and password.
func (t target) String() string {
	return t.scheme + "://" + t.hostport + t.uri
}
