package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
)

var _ vedette.Publisher = (*Stream)(nil)

// A Stream is a broker in this process: topics of a number of partitions, for programs that
// need no other and for tests, which it lets lose messages and sessions. It keeps each message
// until it is told to lose it. It is safe for concurrent use.
type Stream struct {
	partitions int

	mu      sync.Mutex
	topics  map[string]*topic
	groups  map[groupKey]*group
	keyless int           // messages without a key so far, which take the partitions in turn
	changed chan struct{} // closed by the next change
}

// A topic that is made anew has another id.
type topic struct {
	id         string
	partitions []partition
}

// A partition holds the messages of the offsets from first.
type partition struct {
	first    int64
	messages []vedette.Message
}

// end is the offset behind the last message.
func (p *partition) end() int64 { return p.first + int64(len(p.messages)) }

// NewStream returns a Stream without messages, whose topics have so many partitions and are
// made when they are first named.
func NewStream(partitions int) *Stream {
	return &Stream{
		partitions: max(partitions, 1), topics: map[string]*topic{}, groups: map[groupKey]*group{},
		changed: make(chan struct{}),
	}
}

// topic returns that of a name.
func (s *Stream) topic(name string) *topic {
	t := s.topics[name]
	if t == nil {
		t = &topic{id: vedette.NewID(time.Now()).String(), partitions: make([]partition, s.partitions)}
		s.topics[name] = t
	}
	return t
}

// change wakes all who wait.
func (s *Stream) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Publish keeps all messages or none, as [vedette.Publisher] says.
func (s *Stream) Publish(ctx context.Context, messages ...vedette.Message) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	for _, m := range messages {
		if m.Topic == "" {
			return fmt.Errorf("publish: message without a topic: %w", vedette.ErrRefused)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, m := range messages {
		p := &s.topic(m.Topic).partitions[s.place(m.Key)]
		p.messages = append(p.messages, vedette.Message{
			Topic: m.Topic, Key: bytes.Clone(m.Key), Body: bytes.Clone(m.Body), Header: maps.Clone(m.Header), At: now,
		})
	}
	s.change()
	return nil
}

// place returns the partition of a key, which for that of a monitor goes by its id.
func (s *Stream) place(key []byte) int {
	if len(key) > 0 {
		return vedette.MonitorID(key).Shard(s.partitions)
	}
	s.keyless++
	return s.keyless % s.partitions
}

// End returns the offset behind the last message of a partition.
func (s *Stream) End(topic string, partition int32) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.topic(topic).partitions[partition].end()
}

// Trim loses the messages of a partition before offset, as when they are kept for too short a
// time.
func (s *Stream) Trim(topic string, partition int32, offset int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &s.topic(topic).partitions[partition]
	offset = min(max(offset, p.first), p.end())
	p.messages = p.messages[offset-p.first:]
	p.first = offset
	s.change()
}

// Truncate loses the messages of a partition from offset on, as when a broker falls back on an
// older copy. What is sent next takes their offsets.
func (s *Stream) Truncate(topic string, partition int32, offset int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &s.topic(topic).partitions[partition]
	p.first = min(p.first, offset)
	p.messages = p.messages[:max(min(offset-p.first, int64(len(p.messages))), 0)]
	s.change()
}

// Recreate deletes a topic and makes it anew.
func (s *Stream) Recreate(topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.topics, topic)
	s.change()
}

// Expel ends all sessions, as when their readers have been silent for too long. They learn it
// at their next call.
func (s *Stream) Expel() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.groups {
		for len(g.members) > 0 {
			g.members[0].leave(errExpelled)
		}
	}
}

var errExpelled = errors.New("the session was given up")
