package memory

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
)

var _ vedette.Feed = (*feed)(nil)

// A feed keeps topics. The entry of Seq n is the one at n-1.
type feed struct {
	mu     sync.Mutex
	topics map[string]*tail
}

// A tail is a topic with those who follow it.
type tail struct {
	entries []vedette.Entry
	more    chan struct{} // closed by the next Append
	readers int           // who wait for more
}

func newFeed() *feed { return &feed{topics: map[string]*tail{}} }

// tail returns that of a topic.
func (f *feed) tail(topic string) *tail {
	t := f.topics[topic]
	if t == nil {
		t = &tail{more: make(chan struct{})}
		f.topics[topic] = t
	}
	return t
}

func (f *feed) Append(ctx context.Context, entries ...vedette.Entry) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("append entries: %w", err)
	}
	for _, e := range entries {
		if e.Topic == "" || !json.Valid(e.Data) {
			return fmt.Errorf("append to topic %q: no topic, or data that is not JSON: %w", e.Topic, vedette.ErrRefused)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := stamp(time.Now())
	for _, e := range entries {
		t := f.tail(e.Topic)
		if e.At = stamp(e.At); e.At.IsZero() {
			e.At = now
		}
		e.Seq, e.Data = int64(len(t.entries))+1, slices.Clone(e.Data)
		t.entries = append(t.entries, e)
		if t.readers > 0 {
			close(t.more)
			t.more, t.readers = make(chan struct{}), 0
		}
	}
	return nil
}

func (f *feed) Read(ctx context.Context, topic string, after int64, n int) ([]vedette.Entry, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("read topic %q: %w", topic, err)
		}
		page, more := f.read(topic, after, n)
		if len(page) > 0 {
			return page, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			f.leave(topic, more)
		}
	}
}

// read returns what lies behind after, or else a channel that the next Append closes.
func (f *feed) read(topic string, after int64, n int) ([]vedette.Entry, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tail(topic)
	end := int64(len(t.entries))
	if after = max(after, 0); after < end && n > 0 {
		return cloneEntries(t.entries[after:min(after+int64(n), end)]), nil
	}
	t.readers++
	return nil, t.more
}

// leave ends a wait, and forgets a topic that was there for its sake alone.
func (f *feed) leave(topic string, more <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.topics[topic]
	if t == nil || t.more != more {
		return
	}
	if t.readers--; t.readers == 0 && len(t.entries) == 0 {
		delete(f.topics, topic)
	}
}

func (f *feed) Last(_ context.Context, topic string, n int) ([]vedette.Entry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.topics[topic]
	if t == nil {
		return nil, nil
	}
	return cloneEntries(t.entries[max(len(t.entries)-n, 0):]), nil
}

func (f *feed) Drop(ctx context.Context, topics ...string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("drop topics: %w", err)
	}
	f.drop(topics...)
	return nil
}

func (f *feed) drop(topics ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, topic := range topics {
		t := f.topics[topic]
		switch {
		case t == nil:
		case t.readers == 0:
			delete(f.topics, topic)
		default:
			t.entries = nil
		}
	}
}

func cloneEntries(entries []vedette.Entry) []vedette.Entry {
	all := slices.Clone(entries)
	for i := range all {
		all[i].Data = slices.Clone(all[i].Data)
	}
	return all
}
