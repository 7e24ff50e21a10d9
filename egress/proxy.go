package egress

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"

	"golang.org/x/net/proxy"
)

// A Proxy is a way to others: http and https proxies by CONNECT, or SOCKS5. The proxy resolves
// the names.
type Proxy struct {
	Scheme string // http, https or socks5
	Host   string
	Port   uint16
	user   *url.Userinfo
}

// ParseProxy reads the URL of a proxy.
func ParseProxy(text string) (*Proxy, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("want a proxy as http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT")
	}
	ports := map[string]uint16{"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
	port, ok := ports[u.Scheme]
	if !ok {
		return nil, fmt.Errorf("proxies speak http, https or socks5, not %s", u.Scheme)
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("proxy port %q is not a port", p)
		}
		port = uint16(n)
	}
	scheme := u.Scheme
	if scheme == "socks5h" {
		scheme = "socks5"
	}
	return &Proxy{scheme, u.Hostname(), port, u.User}, nil
}

// Auth returns the value of the Proxy-Authorization header, or "".
func (p *Proxy) Auth() string {
	if p.user == nil {
		return ""
	}
	password, _ := p.user.Password()
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(p.user.Username()+":"+password))
}

// A ProxyError says that the proxy would not connect to a target.
type ProxyError struct {
	Proxy string
	Text  string
}

func (e *ProxyError) Error() string { return fmt.Sprintf("proxy %s: %s", e.Proxy, e.Text) }

// maxAnswer bounds the head of a proxy's answer.
const maxAnswer = 64 << 10

// Tunnel asks the proxy at the other end of conn to connect to host and port. Afterwards conn
// leads there.
func (p *Proxy) Tunnel(conn net.Conn, host string, port uint16) error {
	target := net.JoinHostPort(host, strconv.Itoa(int(port)))
	if p.Scheme == "socks5" {
		return p.socks(conn, target)
	}
	ask := "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n"
	if auth := p.Auth(); auth != "" {
		ask += "Proxy-Authorization: " + auth + "\r\n"
	}
	if _, err := conn.Write([]byte(ask + "\r\n")); err != nil {
		return err
	}
	br := bufio.NewReader(&limited{conn, maxAnswer})
	resp, err := http.ReadResponse(br, &http.Request{Method: http.MethodConnect}) //nolint:bodyclose // it has none
	if err != nil {
		return fmt.Errorf("read the answer of proxy %s: %w", p.Host, err)
	}
	if resp.StatusCode != http.StatusOK {
		return &ProxyError{p.Host, fmt.Sprintf("answered %s to CONNECT %s", resp.Status, target)}
	}
	if br.Buffered() > 0 {
		return &ProxyError{p.Host, "sent data before it was asked for any"}
	}
	return nil
}

func (p *Proxy) socks(conn net.Conn, target string) error {
	var auth *proxy.Auth
	if p.user != nil {
		password, _ := p.user.Password()
		auth = &proxy.Auth{User: p.user.Username(), Password: password}
	}
	d, err := proxy.SOCKS5("tcp", net.JoinHostPort(p.Host, strconv.Itoa(int(p.Port))), auth, given{conn})
	if err != nil {
		return err
	}
	if _, err := d.Dial("tcp", target); err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return err
		}
		return &ProxyError{p.Host, err.Error()}
	}
	return nil
}

// given dials nothing: it hands over the connection that is there.
type given struct{ net.Conn }

func (g given) Dial(string, string) (net.Conn, error) { return g.Conn, nil }

// limited reads n bytes of a connection at most.
type limited struct {
	net.Conn
	n int
}

func (l *limited) Read(b []byte) (int, error) {
	if l.n <= 0 {
		return 0, errors.New("the head of the answer is too long")
	}
	n, err := l.Conn.Read(b[:min(len(b), l.n)])
	l.n -= n
	return n, err
}
