package check

import (
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"time"
)

// A kept connection waits for the next look, with request.reuse.
type kept struct {
	conn net.Conn
	h2   *http.ClientConn
	addr netip.AddrPort
	cert *certFacts
	tls  *tlsFacts
	ends time.Time
	peer *x509.Certificate
	// gone closes the connection when the probe is dropped.
	gone runtime.Cleanup
}

func (k *kept) close() {
	if k.h2 != nil {
		_ = k.h2.Close()
	}
	_ = k.conn.Close()
}

// errStale is how an exchange over a kept connection fails when the server has given it up.
var errStale = errors.New("the kept connection is gone")

// reuses reports whether connections are kept between looks. Only the first request has one.
func (r *run) reuses() bool { return r.plan.opts.Request.Reuse && len(r.hops) == 0 }

// takeKept makes the connection of the last look the present one, for requests that may be
// repeated if the server has given it up.
func (r *run) takeKept(q *ask) bool {
	k := r.probe.kept
	safe := q.method == http.MethodGet || q.method == http.MethodHead
	r.reused = k != nil && safe && len(r.hops) == 0
	if !r.reused {
		return false
	}
	k.gone.Stop()
	r.probe.kept = nil
	r.addr, r.h2conn = k.addr, k.h2
	r.facts.TLS, r.certEnds, r.peer = k.tls, k.ends, k.peer
	if k.cert != nil {
		fresh := *k.cert
		fresh.Days = time.Until(k.ends).Hours() / 24
		fresh.LeafDays = time.Until(k.peer.NotAfter).Hours() / 24
		r.facts.Cert = &fresh
	}
	r.hold(k.conn)
	return true
}

// keep leaves the present connection for the next look.
func (r *run) keep() {
	k := &kept{
		h2: r.h2conn, addr: r.addr,
		cert: r.facts.Cert, tls: r.facts.TLS, ends: r.certEnds, peer: r.peer,
	}
	var whole bool
	if k.conn, whole = r.release(); !whole {
		k.close()
		return
	}
	k.gone = runtime.AddCleanup(r.probe, (*kept).close, k)
	r.probe.kept = k
}
