//go:build linux

package main

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// A subject is what is measured: how to start it, and what to read of it while it runs and when
// it has ended, both of which may be nil.
type subject struct {
	start   func(context.Context) (*process, error)
	running func(context.Context, *measured) error
	ended   func(context.Context, *measured, map[beat]arrival) error
}

// measured is what one pass found.
type measured struct {
	rate    float64       // checks a second
	cpu     time.Duration // a check
	lag     []time.Duration
	missed  int // beats without an arrival
	counted int // checks missed that the subject counted itself, -1 if it does not
	cold    time.Duration
	memory  memory
	cache   int64   // page cache of the store, -1 if unknown or none
	perRow  float64 // bytes on disk per result with indexes, 0 if unknown or none
	errors  map[time.Duration][]time.Duration
}

// A beat is one due time of one monitor.
type beat struct {
	monitor int
	due     int64 // microseconds since 1970
}

// measure starts the subject, waits until every monitor was looked at once, measures for the
// window, and stops it.
func (b *bench) measure(ctx context.Context, t *runningTarget, s subject) (m measured, err error) {
	if err := t.ask(ctx, "/reset", nil); err != nil {
		return m, err
	}
	p, err := s.start(ctx)
	if err != nil {
		return m, err
	}
	m = measured{counted: -1, cache: -1}
	log, w, err := b.watch(ctx, t, p, s, &m)
	if stopped := p.stop(); err != nil || stopped != nil {
		return m, errors.Join(err, stopped)
	}
	m.cpu = w.cpu / time.Duration(max(m.checks(log, w), 1))
	arrived := m.judge(t.spec, log, w)
	if s.ended == nil {
		return m, nil
	}
	return m, s.ended(ctx, &m, arrived)
}

// A window is the span that was measured, and the CPU time that the subject spent in it.
type window struct {
	from, to time.Time
	cpu      time.Duration
}

// watch measures a subject that was just started, and returns the target's log.
func (b *bench) watch(ctx context.Context, t *runningTarget, p *process, s subject, m *measured) (log []arrival, w window, err error) {
	if m.cold, err = t.awaitAll(ctx, p.began); err != nil {
		return nil, w, err
	}
	settle := time.Second
	if t.spec.Row.Silent > 0 {
		settle = 5 * time.Second // until what is silent is known to be down
	}
	if err := sleep(ctx, settle); err != nil {
		return nil, w, err
	}
	before, err := p.cpu()
	if err != nil {
		return nil, w, err
	}
	w.from = time.Now()
	if err := sleep(ctx, b.window); err != nil {
		return nil, w, err
	}
	after, err := p.cpu()
	if err != nil {
		return nil, w, err
	}
	w.to, w.cpu = time.Now(), after-before
	if m.memory, err = p.memory(); err != nil {
		return nil, w, err
	}
	if s.running != nil {
		if err := s.running(ctx, m); err != nil {
			return nil, w, err
		}
	}
	if err := sleep(ctx, 2*time.Second); err != nil { // for what is late
		return nil, w, err
	}
	log, err = t.log(ctx)
	return log, w, err
}

// checks counts the arrivals in a span, and sets the rate.
func (m *measured) checks(log []arrival, w window) int {
	n := 0
	for _, a := range log {
		if a.At >= w.from.UnixMicro() && a.At < w.to.UnixMicro() {
			n++
		}
	}
	m.rate = float64(n) / w.to.Sub(w.from).Seconds()
	return n
}

// judge compares the target's log with the beats that are due in a span, and returns the
// arrivals by beat.
func (m *measured) judge(s spec, log []arrival, w window) map[beat]arrival {
	arrived := make(map[beat]arrival, len(log))
	from, to := w.from.UnixMicro(), w.to.UnixMicro()
	for _, a := range log {
		at := beat{a.Monitor, s.due(a.Monitor, a.At)}
		if at.due < from || at.due >= to {
			continue
		}
		if _, again := arrived[at]; !again {
			arrived[at] = a
			m.lag = append(m.lag, time.Duration(a.At-at.due)*time.Microsecond)
		}
	}
	slices.Sort(m.lag)
	for i := range s.Row.Monitors {
		interval := s.Row.Interval.Microseconds()
		for due := s.due(i, from) + interval; due < to; due += interval {
			if _, ok := arrived[beat{i, due}]; !ok {
				m.missed++
			}
		}
	}
	return arrived
}

// due is the last beat of monitor i at or before a time, in microseconds since 1970. Clocks of
// processes differ a little: what comes 1 ms early belongs to the beat that follows.
func (s spec) due(i int, at int64) int64 {
	phase, interval := s.phase(i).Microseconds(), s.Row.Interval.Microseconds()
	return at - (at+1000-phase)%interval + 1000
}

// awaitAll waits until every monitor was looked at, and returns how long that took.
func (t *runningTarget) awaitAll(ctx context.Context, began time.Time) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*t.spec.Row.Interval+30*time.Second)
	defer cancel()
	n := 0
	for {
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			return 0, fmt.Errorf("%d of %d monitors were looked at: %w", n, t.spec.Row.Monitors, err)
		}
		if err := t.ask(ctx, "/count", func(r io.Reader) error {
			text, err := io.ReadAll(r)
			n, _ = strconv.Atoi(string(text))
			return err
		}); err != nil {
			return 0, err
		}
		if n < t.spec.Row.Monitors {
			continue
		}
		log, err := t.log(ctx)
		if err != nil {
			return 0, err
		}
		last, all := firstLooks(log, t.spec.Row.Monitors)
		if n = all; all == t.spec.Row.Monitors {
			return time.UnixMicro(last).Sub(began), nil
		}
	}
}

// firstLooks returns when the last monitor was looked at for the first time, and how many were.
func firstLooks(log []arrival, monitors int) (last int64, n int) {
	seen := make([]bool, monitors)
	for _, a := range log {
		if a.Monitor < monitors && !seen[a.Monitor] {
			seen[a.Monitor] = true
			last, n = max(last, a.At), n+1
		}
	}
	return last, n
}

func (t *runningTarget) log(ctx context.Context) (log []arrival, err error) {
	err = t.ask(ctx, "/log", func(r io.Reader) error { return gob.NewDecoder(r).Decode(&log) })
	return log, err
}

// ask asks the target and hands its answer to read, which may be nil.
func (t *runningTarget) ask(ctx context.Context, path string, read func(io.Reader) error) error {
	return ask(ctx, "http://"+t.spec.Control+path, read)
}

func ask(ctx context.Context, url string, read func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask %s: %s", url, resp.Status)
	}
	if read == nil {
		return nil
	}
	if err := read(resp.Body); err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
