package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
)

const (
	maxLines    = 100_000  // of one attempt that are kept,
	maxLogBytes = 10 << 20 // and bytes of them
	maxLine     = 64 << 10 // bytes of one line; a longer one is kept without its attributes
	// patience is how long a line waits for room while the store keeps up, and logFlush how
	// long the end of a run waits for its lines.
	patience = time.Second
	logFlush = 2 * time.Second
)

// A jobLog makes entries of what one run logs: {"level", "msg", "attempt"} and the attributes. It
// keeps lines at least once: a store that did not answer may get some twice. What finds no room
// while the store is away is counted, and said when there is room again.
type jobLog struct {
	ship *shipper
	run  *run
	json slog.Handler // made when first used: most runs of most handlers say nothing

	mu     sync.Mutex
	lines  int
	bytes  int
	lost   int // since the last one that was taken
	last   int64
	closed bool // the run ended, or has said too much

	pending int // bytes that wait in the shipper; its lock guards them
}

// root returns the handler of lines without further attributes.
func (l *jobLog) root() slog.Handler {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.json == nil {
		l.json = slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}).
			WithAttrs([]slog.Attr{slog.Int("attempt", l.run.job.Attempt)})
	}
	return l.json
}

// Write takes a line from the handler that made it.
func (l *jobLog) Write(line []byte) (int, error) {
	l.put(shorten(bytes.TrimSuffix(line, []byte("\n"))))
	return len(line), nil
}

// shorten returns line, or what matters most of one that is too long.
func shorten(line []byte) []byte {
	if len(line) <= maxLine {
		return slices.Clone(line)
	}
	var head struct {
		Level   string `json:"level"`
		Msg     string `json:"msg"`
		Attempt int    `json:"attempt"`
		Cut     int    `json:"cut_bytes"`
	}
	_ = json.Unmarshal(line, &head) // what was made a moment ago is JSON
	head.Msg, head.Cut = text(head.Msg, maxLine/8), len(line)
	short, _ := json.Marshal(head)
	return short
}

// put hands a line to the shipper, or counts it as lost.
func (l *jobLog) put(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if l.lines >= maxLines || l.bytes+len(line) > maxLogBytes {
		l.closed = true
		l.add(l.note(fmt.Sprintf("log cut: %d lines and %d MiB are kept", maxLines, maxLogBytes>>20), "lines", l.lines), true)
		return
	}
	if l.lost > 0 && l.add(l.loss(), false) {
		l.lost = 0
	}
	if l.lost > 0 || !l.add(line, false) {
		l.lost++
		return
	}
	l.lines++
	l.bytes += len(line)
}

func (l *jobLog) loss() []byte {
	return l.note("lines are lost, the store could not keep them", "lost_lines", l.lost)
}

func (l *jobLog) note(msg, key string, n int) []byte {
	b := append([]byte(`{"level":"WARN","msg":`), strconv.Quote(msg)...)
	b = strconv.AppendInt(append(b, `,"attempt":`...), int64(l.run.job.Attempt), 10)
	b = append(strconv.AppendQuote(append(b, ','), key), ':')
	return append(strconv.AppendInt(b, int64(n), 10), '}')
}

func (l *jobLog) add(line []byte, always bool) bool {
	e := vedette.Entry{Topic: vedette.LogTopic(l.run.job.ID), At: l.run.now(), Data: line}
	at, ok := l.ship.add(l, e, always)
	if ok {
		l.last = at
	}
	return ok
}

// close takes no more lines, and waits a while until those taken are kept.
func (l *jobLog) close() {
	l.mu.Lock()
	if l.lost > 0 {
		l.add(l.loss(), true)
		l.lost = 0
	}
	l.closed = true
	last := l.last
	l.mu.Unlock()
	if last > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), logFlush)
		defer cancel()
		l.ship.wait(ctx, last)
	}
}

// Enabled, Handle, WithAttrs and WithGroup make a jobLog the handler of lines without further
// attributes and groups.
func (l *jobLog) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelDebug
}

func (l *jobLog) Handle(ctx context.Context, r slog.Record) error {
	return logHandler{l.root()}.Handle(ctx, r)
}

func (l *jobLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{l.root()}.WithAttrs(attrs)
}

func (l *jobLog) WithGroup(name string) slog.Handler { return logHandler{l.root()}.WithGroup(name) }

// A logHandler is the handler of lines of a job's log.
type logHandler struct{ json slog.Handler }

func (h logHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelDebug
}

func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	r.Time = time.Time{} // the entry has it, by the store's clock
	return h.json.Handle(ctx, r)
}

func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.json.WithAttrs(attrs)}
}

func (h logHandler) WithGroup(name string) slog.Handler { return logHandler{h.json.WithGroup(name)} }
