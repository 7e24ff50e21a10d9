package scrape

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"golang.org/x/net/http/httpproxy"

	"github.com/vedettehq/vedette/egress"
)

// dialTimeout bounds how long a connection takes, over all addresses of a host.
const dialTimeout = 30 * time.Second

// Client returns a client that goes nowhere deny forbids, by whatever name or redirect it is led
// there. The proxy that the environment names is held to deny too; where that leads is its own to
// say, but for hosts and addresses that stand in the URL.
func Client(deny egress.Forbidden) *http.Client {
	d := dialer{&deny, egress.NewResolver("")}
	proxy := httpproxy.FromEnvironment().ProxyFunc()
	return &http.Client{Transport: guard{&deny, &http.Transport{
		Proxy:       func(r *http.Request) (*url.URL, error) { return proxy(r.URL) },
		DialContext: d.dial, TLSHandshakeTimeout: dialTimeout,
		IdleConnTimeout: 90 * time.Second, ForceAttemptHTTP2: true,
	}}}
}

// A guard lets no request go to a forbidden host: a proxy would resolve it, and we would not see
// its address.
type guard struct {
	deny *egress.Forbidden
	next http.RoundTripper
}

func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	host := r.URL.Hostname()
	err := g.deny.Host(host)
	if a, bad := netip.ParseAddr(host); bad == nil && err == nil {
		err = g.deny.Addr(a)
	}
	if err == nil {
		return g.next.RoundTrip(r)
	}
	if r.Body != nil {
		_ = r.Body.Close() // as a RoundTripper must
	}
	return nil, err
}

// A dialer connects to the addresses that it has looked at itself, so that no name is resolved to
// others in between.
type dialer struct {
	deny     *egress.Forbidden
	resolver *net.Resolver
}

func (d dialer) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addrs, err := egress.Resolve(ctx, d.resolver, host, egress.Any)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	conn, _, err := egress.Dial(ctx, addrs, uint16(port), deadline, d.deny)
	if err != nil {
		return nil, err
	}
	return conn, nil
}
