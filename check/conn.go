package check

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vedettehq/vedette/egress"
)

// dial resolves host and connects to it, in the phases dns and connect.
func (r *run) dial(host string, port uint16, deny *egress.Forbidden) error {
	r.clock.enter(inDNS)
	r.host, r.addr = host, netip.AddrPort{}
	if err := deny.Host(host); err != nil {
		return err
	}
	addrs, err := r.resolve(host)
	if err != nil {
		return err
	}
	r.clock.enter(inConnect)
	conn, addr, err := egress.Dial(r.ctx, addrs, port, r.deadline, deny)
	r.addr = addr
	if err != nil {
		return err
	}
	r.hold(conn)
	return nil
}

// resolve returns the addresses of host. An address costs nothing.
func (r *run) resolve(host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil && r.probe.family.Matches(a) {
		r.one[0] = a.Unmap()
		return r.one[:], nil
	}
	ctx, cancel := context.WithDeadline(r.ctx, r.deadline)
	defer cancel()
	return egress.Resolve(ctx, r.resolver(r.plan.opts.Resolver), host, r.probe.family)
}

// resolver returns the resolver that asks the server with this text.
func (c *Checker) resolver(text string) *net.Resolver {
	addr := ""
	if text != "" {
		addr, _ = serverAddr(text) // compiled before
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	got := c.asked[addr]
	if got == nil {
		got = egress.NewResolver(addr)
		c.asked[addr] = got
	}
	return got
}

// hold makes conn the connection that the deadline and the end of ctx interrupt.
func (r *run) hold(conn net.Conn) {
	r.conn = conn
	_ = conn.SetDeadline(r.deadline)
	if r.ctx.Done() != nil {
		r.stop = context.AfterFunc(r.ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	}
}

// release ends the hold without closing the connection, and reports whether nothing
// interrupted it.
func (r *run) release() (net.Conn, bool) {
	conn, whole := r.conn, true
	if r.stop != nil {
		whole = r.stop()
	}
	r.conn, r.stop, r.h2conn = nil, nil, nil
	return conn, whole
}

// hangUp closes the connection, if there is one.
func (r *run) hangUp() {
	if r.h2conn != nil {
		_ = r.h2conn.Close()
	}
	if conn, _ := r.release(); conn != nil {
		_ = conn.Close()
	}
}

// secret returns the value of s and hides it from all that is shown later.
func (r *run) secret(s Secret) (string, error) {
	value, err := r.secrets.value(s)
	if err == nil && len(value) >= 3 && !slices.Contains(r.hidden, value) {
		r.hidden = append(r.hidden, value)
	}
	return value, err
}
