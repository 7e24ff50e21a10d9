package worker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/retry"
)

const (
	shipLines = 100 // lines are sent when so many wait,
	shipWait  = 100 * time.Millisecond
	shipMost  = 500     // so many at once,
	shipBytes = 1 << 20 // and so many bytes of them
	// Of all jobs and of one there wait at most so many bytes.
	shipCap    = 16 << 20
	shipJobCap = 1 << 20
	shipTry    = 5 * time.Second // for one answer of the store
)

// A shipper appends the lines of all jobs to the feed, many at once and in their order.
type shipper struct {
	feed vedette.Feed
	log  *slog.Logger
	more chan struct{} // tells the sender to look again

	mu      sync.Mutex
	lines   []shipment
	bytes   int
	since   time.Time // when the first of lines came
	added   int64     // lines, ever
	kept    int64     // or dropped, ever
	urgent  int64     // up to here somebody waits
	failing bool
	moved   chan struct{} // is closed when kept or failing changes
}

// A shipment is a line and whose it is.
type shipment struct {
	vedette.Entry
	log *jobLog
}

func newShipper(feed vedette.Feed, log *slog.Logger) *shipper {
	return &shipper{feed: feed, log: log, more: make(chan struct{}, 1), moved: make(chan struct{})}
}

// add takes a line and returns its number, if there is room: while the store keeps up it waits a
// moment for that. There is always room for what must be said.
func (s *shipper) add(l *jobLog, e vedette.Entry, always bool) (at int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !always && !s.room(l, len(e.Data)) {
		return 0, false
	}
	if len(s.lines) == 0 {
		s.since = time.Now()
	}
	s.lines = append(s.lines, shipment{e, l})
	s.bytes += len(e.Data)
	l.pending += len(e.Data)
	s.added++
	if n := len(s.lines); n == 1 || n == shipLines {
		s.wake()
	}
	return s.added, true
}

// room waits for room. The lock is held, but not while it waits.
func (s *shipper) room(l *jobLog, size int) bool {
	var timer *time.Timer
	for s.bytes+size > shipCap || l.pending+size > shipJobCap {
		if s.failing {
			return false
		}
		if timer == nil {
			timer = time.NewTimer(patience)
			defer timer.Stop()
		}
		moved := s.moved
		s.mu.Unlock()
		select {
		case <-moved:
		case <-timer.C:
			s.mu.Lock()
			return false
		}
		s.mu.Lock()
	}
	return true
}

func (s *shipper) wake() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// wait waits until line number at is kept, or ctx ends.
func (s *shipper) wait(ctx context.Context, at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.urgent = max(s.urgent, at)
	s.wake()
	for s.kept < at && ctx.Err() == nil {
		moved := s.moved
		s.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
		}
		s.mu.Lock()
	}
}

// flush waits until all lines are kept, or ctx ends.
func (s *shipper) flush(ctx context.Context) {
	s.mu.Lock()
	all := s.added
	s.mu.Unlock()
	s.wait(ctx, all)
}

// run appends until ctx ends.
func (s *shipper) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		lines, wait := s.take()
		if len(lines) > 0 {
			s.send(ctx, lines)
			s.done(lines)
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-s.more:
		case <-timer.C:
		}
	}
}

// take returns what is to be sent now, or how long to wait for more.
func (s *shipper) take() ([]shipment, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lines) == 0 {
		return nil, time.Hour
	}
	if wait := shipWait - time.Since(s.since); wait > 0 && len(s.lines) < shipLines && s.urgent <= s.kept {
		return nil, wait
	}
	n, bytes := 0, 0
	for n < min(len(s.lines), shipMost) && (n == 0 || bytes+len(s.lines[n].Data) <= shipBytes) {
		bytes += len(s.lines[n].Data)
		n++
	}
	lines := slices.Clone(s.lines[:n])
	s.lines = slices.Delete(s.lines, 0, n)
	s.since = time.Now()
	return lines, 0
}

// done makes room where lines were.
func (s *shipper) done(lines []shipment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range lines {
		s.bytes -= len(l.Data)
		l.log.pending -= len(l.Data)
	}
	s.kept += int64(len(lines))
	s.move()
}

func (s *shipper) move() {
	close(s.moved)
	s.moved = make(chan struct{})
}

// send appends lines, again and again until ctx ends.
func (s *shipper) send(ctx context.Context, lines []shipment) {
	back := retry.Backoff{Min: 100 * time.Millisecond, Max: 2 * time.Second}
	for {
		err := s.append(ctx, lines)
		if err == nil || errors.Is(err, vedette.ErrRefused) {
			s.fails(nil)
		}
		switch {
		case err == nil:
			return
		case errors.Is(err, vedette.ErrRefused):
			s.refused(ctx, lines, err)
			return
		case ctx.Err() != nil:
			s.log.Error("log lines are lost, the worker stops", "lines", len(lines), "err", err)
			return
		}
		s.fails(err)
		_ = back.Wait(ctx)
	}
}

func (s *shipper) append(ctx context.Context, lines []shipment) error {
	entries := make([]vedette.Entry, len(lines))
	for i, l := range lines {
		entries[i] = l.Entry
	}
	ctx, cancel := context.WithTimeout(ctx, shipTry)
	defer cancel()
	return s.feed.Append(ctx, entries...)
}

// fails notes whether the store takes lines, so that nobody waits for it in vain.
func (s *shipper) fails(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing == (err != nil) {
		return
	}
	s.failing = err != nil
	if s.failing {
		s.log.Error("cannot keep the log of jobs, trying again", "err", err)
	}
	s.move()
}

// refused halves lines until it has found the one that the store does not take.
func (s *shipper) refused(ctx context.Context, lines []shipment, err error) {
	n := len(lines)
	if n == 1 {
		s.log.Error("log line refused and dropped", "topic", lines[0].Topic, "err", err)
		return
	}
	s.send(ctx, lines[:n/2])
	s.send(ctx, lines[n/2:])
}
