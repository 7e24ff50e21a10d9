//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"regexp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/vedettehq/vedette/when"
)

// A floor is the least that a watcher in Go does: net/http and httptrace with all phases, a new
// connection a check, open loop, no store.
type floor struct {
	spec    spec
	client  *http.Client
	pattern *regexp.Regexp
	good    atomic.Int64
	spent   atomic.Int64 // of all phases, so that none of them goes unused
}

// runFloor looks at the target until its standard input ends.
func runFloor(ctx context.Context, s spec) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer stop()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: s.dialer().DialContext}
	if s.Row.TLS {
		var err error
		if transport.TLSClientConfig, err = clientTLS(s.caFile()); err != nil {
			return err
		}
	}
	f := &floor{spec: s, client: &http.Client{Transport: transport}, pattern: regexp.MustCompile(`item 69[0-9] of`)}
	f.loop(ctx)
	return nil
}

// dialer resolves through the target's DNS server if the row has names.
func (s spec) dialer() *net.Dialer {
	d := &net.Dialer{}
	if s.Row.Names > 0 {
		d.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "udp", s.Resolver)
		}}
	}
	return d
}

// loop begins each look when it is due, whether or not others have ended.
func (f *floor) loop(ctx context.Context) {
	type beat struct {
		at  time.Time
		url string
	}
	interval := f.spec.Row.Interval
	beats := make([]beat, f.spec.Row.Monitors)
	now := time.Now()
	for i := range beats {
		beats[i] = beat{when.Next(now, interval, f.spec.phase(i)), f.spec.url(i)}
	}
	slices.SortFunc(beats, func(a, b beat) int { return a.at.Compare(b.at) })
	for i := 0; ctx.Err() == nil; i = (i + 1) % len(beats) {
		time.Sleep(time.Until(beats[i].at))
		beats[i].at = beats[i].at.Add(interval)
		go f.look(ctx, beats[i].url)
	}
}

func (f *floor) look(ctx context.Context, url string) {
	ctx, cancel := context.WithTimeout(ctx, f.spec.Row.Timeout)
	defer cancel()
	var m marks
	ctx = httptrace.WithClientTrace(ctx, m.trace())
	m.began = time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	m.ended = time.Now()
	if err == nil && resp.StatusCode == http.StatusOK && f.wanted(body) {
		f.good.Add(1)
	}
	f.spent.Add(int64(m.total()))
}

// wanted does to the body what Vedette is asked to do.
func (f *floor) wanted(body []byte) bool {
	if !f.spec.Row.Gzip {
		return true
	}
	var v map[string]any
	return f.pattern.Match(body) && json.Unmarshal(body, &v) == nil && v["status"] == "ok"
}

// marks are the times at which phases of a look began and ended.
type marks struct {
	began, dnsBegan, dnsEnded, connectBegan, connectEnded time.Time
	tlsBegan, tlsEnded, gotConn, wrote, firstByte, ended  time.Time
}

func (m *marks) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSStart:             func(httptrace.DNSStartInfo) { m.dnsBegan = time.Now() },
		DNSDone:              func(httptrace.DNSDoneInfo) { m.dnsEnded = time.Now() },
		ConnectStart:         func(_, _ string) { m.connectBegan = time.Now() },
		ConnectDone:          func(_, _ string, _ error) { m.connectEnded = time.Now() },
		TLSHandshakeStart:    func() { m.tlsBegan = time.Now() },
		TLSHandshakeDone:     func(tls.ConnectionState, error) { m.tlsEnded = time.Now() },
		GotConn:              func(httptrace.GotConnInfo) { m.gotConn = time.Now() },
		WroteRequest:         func(httptrace.WroteRequestInfo) { m.wrote = time.Now() },
		GotFirstResponseByte: func() { m.firstByte = time.Now() },
	}
}

func (m *marks) total() time.Duration {
	return m.dnsEnded.Sub(m.dnsBegan) + m.connectEnded.Sub(m.connectBegan) + m.tlsEnded.Sub(m.tlsBegan) +
		m.wrote.Sub(m.gotConn) + m.firstByte.Sub(m.wrote) + m.ended.Sub(m.firstByte)
}

// floorSubject is the floor as something to measure.
func floorSubject(dir string, s spec) subject {
	return subject{start: func(ctx context.Context) (*process, error) {
		path, err := s.write("floor.json")
		if err != nil {
			return nil, err
		}
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find myself: %w", err)
		}
		return startProcess(ctx, dir, "floor", self, "floor", path)
	}}
}
