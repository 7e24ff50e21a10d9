package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"
)

// connKey is the key under which a context carries the connection for HTTP/2.
type connKey struct{}

// newH2 returns a transport that speaks HTTP/2 over connections that are handed to it.
func newH2() *http.Transport {
	var p http.Protocols
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	handOver := func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, ok := ctx.Value(connKey{}).(net.Conn)
		if !ok {
			return nil, errors.New("no connection to speak HTTP/2 over")
		}
		return conn, nil
	}
	return &http.Transport{
		Protocols: &p, DialContext: handOver, DialTLSContext: handOver,
		DisableCompression: true, MaxResponseHeaderBytes: maxHead,
	}
}

// marks are the instants of an HTTP/2 exchange, told by other goroutines.
type marks struct {
	mu           sync.Mutex
	wrote, first time.Time
}

func (m *marks) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.wrote = time.Now()
		},
		GotFirstResponseByte: func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.first = time.Now()
		},
	}
}

// book books the time of the exchange to its phases.
func (m *marks) book(r *run) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// A quick server answers before we are told that we have asked.
	if !m.first.IsZero() && m.first.Before(m.wrote) {
		m.wrote = m.first
	}
	if !m.wrote.IsZero() {
		r.clock.enterAt(inTTFB, m.wrote)
	}
	if !m.first.IsZero() {
		r.clock.enterAt(inTransfer, m.first)
		r.facts.FirstByte = r.clock.last.Sub(r.clock.begun)
	}
}

// exchange2 speaks HTTP/2 over the present connection.
func (r *run) exchange2(q *ask) error {
	r.clock.enter(inRequest)
	r.wire.begun = false
	ctx, cancel := context.WithDeadline(r.ctx, r.deadline)
	defer cancel()
	if r.h2conn == nil {
		cc, err := r.h2.NewClientConn(context.WithValue(ctx, connKey{}, r.conn), q.to.scheme, q.to.dialled())
		if err != nil {
			return err
		}
		r.h2conn = cc
	}
	var m marks
	resp, err := r.h2conn.RoundTrip(q.request(httptrace.WithClientTrace(ctx, m.trace()), r.agent))
	m.book(r)
	if err != nil {
		if r.reused && !r.late(err) && !r.cancelled() && ctx.Err() == nil {
			return errStale
		}
		return fmt.Errorf("%s: %w", r.who(), err)
	}
	if r.clock.now < inTransfer {
		r.firstByte()
	}
	r.code, r.proto, r.head = resp.StatusCode, resp.Proto, resp.Header
	if err := r.readBody(resp.Body, resp.ContentLength); err != nil {
		return err
	}
	_ = resp.Body.Close()
	if r.reuses() && !r.truncated && r.h2conn.Err() == nil {
		r.keep()
	}
	return nil
}

// request returns q for the standard library.
func (q *ask) request(ctx context.Context, agent string) *http.Request {
	path, query, _ := strings.Cut(q.to.uri, "?")
	decoded, err := url.PathUnescape(path)
	if err != nil {
		decoded = path
	}
	req := (&http.Request{
		Method: q.method, Host: q.host, Header: http.Header{},
		URL: &url.URL{Scheme: q.to.scheme, Host: q.to.hostport, Path: decoded, RawPath: path, RawQuery: query},
	}).WithContext(ctx)
	req.Header.Set("User-Agent", agent)
	req.Header.Set("Accept-Encoding", "gzip")
	for _, f := range q.header {
		req.Header.Set(f.name, f.value)
	}
	if q.body != "" {
		req.Body, req.ContentLength = readCloser{bytes.NewReader([]byte(q.body))}, int64(len(q.body))
	}
	return req
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }
