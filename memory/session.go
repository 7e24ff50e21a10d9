package memory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
)

// idleEvery is how often a partition at rest says so.
const idleEvery = time.Second

// A Claim makes a reader the owner of positions and returns them as they are kept:
// [vedette.Positions.Claim] with an owner.
type Claim func(ctx context.Context, p ...vedette.Position) ([]vedette.Position, error)

// Source returns a source that reads a topic as a member of a group, whose positions claim
// keeps. Its sessions and those of other sources of the group share the partitions. A session
// that does not settle what it delivered keeps others from its partitions.
func (s *Stream) Source(group, topic string, claim Claim) vedette.Source {
	return source{s, groupKey{group, topic}, claim}
}

type source struct {
	stream *Stream
	key    groupKey
	claim  Claim
}

func (s source) Open(ctx context.Context) (vedette.Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open session: %w", err)
	}
	s.stream.mu.Lock()
	defer s.stream.mu.Unlock()
	n := &session{
		stream: s.stream, key: s.key, ask: s.claim,
		group: s.stream.group(s.key), reads: make([]*reading, s.stream.partitions),
	}
	n.group.members = append(n.group.members, n)
	n.group.rebalance()
	s.stream.change()
	return n, nil
}

// A session is guarded by the lock of its stream.
type session struct {
	stream  *Stream
	key     groupKey
	ask     Claim
	group   *group
	over    error      // why it is over, or nil
	reads   []*reading // by partition; nil where it reads nothing
	turn    int        // which partition comes first next
	tag     uint64     // the last one given
	pending []delivered
}

// A reading is how far a session has come in a partition.
type reading struct {
	own       vedette.Position // its Next is that of what was delivered last
	reached   int64            // where the next message lies
	lost      string           // what to say is lost before any message; "" for nothing
	told      time.Time        // when it last said how far time has come
	unsettled int
}

// delivered is a message that is not settled. Tags ascend.
type delivered struct {
	tag       uint64
	partition int
}

var (
	errClosed = errors.New("the session is closed")
	errMoved  = errors.New("the place that is read is gone from the log")
)

func (s *session) Receive(ctx context.Context, n int) ([]vedette.Message, error) {
	for {
		if err := s.claim(ctx); err != nil {
			return nil, err
		}
		m, w, err := s.next(n)
		if err != nil || len(m) > 0 || w.changed == nil || !w.wait(ctx) {
			return m, err
		}
	}
}

// A wait is for a change of the stream, or for the time to say that nothing has changed.
type wait struct {
	changed <-chan struct{}
	idle    time.Duration
}

