package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vedettehq/vedette"
)

const (
	// linger is how long the first message of a Publish waits for the others, so that they
	// travel in one request.
	linger = 2 * time.Millisecond
	// minAge is how often, at most, a client asks who leads which partition.
	minAge = time.Second
)

var _ vedette.Publisher = (*Publisher)(nil)

// A Publisher sends messages and waits until all in-sync replicas have them. A message's key
// chooses its partition as Java's clients do (murmur2); those without a key are spread.
//
// A message whose Publish failed may still arrive, even after a later one, so whoever sends it
// again says so in the message.
type Publisher struct {
	c    Config
	opts []kgo.Opt

	// A Publish holds alone for reading, and the sending of messages one by one for writing.
	alone sync.RWMutex

	mu     sync.Mutex
	now    *producer // nil after Close
	old    sync.WaitGroup
	closed bool
}

// producer is one client and those who use it.
type producer struct {
	*kgo.Client
	users sync.WaitGroup
	dial  dialing
}

// dialing remembers why the last connection failed, which a client that keeps trying does not
// tell.
type dialing struct{ last atomic.Pointer[error] }

var _ kgo.HookBrokerConnect = (*dialing)(nil)

// OnBrokerConnect is called by the client.
func (d *dialing) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err == nil {
		d.last.Store(nil)
	} else if !errors.Is(err, context.Canceled) {
		d.last.Store(&err)
	}
}

// explain adds to err why there was no connection, if there was none.
func (d *dialing) explain(err error) error {
	if why := d.last.Load(); why != nil {
		return fmt.Errorf("%w: %w", err, *why)
	}
	return err
}

// NewPublisher checks the Config and connects with the first Publish.
func NewPublisher(c Config) (*Publisher, error) {
	opts, err := c.options()
	if err != nil {
		return nil, err
	}
	codec, _ := c.codec()
	p := &Publisher{c: c.withDefaults()}
	share := func(part time.Duration) time.Duration { return max(p.c.Timeout/part, 100*time.Millisecond) }
	p.opts = append(slices.Clip(opts),
		// A connection that hangs is given up in time for a second attempt within the same
		// Publish, which the broker knows from the first.
		kgo.ProduceRequestTimeout(share(2)),
		kgo.RequestTimeoutOverhead(share(4)),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.ProducerBatchCompression(codec),
		kgo.ProducerLinger(linger),
		kgo.MetadataMinAge(minAge),
		// A Publish that has ended leaves nothing behind to be sent by surprise or to fill
		// the memory in an outage. What it does to idempotence, the sender's word covers.
		kgo.AllowIdempotentProduceCancellation(),
	)
	if p.now, err = p.open(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Publisher) open() (*producer, error) {
	cl := &producer{}
	var err error
	if cl.Client, err = kgo.NewClient(append(slices.Clip(p.opts), kgo.WithHooks(&cl.dial))...); err != nil {
		return nil, fmt.Errorf("open kafka producer: %w", err)
	}
	return cl, nil
}

// Publish waits at most Config.Timeout. It reports ErrRefused for messages that are too large or
// that the topic's rules forbid; the others of the call are then sent or not.
func (p *Publisher) Publish(ctx context.Context, m ...vedette.Message) error {
	if len(m) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.c.Timeout,
		fmt.Errorf("not confirmed within %v", p.c.Timeout))
	defer cancel()
	began := time.Now()
	err := p.publish(ctx, p.records(m))
	p.count(m, time.Since(began), err == nil)
	if err != nil {
		return fmt.Errorf("publish %d messages: %w", len(m), err)
	}
	return nil
}

// publish sends records together, and those one by one that are too large only together: a topic
// may take less at once than a client packs.
func (p *Publisher) publish(ctx context.Context, all []*kgo.Record) error {
	p.alone.RLock()
	failed, err := p.send(ctx, all)
	p.alone.RUnlock()
	if !errors.Is(err, kerr.MessageTooLarge) || len(all) == 1 {
		return refusal(err)
	}
	p.alone.Lock()
	defer p.alone.Unlock()
	var errs []error
	for _, r := range failed {
		if _, err := p.send(ctx, []*kgo.Record{again(r)}); err != nil {
			errs = append(errs, err)
		}
	}
	return refusal(worst(errs))
}

// again returns a record to send as r was, without what the client noted in it.
func again(r *kgo.Record) *kgo.Record {
	return &kgo.Record{Topic: r.Topic, Key: r.Key, Value: r.Value, Headers: r.Headers}
}

