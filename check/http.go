package check

import (
	"errors"
	"net/netip"

	"github.com/vedettehq/vedette"
)

func httpKind() *kind {
	return &kind{
		scheme: "http", port: 80, path: true,
		knows: []string{
			"status", "proto", "url", "redirects", "body", "size", "truncated", "header", "headers", "json",
		},
		keys: []string{
			"status", "pattern", "not_pattern", "contains", "not_contains", "json", "header", "request",
		},
		probe: probeHTTP,
	}
}

func httpsKind() *kind {
	k := httpKind()
	k.scheme, k.port = "https", 443
	k.knows = append(k.knows, "cert", "tls")
	k.keys = append(k.keys, "tls", "cert_days")
	return k
}

// probeHTTP asks, and follows where it is sent.
func probeHTTP(r *run) error {
	q, err := r.firstAsk()
	if err != nil {
		return err
	}
	for {
		r.at = q
		if err := r.ask(q); err != nil {
			return err
		}
		next, err := r.follow(q)
		if err != nil || next == nil {
			r.facts.Status, r.facts.Proto, r.facts.Redirects = r.code, r.proto, len(r.hops)
			if r.plan.needs("url") {
				r.facts.URL = q.to.String()
			}
			return err
		}
		q = next
	}
}

// ask gets the answer to one request.
func (r *run) ask(q *ask) error {
	r.code, r.proto = 0, ""
	r.head, r.body, r.size, r.truncated = nil, r.body[:0], 0, false
	if r.takeKept(q) {
		err := r.exchange(q)
		if err == nil || r.wire.begun || !errors.Is(err, errStale) {
			return err
		}
		r.hangUp() // the server gave the connection up: that is no failure
	}
	if err := r.reach(q); err != nil {
		return err
	}
	return r.exchange(q)
}

// reach connects to where q goes, through the proxy if there is one, and over TLS if it says
// so.
func (r *run) reach(q *ask) error {
	var err error
	if q.proxy == nil {
		err = r.dial(q.to.host, q.to.port, q.deny)
	} else {
		err = r.dialProxy(q)
	}
	if err != nil || q.to.scheme != "https" {
		return err
	}
	switch r.plan.opts.Request.HTTP {
	case "1":
		return r.secure(q.to.host, "http/1.1")
	case "2":
		return r.secure(q.to.host, "h2")
	}
	return r.secure(q.to.host, "h2", "http/1.1")
}

func (r *run) dialProxy(q *ask) error {
	if err := r.forbidden(q); err != nil {
		return err
	}
	if err := r.dial(q.proxy.Host, q.proxy.Port, r.trusted); err != nil {
		return err
	}
	if q.proxy.Scheme == "https" {
		if err := r.secureProxy(q.proxy.Host); err != nil {
			return err
		}
		r.clock.enter(inConnect)
	}
	if q.viaProxy() {
		return nil
	}
	return q.proxy.Tunnel(r.conn, q.to.host, q.to.port)
}

// forbidden checks a target that the proxy would resolve, as far as can be told.
func (r *run) forbidden(q *ask) error {
	if err := q.deny.Host(q.to.host); err != nil {
		return err
	}
	if a, err := netip.ParseAddr(q.to.host); err == nil {
		return q.deny.Addr(a)
	}
	return nil
}

// exchange speaks HTTP over the present connection, in the version that it is for.
func (r *run) exchange(q *ask) error {
	negotiated := ""
	if r.facts.TLS != nil && q.to.scheme == "https" {
		negotiated = r.facts.TLS.ALPN
	}
	wants2 := r.plan.opts.Request.HTTP == "2"
	switch {
	case negotiated == "h2", wants2 && q.to.scheme == "http":
		return r.exchange2(q)
	case wants2:
		return r.failf(vedette.KindProtocol, "%s does not speak HTTP/2", r.who())
	}
	return r.exchange1(q)
}
