package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vedettehq/vedette"
)

// goodbye bounds how long Close tells the group that it leaves.
const goodbye = 5 * time.Second

var (
	errClosed  = errors.New("the session is closed")
	errRevoked = errors.New("partitions went to another reader before their messages were settled")
)

// A session is one membership in the group. Kafka lets no partition be taken from it between
// Receive and the Settle of the last message that was received, or until Config.Rebalance ends.
type session struct {
	c   Config
	r   Reading
	cl  *kgo.Client
	adm *kadm.Client

	ready    chan struct{} // closed when cl is set: its hooks may come before
	stopped  chan struct{} // closed by Close
	watching sync.WaitGroup
	closing  sync.Once

	mu         sync.Mutex
	err        error // why the session is over, or nil
	partitions map[place]*partition
	queue      []vedette.Message // fetched beyond what Receive was asked for
	tag        uint64            // of the last message
	unsettled  int               // in all partitions, those in the queue included
	waited     bool              // a rebalance waits for what is unsettled
	marks      map[place]int64   // settled offsets that the tools have not been told
	wake       context.CancelFunc
}

// Receive adds marks of its own to the messages: what is lost comes before a partition's first
// message, and with nothing new a partition is idle once in Reading.Idle.
func (s *session) Receive(ctx context.Context, n int) ([]vedette.Message, error) {
	for {
		poll, cancel := context.WithCancel(ctx)
		if m, done, err := s.prepare(ctx, n, cancel); done || err != nil {
			cancel()
			return m, err
		}
		fetches := s.cl.PollRecords(poll, n)
		cancel()
		if err := s.take(fetches); err != nil {
			return nil, err
		}
	}
}

// prepare returns what there is to receive without a poll; done says to return it. Otherwise it
// arranges that cancel ends the poll early.
func (s *session) prepare(ctx context.Context, n int, cancel context.CancelFunc) (m []vedette.Message, done bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return nil, true, s.over()
	case len(s.queue) > 0:
		n = min(n, len(s.queue))
		m, s.queue = s.queue[:n:n], s.queue[n:]
		return m, true, nil
	case s.waited && s.unsettled > 0, ctx.Err() != nil:
		return nil, true, nil
	}
	s.wake = cancel
	for _, p := range s.partitions {
		if p.lost != nil || p.news() {
			cancel()
			break
		}
	}
	return nil, false, nil
}

// over returns why, for the caller of a session that is over.
func (s *session) over() error { return fmt.Errorf("%w: %w", vedette.ErrLeaseLost, s.err) }

// take queues what was fetched, and lets a rebalance go on if that is nothing.
func (s *session) take(fetches kgo.Fetches) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake = nil
	if s.err == nil {
		s.fail(fetches)
	}
	if s.err != nil {
		s.cl.AllowRebalance()
		return s.over()
	}
	s.queue = make([]vedette.Message, 0, fetches.NumRecords()+len(s.partitions))
	s.queueLost()
	fetches.EachPartition(s.queueRecords)
	s.queueIdle()
	if s.unsettled == 0 {
		s.allow()
	}
	return nil
}

// fail ends the session for what the client does not mend by itself.
func (s *session) fail(fetches kgo.Fetches) {
	for _, f := range fetches {
		for _, t := range f.Topics {
			for n := range t.Partitions {
				at := place{t.Topic, t.Partitions[n].Partition}
				switch err := t.Partitions[n].Err; {
				case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
				case err != nil && t.Topic == "":
					s.finish("group", err)
				case err != nil:
					s.finish("fetch", fmt.Errorf("fetch partition %d of %s: %w", at.n, at.topic, err))
				}
			}
		}
	}
}

func (s *session) queueLost() {
	for _, p := range s.partitions {
		if p.lost != nil {
			m := *p.lost
			p.lost = nil
			m.Position = p.step(p.reached)
			s.push(p, m)
		}
	}
}

func (s *session) queueRecords(t kgo.FetchTopicPartition) {
	p := s.partitions[place{t.Topic, t.Partition}]
	if p == nil || len(t.Records) == 0 {
		return
	}
	first := len(s.queue)
	for _, r := range t.Records {
		if r.Attrs.IsControl() {
			p.reached = r.Offset + 1
			continue
		}
		s.push(p, message(r, p.step(r.Offset+1)))
	}
	p.pass()
	if n := len(s.queue); n > first {
		if p.news() {
			p.tell(&s.queue[n-1].Position)
		}
		s.c.Meter.Consumed(p.own.Topic, n-first)
	}
}

