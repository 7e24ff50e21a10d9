package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// A Family chooses among IP addresses.
type Family int

// The families.
const (
	Any Family = 0
	IP4 Family = 4
	IP6 Family = 6
)

// Matches reports whether a is of the family.
func (f Family) Matches(a netip.Addr) bool {
	return f == Any || (f == IP4) == a.Unmap().Is4()
}

// ErrFamily is reported by [Resolve] for a host that has addresses of the other family only.
var ErrFamily = errors.New("no address of this family")

// Resolve returns the addresses of host, the best first. An address is its own answer.
func Resolve(ctx context.Context, r *net.Resolver, host string, family Family) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		if !family.Matches(a) {
			return nil, fmt.Errorf("%s: %w (IPv%d)", host, ErrFamily, family)
		}
		return []netip.Addr{a.Unmap()}, nil
	}
	network := "ip"
	if family != Any {
		network = fmt.Sprintf("ip%d", family)
	}
	addrs, err := r.LookupNetIP(ctx, network, host)
	if err != nil {
		return nil, err
	}
	for i, a := range addrs {
		addrs[i] = a.Unmap()
	}
	return addrs, nil
}

// NewResolver returns a resolver that asks the server at addr, as "9.9.9.9:53", or the
// system's if addr is "".
func NewResolver(addr string) *net.Resolver {
	if addr == "" {
		return &net.Resolver{}
	}
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
}

// Dial connects to the first of addrs that answers. Each gets its share of the time until
// deadline, at least two seconds while there are as many. Addresses that deny forbids are an
// error at once. The address returned is the one that answered, or the one that the error is
// about.
func Dial(ctx context.Context, addrs []netip.Addr, port uint16, deadline time.Time, deny *Forbidden) (*net.TCPConn, netip.AddrPort, error) {
	for _, a := range addrs {
		if err := deny.Addr(a); err != nil {
			return nil, netip.AddrPortFrom(a, port), err
		}
	}
	d := net.Dialer{KeepAlive: -1}
	var first error
	var firstAddr netip.AddrPort
	for i, a := range addrs {
		to := netip.AddrPortFrom(a, port)
		conn, err := d.DialTCP(until{ctx, share(deadline, len(addrs)-i)}, "tcp", netip.AddrPort{}, to)
		if err == nil {
			return conn, to, nil
		}
		if first == nil || isLocal(first) && !isLocal(err) {
			first, firstAddr = err, to
		}
		if ctx.Err() != nil || !time.Now().Before(deadline) {
			break
		}
	}
	return nil, firstAddr, first
}

// share returns when to give up on the next of n addresses, as net.Dialer does.
func share(deadline time.Time, n int) time.Time {
	if n <= 1 {
		return deadline
	}
	left := time.Until(deadline)
	part := max(left/time.Duration(n), min(left, 2*time.Second))
	return time.Now().Add(part)
}

// isLocal reports whether err says more about this host's addresses than about the other's.
func isLocal(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EAFNOSUPPORT)
}

// until is a context with an earlier deadline that its holder observes itself, so that it
// needs neither timer nor goroutine.
type until struct {
	context.Context
	at time.Time
}

func (u until) Deadline() (time.Time, bool) {
	if at, ok := u.Context.Deadline(); ok && at.Before(u.at) {
		return at, true
	}
	return u.at, true
}
