package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

var _ vedette.Feed = feed{}

// feed is the topics.
type feed struct{ s *Store }

// Feed returns the feed.
func (s *Store) Feed() vedette.Feed { return feed{s} }

// Tails wake those who follow topics.
type tails struct {
	mu   sync.Mutex
	more map[string]*follow
}

// A follow is those who wait for more of one topic.
type follow struct {
	more    chan struct{} // closed when there is some
	readers int
}

// follow returns what is closed when more is appended to a topic, and what is to be called once
// nobody waits for it any more.
func (t *tails) follow(topic string) (more <-chan struct{}, leave func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.more == nil {
		t.more = map[string]*follow{}
	}
	f := t.more[topic]
	if f == nil {
		f = &follow{more: make(chan struct{})}
		t.more[topic] = f
	}
	f.readers++
	return f.more, func() { t.leave(topic, f) }
}

func (t *tails) leave(topic string, f *follow) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.readers--; f.readers == 0 && t.more[topic] == f {
		delete(t.more, topic)
	}
}

// wake wakes who follows topics.
func (t *tails) wake(topics []string) {
	if len(topics) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, topic := range topics {
		if f := t.more[topic]; f != nil {
			close(f.more)
			delete(t.more, topic)
		}
	}
}

func (f feed) Append(ctx context.Context, entries ...vedette.Entry) error {
	for i := range entries {
		if e := &entries[i]; e.Topic == "" || !json.Valid(e.Data) {
			return fmt.Errorf("append to topic %q: no topic, or data that is not JSON: %w", e.Topic, vedette.ErrRefused)
		}
	}
	err := f.s.update(ctx, func(t *tx) error { return t.append(entries) })
	if err != nil {
		return fmt.Errorf("append entries: %w", err)
	}
	return nil
}

func (t *tx) append(entries []vedette.Entry) error {
	last := map[string]int64{}
	for i := range entries {
		e := &entries[i]
		seq, known := last[e.Topic]
		if !known {
			var err error
			if seq, err = t.int("select coalesce(max(seq), 0) from entries where topic = +?", e.Topic); err != nil {
				return err
			}
			t.topics = append(t.topics, e.Topic)
		}
		seq++
		at := pack.Micros(e.At)
		if at == 0 {
			at = t.now
		}
		if _, err := t.exec("insert into entries values (?, ?, ?, ?)", e.Topic, seq, at, string(e.Data)); err != nil {
			return err
		}
		last[e.Topic] = seq
	}
	t.add("entries", int64(len(entries)))
	return nil
}

// Read reads on, as [vedette.Feed] says. What another process appends it sees at its next poll.
func (f feed) Read(ctx context.Context, topic string, after int64, n int) ([]vedette.Entry, error) {
	for {
		page, err := f.next(ctx, topic, after, n)
		if err != nil {
			return nil, fmt.Errorf("read topic %q: %w", topic, err)
		}
		if len(page) > 0 {
			return page, nil
		}
	}
}

// next returns what lies behind after, or nothing when it is worth another look.
func (f feed) next(ctx context.Context, topic string, after int64, n int) ([]vedette.Entry, error) {
	more, leave := f.s.tails.follow(topic)
	defer leave()
	page, err := f.page(ctx, "where topic = +? and seq > ? order by seq limit ? + 0", topic, after, int64(n))
	if err != nil || len(page) > 0 {
		return page, err
	}
	select {
	case <-more:
	case <-time.After(poll):
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, err
}

func (f feed) page(ctx context.Context, text string, args ...any) (page []vedette.Entry, err error) {
	err = f.s.read(ctx, func(c *conn) error {
		return c.query(func(row []driver.Value) error {
			page = append(page, vedette.Entry{
				Topic: row[0].(string), Seq: row[1].(int64), At: pack.TimeOf(row[2].(int64)), Data: vedette.Raw(row[3].(string)),
			})
			return nil
		}, "select topic, seq, at, data from entries "+text, args...)
	})
	return page, err
}

func (f feed) Last(ctx context.Context, topic string, n int) ([]vedette.Entry, error) {
	page, err := f.page(ctx, "where topic = +? order by seq desc limit ? + 0", topic, int64(n))
	if err != nil {
		return nil, fmt.Errorf("read topic %q: %w", topic, err)
	}
	slices.Reverse(page)
	return page, nil
}

func (f feed) Drop(ctx context.Context, topics ...string) error {
	err := f.s.update(ctx, func(t *tx) error { return t.dropTopics(topics...) })
	if err != nil {
		return fmt.Errorf("drop topics: %w", err)
	}
	return nil
}

func (t *tx) dropTopics(topics ...string) error {
	for _, topic := range topics {
		dropped, err := t.exec("delete from entries where topic = ?", topic)
		if err != nil {
			return err
		}
		t.add("entries", -dropped)
	}
	return nil
}
