package redis

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

var _ vedette.Feed = feed{}

// A feed keeps a list for each topic, of entries that are their time and their data. The entry of Seq n is
// the one at n-1.
type feed struct{ s *Store }

func (f feed) Append(ctx context.Context, entries ...vedette.Entry) error {
	args := make([]any, 0, 2*len(entries))
	var topics []string
	for _, e := range entries {
		if e.Topic == "" || !json.Valid(e.Data) {
			return fmt.Errorf("append to topic %q: no topic, or data that is not JSON: %w", e.Topic, vedette.ErrRefused)
		}
		args = append(args, e.Topic, append(appendTime(nil, e.At), e.Data...))
		if !slices.Contains(topics, e.Topic) {
			topics = append(topics, e.Topic)
		}
	}
	if _, err := f.s.call(ctx, "append", args...); err != nil {
		return fmt.Errorf("append entries: %w", err)
	}
	for _, room := range roomsOf("feed", topics...) {
		f.s.wakes.ring(room, true)
	}
	return nil
}

func (f feed) Read(ctx context.Context, topic string, after int64, n int) ([]vedette.Entry, error) {
	page, err := f.read(ctx, topic, after, n)
	if err != nil || len(page) > 0 {
		return page, err
	}
	x := f.s.wakes.join(roomsOf("feed", topic)...)
	defer f.s.wakes.leave(x)
	for {
		page, err := f.read(ctx, topic, after, n)
		if err != nil || len(page) > 0 {
			return page, err
		}
		if err := f.s.wakes.wait(ctx, x, nap()); err != nil {
			return nil, fmt.Errorf("read topic %q: %w", topic, err)
		}
	}
}

func (f feed) read(ctx context.Context, topic string, after int64, n int) ([]vedette.Entry, error) {
	if err := ctx.Err(); err != nil || n <= 0 {
		return nil, err
	}
	after = max(after, 0)
	page, err := f.s.db.LRange(ctx, f.key(topic), after, after+int64(n)-1).Result()
	if err != nil {
		return nil, fmt.Errorf("read topic %q: %w", topic, err)
	}
	return entriesOf(topic, after, page)
}

func (f feed) key(topic string) string { return f.s.prefix + ":feed:" + topic }

// entriesOf reads entries behind the one of number after.
func entriesOf(topic string, after int64, page []string) ([]vedette.Entry, error) {
	entries := make([]vedette.Entry, 0, len(page))
	for i, text := range page {
		if len(text) < 8 {
			return nil, fmt.Errorf("stored entry of topic %q cannot be read", topic)
		}
		at := int64(binary.BigEndian.Uint64([]byte(text[:8]))) //nolint:gosec // as it was written
		entries = append(entries, vedette.Entry{Topic: topic, Seq: after + int64(i) + 1, At: pack.TimeOf(at), Data: []byte(text[8:])})
	}
	return entries, nil
}

func (f feed) Last(ctx context.Context, topic string, n int) ([]vedette.Entry, error) {
	if n <= 0 {
		return nil, nil
	}
	got, err := f.s.call(ctx, "last", topic, n)
	if err != nil {
		return nil, fmt.Errorf("last of topic %q: %w", topic, err)
	}
	a := answerOf(got)
	page := a.texts()
	last := a.int()
	if a.err != nil {
		return nil, fmt.Errorf("last of topic %q: %w", topic, a.err)
	}
	return entriesOf(topic, last-int64(len(page)), page)
}

func (f feed) Drop(ctx context.Context, topics ...string) error {
	if f.s.readOnly {
		return fmt.Errorf("drop topics: %w", vedette.ErrReadOnly)
	}
	if err := ctx.Err(); err != nil || len(topics) == 0 {
		return err
	}
	keys := make([]string, len(topics))
	for i, topic := range topics {
		keys[i] = f.key(topic)
	}
	if err := f.s.db.Unlink(ctx, keys...).Err(); err != nil {
		return fmt.Errorf("drop topics: %w", err)
	}
	return nil
}
