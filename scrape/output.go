package scrape

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/vedettehq/vedette"
)

const (
	maxLine   = 16 << 10 // bytes of a line of log that are kept
	maxItem   = 1 << 20  // bytes of an item
	maxResult = 4 << 10  // bytes of a result
	// Items are emitted when so many, or so many bytes of them, or all that came were read.
	batchItems = 500
	batchBytes = 1 << 20
)

// An output takes what a program writes, line by line.
type output interface {
	// most is how many bytes of a line it wants.
	most() int
	// line takes a line, which is not kept; cut says that there was more of it.
	line(ctx context.Context, line []byte, cut bool) error
	// pause is told that no more lines are there yet, or ever.
	pause(ctx context.Context) error
	// result is what all lines come to.
	result() (result string, state vedette.Raw)
}

// scan hands the lines of r to o, until o fails or r ends.
func scan(ctx context.Context, r io.Reader, o output) error {
	buf := bufio.NewReaderSize(r, 64<<10)
	for {
		line, cut, err := readLine(buf, o.most())
		if len(line) > 0 {
			if err := o.line(ctx, line, cut); err != nil {
				return err
			}
		}
		if err == nil && buf.Buffered() > 0 {
			continue
		}
		if err := o.pause(ctx); err != nil {
			return err
		}
		if err != nil {
			return nil //nolint:nilerr // that the pipe ended says nothing; how the program ended does
		}
	}
}

// readLine returns the next line without its end, and at most n bytes of it.
func readLine(r *bufio.Reader, n int) (line []byte, cut bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		room := n + 2 - len(line) // and the end of the line
		line = append(line, part[:min(len(part), room)]...)
		cut = cut || len(part) > room
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) > n {
			line, cut = line[:n], true
		}
		return line, cut, err
	}
}

// say puts a line into the log of a job.
func say(ctx context.Context, t *vedette.Task, line []byte, cut bool) {
	level, msg, attrs := slog.LevelInfo, "", []slog.Attr(nil)
	if line[0] == '{' && !cut {
		level, msg, attrs = record(line)
	}
	if msg == "" {
		msg = strings.ToValidUTF8(string(line), "\uFFFD")
	}
	if cut {
		attrs = append(attrs, slog.Bool("cut", true))
	}
	t.Log.LogAttrs(ctx, level, msg, attrs...)
}

// record reads a line of log that is JSON. The msg is "" if it is none.
func record(line []byte) (level slog.Level, msg string, attrs []slog.Attr) {
	var keys map[string]json.RawMessage
	if json.Unmarshal(line, &keys) != nil {
		return 0, "", nil
	}
	for _, key := range []string{"msg", "message"} {
		if msg == "" && json.Unmarshal(keys[key], &msg) == nil {
			delete(keys, key)
		}
	}
	if msg == "" {
		return 0, "", nil
	}
	var name string
	if json.Unmarshal(keys["level"], &name) == nil {
		delete(keys, "level")
		level = levelOf(name)
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		attrs = append(attrs, slog.Any(key, keys[key]))
	}
	return level, msg, attrs
}

func levelOf(name string) slog.Level {
	switch strings.ToLower(name) {
	case "trace", "debug":
		return slog.LevelDebug
	case "warn", "warning":
		return slog.LevelWarn
	case "error", "err", "fatal", "critical", "panic":
		return slog.LevelError
	}
	return slog.LevelInfo
}

// A tail logs what a program writes, and remembers the end of it.
type tail struct {
	task  *vedette.Task
	lines []string
}

func (t *tail) most() int { return maxLine }

func (t *tail) line(ctx context.Context, line []byte, cut bool) error {
	say(ctx, t.task, line, cut)
	if len(t.lines) == 5 {
		t.lines = t.lines[1:]
	}
	t.lines = append(t.lines, strings.ToValidUTF8(string(line[:min(len(line), 1<<10)]), "\uFFFD"))
	return nil
}

func (t *tail) pause(context.Context) error { return nil }

func (t *tail) result() (string, vedette.Raw) { return "", nil }

// last returns the last lines, to be put behind something else.
func (t *tail) last() string {
	if len(t.lines) == 0 {
		return ""
	}
	return ": " + strings.Join(t.lines, "\n")
}

// A chatter is a standard output without items: the last line is the result, the others are log.
type chatter struct {
	task *vedette.Task
	held []byte
	cut  bool
}

func (c *chatter) most() int { return maxLine }

func (c *chatter) line(ctx context.Context, line []byte, cut bool) error {
	if len(bytes.TrimSpace(line)) == 0 {
		return nil
	}
	if c.held != nil {
		say(ctx, c.task, c.held, c.cut)
	}
	c.held, c.cut = append(c.held[:0], line...), cut
	return nil
}

func (c *chatter) pause(context.Context) error { return nil }

func (c *chatter) result() (string, vedette.Raw) { return clip(string(c.held), maxResult), nil }

// clip returns at most the first n bytes of s.
func clip(s string, n int) string {
	if len(s) <= n {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// A harvest is a standard output with items.
type harvest struct {
	task  *vedette.Task
	at    int // the line
	n     int // items
	batch []vedette.Raw
	bytes int
	state vedette.Raw
	said  string
}

func (h *harvest) most() int { return maxItem }

func (h *harvest) line(ctx context.Context, line []byte, cut bool) error {
	h.at++
	line = bytes.TrimSpace(line)
	switch {
	case cut:
		return fmt.Errorf("line %d of the standard output is longer than %d bytes: %s", h.at, maxItem, clip(string(line), 100))
	case len(line) == 0:
		return nil
	case !json.Valid(line):
		return fmt.Errorf("line %d of the standard output is not JSON: %s", h.at, clip(string(line), 200))
	}
	if done, err := h.directive(line); done || err != nil {
		return err
	}
	h.batch = append(h.batch, bytes.Clone(line))
	h.bytes += len(line)
	if len(h.batch) < batchItems && h.bytes < batchBytes {
		return nil
	}
	return h.pause(ctx)
}

// directive does what an object says whose only key begins with a dollar sign.
func (h *harvest) directive(line []byte) (bool, error) {
	if line[0] != '{' || !bytes.Contains(line[:min(len(line), 64)], []byte(`"$`)) {
		return false, nil
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(line, &keys); err != nil || len(keys) != 1 {
		return false, err
	}
	for key, value := range keys {
		switch {
		case !strings.HasPrefix(key, "$"):
			return false, nil
		case key == "$state" && len(value) > maxState:
			return true, fmt.Errorf("line %d of the standard output: a state of %d bytes, at most %d are kept", h.at, len(value), maxState)
		case key == "$state":
			h.state = value
		case key == "$result" && json.Unmarshal(value, &h.said) == nil:
		default:
			return true, fmt.Errorf(`line %d of the standard output: want {"$state": …} or {"$result": "…"}: %s`, h.at, clip(string(line), 200))
		}
	}
	return true, nil
}

// pause emits what has been gathered. While that is under way the program fills the pipe, and then
// waits.
func (h *harvest) pause(ctx context.Context) error {
	if len(h.batch) == 0 {
		return nil
	}
	if err := h.task.Emit(ctx, h.batch...); err != nil {
		return fmt.Errorf("keep items: %w", err)
	}
	h.n += len(h.batch)
	h.batch, h.bytes = nil, 0
	return nil
}

func (h *harvest) result() (string, vedette.Raw) {
	if h.said != "" {
		return clip(h.said, maxResult), h.state
	}
	if h.n == 1 {
		return "1 item", h.state
	}
	return fmt.Sprintf("%d items", h.n), h.state
}