// send returns the records that failed, and the worst of their errors.
func (p *Publisher) send(ctx context.Context, all []*kgo.Record) ([]*kgo.Record, error) {
	cl, err := p.use()
	if err != nil {
		return all, err
	}
	defer cl.users.Done()
	sent := &sending{left: len(all), done: make(chan struct{})}
	for _, r := range all {
		cl.Produce(ctx, r, sent.finish)
	}
	select {
	case <-sent.done:
	case <-ctx.Done():
	}
	if ctx.Err() != nil && sent.unfinished() {
		return nil, cl.dial.explain(context.Cause(ctx))
	}
	err = worst(sent.errs)
	if isContext(err) {
		// A batch ends with the first of those who share it.
		return nil, cl.dial.explain(fmt.Errorf("given up with another's message: %v", err)) //nolint:errorlint // not our context's
	}
	if renews(err) {
		p.renew(cl)
	}
	return sent.failed, err
}

// sending collects what becomes of records. Its channel is closed after the last.
type sending struct {
	mu     sync.Mutex
	left   int
	failed []*kgo.Record
	errs   []error
	done   chan struct{}
}

func (s *sending) finish(r *kgo.Record, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.failed, s.errs = append(s.failed, r), append(s.errs, err)
	}
	if s.left--; s.left == 0 {
		close(s.done)
	}
}

// unfinished says whether a record failed, or may yet.
func (s *sending) unfinished() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left > 0 || len(s.errs) > 0
}

// worst returns an error that stands for all: one that says to try again, if there is one.
func worst(errs []error) error {
	for _, err := range errs {
		if !isRefused(err) {
			return err
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return errs[0]
}

// isRefused says whether the record itself is why. What an operator can put right without it (a
// topic, a right to write) is not.
func isRefused(err error) bool {
	for _, no := range []error{
		kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord, kerr.InvalidTimestamp,
		kerr.UnsupportedForMessageFormat, kerr.InvalidTopicException, kerr.PolicyViolation,
	} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

func refusal(err error) error {
	if isRefused(err) {
		return fmt.Errorf("%w: %w", vedette.ErrRefused, err)
	}
	return err
}

// renews says whether another client may fare better: after anything but a refusal, such as a
// producer id that the brokers have forgotten for good, or a topic that was made anew.
func renews(err error) bool { return err != nil && !isRefused(err) }

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// use returns the present client, which lasts until its user is done.
func (p *Publisher) use() (*producer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, kgo.ErrClientClosed
	}
	p.now.users.Add(1)
	return p.now, nil
}

// renew replaces the client if that is still the present one, and closes it after its last user.
func (p *Publisher) renew(old *producer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.now != old {
		return
	}
	next, err := p.open()
	if err != nil {
		p.c.Log.Warn("keep the kafka client", "err", err)
		return
	}
	p.now = next
	p.old.Go(func() {
		old.users.Wait()
		old.Close()
	})
}

// Close waits for what is being published, which Config.Timeout bounds, and disconnects.
func (p *Publisher) Close() error {
	p.mu.Lock()
	was := p.closed
	p.closed = true
	p.mu.Unlock()
	if !was {
		p.now.users.Wait()
		p.now.Close()
	}
	p.old.Wait()
	return nil
}

func (p *Publisher) records(m []vedette.Message) []*kgo.Record {
	room := make([]kgo.Record, len(m))
	all := make([]*kgo.Record, len(m))
	topic := p.c.Prefix + m[0].Topic
	for i := range m {
		if m[i].Topic != topic[len(p.c.Prefix):] {
			topic = p.c.Prefix + m[i].Topic
		}
		room[i] = kgo.Record{Topic: topic, Key: m[i].Key, Value: m[i].Body, Headers: headers(m[i].Header)}
		all[i] = &room[i]
	}
	return all
}

// headers are in the order of their names, so that the same message is the same bytes.
func headers(h map[string]string) []kgo.RecordHeader {
	if len(h) == 0 {
		return nil
	}
	all := make([]kgo.RecordHeader, 0, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		all = append(all, kgo.RecordHeader{Key: name, Value: []byte(h[name])})
	}
	return all
}

// count tells the Meter of each topic.
func (p *Publisher) count(m []vedette.Message, took time.Duration, ok bool) {
	for len(m) > 0 {
		topic, n, bytes := m[0].Topic, 0, 0
		var rest []vedette.Message
		for _, one := range m {
			if one.Topic != topic {
				rest = append(rest, one)
				continue
			}
			n, bytes = n+1, bytes+len(one.Key)+len(one.Body)
			for k, v := range one.Header {
				bytes += len(k) + len(v)
			}
		}
		p.c.Meter.Produced(topic, n, bytes, took, ok)
		m = rest
	}
}