// wait says no when ctx has ended.
func (w wait) wait(ctx context.Context) bool {
	timer := time.NewTimer(w.idle)
	defer timer.Stop()
	select {
	case <-w.changed:
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// claim claims the partitions that are ours to read and free.
func (s *session) claim(ctx context.Context) error {
	want, err := s.free(ctx)
	if err != nil || len(want) == 0 {
		return err
	}
	kept, err := s.ask(ctx, want...)
	s.stream.mu.Lock()
	defer s.stream.mu.Unlock()
	switch {
	case s.over != nil:
		return s.ended()
	case err != nil && ctx.Err() != nil:
		s.handBack(want)
		return nil
	case err == nil && len(kept) != len(want):
		err = fmt.Errorf("%d positions, asked for %d", len(kept), len(want))
	}
	if err != nil {
		s.leave(fmt.Errorf("claim %d partitions: %w", len(want), err))
		return s.ended()
	}
	for i, w := range want {
		s.reads[w.Partition] = s.resume(w, kept[i])
	}
	return nil
}

// free takes the partitions to claim, so that nobody else does.
func (s *session) free(ctx context.Context) (want []vedette.Position, err error) {
	s.stream.mu.Lock()
	defer s.stream.mu.Unlock()
	if s.over != nil {
		return nil, s.ended()
	}
	if ctx.Err() != nil {
		return nil, nil
	}
	id := s.stream.topic(s.key.topic).id
	for i := range s.group.shares {
		if share := &s.group.shares[i]; share.owner == nil && share.heir == s {
			share.owner = s
			want = append(want, vedette.Position{
				Group: s.key.name, Topic: s.key.topic, Partition: int32(i), Stream: id, //nolint:gosec // partitions are few
			})
		}
	}
	return want, nil
}

func (s *session) handBack(want []vedette.Position) {
	for _, w := range want {
		s.group.shares[w.Partition].owner = nil
	}
	s.stream.change()
}

// resume decides where to go on in a partition, and what to say is lost.
func (s *session) resume(want, kept vedette.Position) *reading {
	t := s.stream.topic(s.key.topic)
	first, end := t.partitions[want.Partition].first, t.partitions[want.Partition].end()
	r := &reading{own: want, reached: kept.Next}
	r.own.Stream, r.own.Next, r.own.Epoch, r.own.Owner = t.id, kept.Next, kept.Epoch, kept.Owner
	switch {
	case kept.Next < 0:
		r.reached = first
	case kept.Stream != "" && kept.Stream != t.id:
		r.reached = first
		r.lost = fmt.Sprintf("the topic was made anew, and what came after offset %d of the former one is gone", kept.Next)
	case kept.Next < first:
		r.reached = first
		r.lost = fmt.Sprintf("offsets %d to %d were dropped before they were read", kept.Next, first-1)
	case kept.Next > end:
		r.reached = end
		r.lost = fmt.Sprintf("the log ends at offset %d, before offset %d, up to which it was read", end, kept.Next)
	}
	return r
}

// next returns up to n messages, or what to wait for: nothing, where what was delivered is to be
// settled first.
func (s *session) next(n int) ([]vedette.Message, wait, error) {
	s.stream.mu.Lock()
	defer s.stream.mu.Unlock()
	if s.over != nil {
		return nil, wait{}, s.ended()
	}
	if s.yield() {
		return nil, wait{}, nil
	}
	var all []vedette.Message
	rest := idleEvery
	now := time.Now()
	for i := range s.reads {
		partition := (s.turn + i) % len(s.reads)
		r := s.reads[partition]
		if r == nil {
			continue
		}
		if !s.stands(r) {
			s.leave(errMoved)
			return nil, wait{}, s.ended()
		}
		all = s.deliver(all, r, n, now)
		rest = min(rest, r.told.Add(idleEvery).Sub(now))
	}
	s.turn++
	return all, wait{s.stream.changed, rest}, nil
}

// stands says whether the log still holds the place that r has come to.
func (s *session) stands(r *reading) bool {
	t := s.stream.topic(s.key.topic)
	p := &t.partitions[r.own.Partition]
	return t.id == r.own.Stream && r.reached >= p.first && r.reached <= p.end()
}

// deliver appends what r has to say, up to n in all: what is lost, then messages, then that time
// has come further.
func (s *session) deliver(all []vedette.Message, r *reading, n int, now time.Time) []vedette.Message {
	p := &s.stream.topic(s.key.topic).partitions[r.own.Partition]
	if r.lost != "" && len(all) < n {
		all = append(all, s.step(r, r.reached, vedette.Message{
			Topic: s.key.topic, Body: []byte(r.lost), Mark: vedette.MarkLost,
		}))
		r.lost = ""
	}
	sent := 0
	for r.lost == "" && r.reached < p.end() && len(all) < n {
		m := p.messages[r.reached-p.first]
		all = append(all, s.step(r, r.reached+1, cloneMessage(m)))
		sent++
	}
	if r.lost != "" || r.reached < p.end() {
		return all
	}
	// What is sent in this very microsecond may still come.
	through := now.Add(-time.Microsecond)
	switch {
	case sent > 0:
		all[len(all)-1].Position.Through = through
		r.told = now
	case len(all) < n && !now.Before(r.told.Add(idleEvery)):
		m := s.step(r, r.reached, vedette.Message{Topic: s.key.topic, Mark: vedette.MarkIdle})
		m.Position.Through = through
		all = append(all, m)
		r.told = now
	}
	return all
}

// step makes m the message that lies between where r stands and next, and moves r there.
func (s *session) step(r *reading, next int64, m vedette.Message) vedette.Message {
	m.Position = r.own
	m.Position.From, m.Position.Next = r.own.Next, next
	r.own.Next, r.reached = next, next
	s.tag++
	m.Tag = s.tag
	s.pending = append(s.pending, delivered{s.tag, int(r.own.Partition)})
	r.unsettled++
	return m
}

// cloneMessage shares nothing with m that its holder could change.
func cloneMessage(m vedette.Message) vedette.Message {
	return cloneLetter(vedette.DeadLetter{Message: m}).Message
}

// yield gives up partitions that another is to read, and says whether one of them waits for what
// it delivered to be settled.
func (s *session) yield() (waits bool) {
	for i, r := range s.reads {
		share := &s.group.shares[i]
		switch {
		case r == nil || share.heir == s:
		case r.unsettled > 0:
			waits = true
		default:
			s.reads[i], share.owner = nil, nil
			s.stream.change()
		}
	}
	return waits
}

func (s *session) Settle(_ context.Context, verdicts ...vedette.Verdict) error {
	s.stream.mu.Lock()
	defer s.stream.mu.Unlock()
	if s.over != nil {
		return s.ended()
	}
	for _, v := range verdicts {
		if v.Do != vedette.Ack {
			return fmt.Errorf("settle message: a stream in memory knows no %q", v.Do)
		}
	}
	for _, v := range verdicts {
		s.settle(v)
	}
	s.yield()
	return nil
}

func (s *session) settle(v vedette.Verdict) {
	from, found := slices.BinarySearchFunc(s.pending, v.Tag, func(d delivered, tag uint64) int {
		return cmp.Compare(d.tag, tag)
	})
	to := from
	if found {
		to++
	}
	if v.UpTo {
		from = 0
	}
	for _, d := range s.pending[from:to] {
		s.reads[d.partition].unsettled--
	}
	s.pending = slices.Delete(s.pending, from, to)
}

// ended says why, to the reader of a session that is over.
func (s *session) ended() error { return fmt.Errorf("%w: %w", vedette.ErrLeaseLost, s.over) }

// leave ends the session and frees its partitions.
func (s *session) leave(why error) {
	if s.over != nil {
		return
	}
	s.over = why
	for i := range s.group.shares {
		if share := &s.group.shares[i]; share.owner == s {
			share.owner = nil
		}
	}
	s.group.members = slices.DeleteFunc(s.group.members, func(m *session) bool { return m == s })
	s.group.rebalance()
	s.stream.change()
}

func (s *session) Close() error {
	s.stream.mu.Lock()
	defer s.stream.mu.Unlock()
	s.leave(errClosed)
	return nil
}