func (s *session) queueIdle() {
	for _, p := range s.partitions {
		if p.news() {
			m := vedette.Message{Topic: p.own.Topic, Position: p.step(p.reached), Mark: vedette.MarkIdle}
			p.tell(&m.Position)
			s.push(p, m)
		}
	}
}

func (s *session) push(p *partition, m vedette.Message) {
	s.tag++
	m.Tag = s.tag
	p.pending = append(p.pending, delivered{tag: m.Tag, next: m.Position.Next})
	s.unsettled++
	s.queue = append(s.queue, m)
}

// allow lets a rebalance go on.
func (s *session) allow() {
	s.waited = false
	s.cl.AllowRebalance()
}

// Settle marks offsets for the tools that show lag, or commits them where Kafka keeps the
// positions.
func (s *session) Settle(ctx context.Context, v ...vedette.Verdict) error {
	if err := s.settle(v); err != nil {
		return err
	}
	var err error
	if s.r.Claim == nil {
		err = s.commit(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.finish("commit", fmt.Errorf("commit offsets: %w", err))
	}
	if s.err != nil {
		return s.over()
	}
	if s.unsettled == 0 {
		s.allow()
	}
	return nil
}

// settle applies verdicts and marks how far partitions have come.
func (s *session) settle(v []vedette.Verdict) error {
	for _, one := range v {
		if one.Do != vedette.Ack {
			return fmt.Errorf("settle message: kafka knows no %q", one.Do)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.over()
	}
	for at, p := range s.partitions {
		for _, one := range v {
			n, moved := p.settle(one)
			s.unsettled -= n
			if moved {
				s.marks[at] = p.settled
			}
		}
	}
	return nil
}

// hold takes the partitions that were claimed.
func (s *session) hold(claimed []*partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := len(s.partitions)
	for _, p := range claimed {
		at := place{s.c.Prefix + p.own.Topic, p.own.Partition}
		if old := s.partitions[at]; old != nil {
			s.drop(at, old)
		}
		s.partitions[at] = p
	}
	s.c.Meter.Assigned(len(s.partitions) - held)
	s.rouse()
}

// revoked is called when partitions are no longer ours, which the client puts off while messages
// are unsettled, unless the group has given us up.
func (s *session) revoked(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := len(s.partitions)
	for topic, numbers := range gone {
		for _, n := range numbers {
			if p := s.partitions[place{topic, n}]; p != nil {
				s.drop(place{topic, n}, p)
			}
		}
	}
	if change := len(s.partitions) - held; change != 0 {
		s.c.Meter.Assigned(change)
	}
}

func (s *session) drop(at place, p *partition) {
	delete(s.partitions, at)
	delete(s.marks, at)
	s.c.Meter.Lag(p.own.Topic, at.n, -1, 0)
	if slices.ContainsFunc(p.pending, func(d delivered) bool { return !d.done }) {
		s.finish("revoked", errRevoked)
	}
}

// blocked is called when a rebalance waits for us to settle.
func (s *session) blocked(context.Context, *kgo.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waited = true
	s.rouse()
}

// OnGroupManageError is called by the client when the group has given us up, or we it.
func (s *session) OnGroupManageError(err error) { s.end("group", err) }

func (s *session) end(cause string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish(cause, err)
}

func (s *session) ended() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// finish makes the session over, for the first cause that there is.
func (s *session) finish(cause string, err error) {
	if s.err != nil {
		return
	}
	s.err = err
	s.c.Meter.Ended(cause)
	s.rouse()
}

// rouse ends a poll early.
func (s *session) rouse() {
	if s.wake != nil {
		s.wake()
	}
}

// Close leaves the group, which it tells for up to 5s.
func (s *session) Close() error {
	var err error
	s.closing.Do(func() {
		s.end("closed", errClosed)
		close(s.stopped)
		s.watching.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), goodbye)
		defer cancel()
		s.cl.AllowRebalance()
		s.show(ctx)
		if err = s.cl.LeaveGroupContext(ctx); err != nil {
			err = fmt.Errorf("leave group %s: %w", s.r.Group, err)
		}
		s.cl.Close()
		// The client's Close polls a last time, and a goroutine of it may wait for that poll.
		s.cl.AllowRebalance()
		s.forget()
	})
	return err
}

// forget takes back what the Meter was told of partitions that are still ours.
func (s *session) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := len(s.partitions)
	for at := range s.partitions {
		delete(s.partitions, at)
		s.c.Meter.Lag(strings.TrimPrefix(at.topic, s.c.Prefix), at.n, -1, 0)
	}
	if held > 0 {
		s.c.Meter.Assigned(-held)
	}
}
