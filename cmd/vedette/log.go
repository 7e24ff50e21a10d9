package main

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"

	"github.com/vedettehq/vedette/manifest"
)

// logs is a slog.Handler whose form is known only when the configuration has been read: text at
// level info until then.
type logs struct {
	w  io.Writer
	to atomic.Pointer[slog.Handler]
}

func newLogs(w io.Writer) *logs {
	l := &logs{w: w}
	l.use(manifest.Log{Format: "text", Level: "info"})
	return l
}

// use makes lines look as the file says.
func (l *logs) use(c manifest.Log) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // the file was checked
	}
	opt := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewTextHandler(l.w, opt)
	if c.Format == "json" {
		h = slog.NewJSONHandler(l.w, opt)
	}
	l.to.Store(&h)
}

func (l *logs) Enabled(ctx context.Context, level slog.Level) bool {
	return (*l.to.Load()).Enabled(ctx, level)
}

func (l *logs) Handle(ctx context.Context, r slog.Record) error {
	return (*l.to.Load()).Handle(ctx, r)
}

func (l *logs) WithAttrs(attrs []slog.Attr) slog.Handler { return (*l.to.Load()).WithAttrs(attrs) }
func (l *logs) WithGroup(name string) slog.Handler       { return (*l.to.Load()).WithGroup(name) }
