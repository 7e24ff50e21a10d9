package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// A Stream is a topic of at least two partitions, empty, and those who use it.
type Stream struct {
	Topic     string
	Publisher vedette.Publisher
	// Source reads the topic as one group, whose positions claim keeps.
	Source func(claim StreamClaim) vedette.Source
}

// A StreamClaim is [vedette.Positions.Claim] with an owner.
type StreamClaim = func(ctx context.Context, p ...vedette.Position) ([]vedette.Position, error)

// streamWait bounds how long a test waits for a stream to do what it must.
const streamWait = 30 * time.Second

// TestStream holds a Publisher and a Source to their contracts. Each call of open returns a
// stream of its own.
func TestStream(t *testing.T, open func(t *testing.T) Stream) {
	for name, test := range map[string]func(*testing.T, Stream){
		"hands on what was sent":                     testStreamMessage,
		"keeps the order of a key":                   testStreamOrder,
		"gives at most what is asked for":            testStreamAtMost,
		"goes on where positions are kept":           testStreamOn,
		"gives again what was not kept":              testStreamAgain,
		"settles messages one by one":                testStreamSettle,
		"ends a session for good":                    testStreamOver,
		"ends a wait with its context":               testStreamContext,
		"says how far time has come":                 testStreamIdle,
		"shares partitions, and takes those of gone": testStreamShare,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// written returns the messages without the source's own words.
func written(all []vedette.Message) []vedette.Message {
	return slices.DeleteFunc(slices.Clone(all), func(m vedette.Message) bool { return m.Mark != "" })
}

func bodies(all []vedette.Message) []string {
	s := make([]string, len(all))
	for i, m := range all {
		s[i] = string(m.Body)
	}
	return s
}

// letters returns messages of keys a to z in turn, numbered from n.
func (s Stream) letters(n, count int) []vedette.Message {
	all := make([]vedette.Message, count)
	for i := range all {
		key := string(rune('a' + (n+i)%26))
		all[i] = vedette.Message{Topic: s.Topic, Key: []byte(key), Body: fmt.Appendf(nil, "%s%04d", key, n+i)}
	}
	return all
}

func (s Stream) publish(t testing.TB, m ...vedette.Message) {
	t.Helper()
	if err := s.Publisher.Publish(t.Context(), m...); err != nil {
		t.Fatalf("Publish: %v", err)
	}
}

func (s Stream) open(t testing.TB, p *positions) vedette.Session {
	t.Helper()
	session, err := s.Source(p.Claim).Open(t.Context())
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// receive returns the next messages, marks included, once there are n that somebody sent.
func receive(t testing.TB, s vedette.Session, n int) []vedette.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), streamWait)
	defer cancel()
	var all []vedette.Message
	for len(written(all)) < n {
		got, err := s.Receive(ctx, n-len(written(all)))
		if err != nil {
			t.Fatalf("Receive: %v", err)
		}
		all = append(all, got...)
		if ctx.Err() != nil {
			t.Fatalf("%d messages within %v, want %d", len(written(all)), streamWait, n)
		}
	}
	chained(t, all)
	return all
}

// chained checks that messages are in order, and each position where the one before it ends.
func chained(t testing.TB, all []vedette.Message) {
	t.Helper()
	next, tag := map[string]int64{}, uint64(0)
	for _, m := range all {
		at := placeOf(m.Position)
		if from, seen := next[at]; seen && m.Position.From != from {
			t.Errorf("%s goes on from %d after %d", at, m.Position.From, from)
		}
		if m.Mark == "" && m.Position.Next <= m.Position.From {
			t.Errorf("%s: a message from %d to %d", at, m.Position.From, m.Position.Next)
		}
		if m.Tag <= tag {
			t.Errorf("%s: tag %d after %d", at, m.Tag, tag)
		}
		next[at], tag = m.Position.Next, m.Tag
	}
}

// keep writes messages and settles them.
func keep(t testing.TB, s vedette.Session, p *positions, all []vedette.Message) {
	t.Helper()
	if err := p.write(all); err != nil {
		t.Fatalf("write: %v", err)
	}
	settle(t, s, vedette.Verdict{Tag: all[len(all)-1].Tag, UpTo: true, Do: vedette.Ack})
}

func settle(t testing.TB, s vedette.Session, v ...vedette.Verdict) {
	t.Helper()
	if err := s.Settle(t.Context(), v...); err != nil {
		t.Fatalf("Settle: %v", err)
	}
}

func testStreamMessage(t *testing.T, s Stream) {
	before := time.Now().Add(-time.Second)
	s.publish(t)
	s.publish(t, vedette.Message{
		Topic: s.Topic, Key: []byte("k"), Body: []byte("\x00body\xff"),
		Header: map[string]string{"one": "1", "two": ""},
	}, vedette.Message{Topic: s.Topic, Key: []byte("k")})
	all := written(receive(t, s.open(t, newPositions()), 2))
	m := all[0]
	if m.Topic != s.Topic || string(m.Key) != "k" || string(m.Body) != "\x00body\xff" {
		t.Errorf("got %+v, want what was sent", m)
	}
	same(t, "header", m.Header, map[string]string{"one": "1", "two": ""})
	if m.At.Before(before) || m.At.After(time.Now().Add(time.Second)) {
		t.Errorf("sent at %v, want now", m.At)
	}
	if m.Position.Topic != s.Topic || m.Position.Epoch != 1 || m.Position.From != -1 {
		t.Errorf("position %+v, want topic %s, epoch 1, from -1", m.Position, s.Topic)
	}
	if next := all[1]; len(next.Header) != 0 || len(next.Body) != 0 {
		t.Errorf("got %+v, want neither header nor body", next)
	}
}

func testStreamOrder(t *testing.T, s Stream) {
	for n := range 6 {
		s.publish(t, s.letters(n*130, 130)...)
	}
	last, partition := map[string]string{}, map[string]int32{}
	for _, m := range written(receive(t, s.open(t, newPositions()), 780)) {
		key := string(m.Key)
		if string(m.Body) <= last[key] {
			t.Errorf("key %s: %s after %s", key, m.Body, last[key])
		}
		if p, seen := partition[key]; seen && p != m.Position.Partition {
			t.Errorf("key %s is in partitions %d and %d", key, p, m.Position.Partition)
		}
		last[key], partition[key] = string(m.Body), m.Position.Partition
	}
}

func testStreamAtMost(t *testing.T, s Stream) {
	s.publish(t, s.letters(0, 20)...)
	session := s.open(t, newPositions())
	ctx, cancel := context.WithTimeout(t.Context(), streamWait)
	defer cancel()
	for got := 0; got < 20; {
		m, err := session.Receive(ctx, 3)
		if err != nil || len(m) > 3 || ctx.Err() != nil {
			t.Fatalf("%d messages, %v; want at most 3", len(m), err)
		}
		got += len(written(m))
	}
}

func testStreamOn(t *testing.T, s Stream) {
	s.publish(t, s.letters(0, 60)...)
	kept := newPositions()
	for range 3 {
		session := s.open(t, kept)
		keep(t, session, kept, receive(t, session, 20))
		if err := session.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	same(t, "kept, each message once", kept.bodies(), bodiesOf(s.letters(0, 60)))
}

func bodiesOf(all []vedette.Message) []string {
	return slices.Sorted(slices.Values(bodies(all)))
}

func testStreamAgain(t *testing.T, s Stream) {
	s.publish(t, s.letters(0, 60)...)
	kept := newPositions()
	first := s.open(t, kept)
	keep(t, first, kept, receive(t, first, 10))
	// These are settled, but no position says so: what is kept counts.
	lost := receive(t, first, 20)
	settle(t, first, vedette.Verdict{Tag: lost[len(lost)-1].Tag, UpTo: true, Do: vedette.Ack})
	receive(t, first, 5)
	if err := first.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	second := s.open(t, kept)
	keep(t, second, kept, receive(t, second, 50))
	same(t, "kept, each message once", kept.bodies(), bodiesOf(s.letters(0, 60)))
}

func testStreamSettle(t *testing.T, s Stream) {
	s.publish(t, s.letters(0, 40)...)
	kept := newPositions()
	session := s.open(t, kept)
	all := receive(t, session, 30)
	for _, m := range slices.Backward(all) {
		settle(t, session, vedette.Verdict{Tag: m.Tag, Do: vedette.Ack})
	}
	settle(t, session, vedette.Verdict{Tag: all[0].Tag, Do: vedette.Ack}) // once more says nothing new
	settle(t, session)
	if err := session.Settle(t.Context(), vedette.Verdict{Tag: all[0].Tag, Do: "sing"}); err == nil {
		t.Error("a verdict that nobody knows was taken")
	}
	if err := kept.write(append(all, receive(t, session, 10)...)); err != nil {
		t.Fatal(err)
	}
	same(t, "kept", kept.bodies(), bodiesOf(s.letters(0, 40)))
}

func testStreamOver(t *testing.T, s Stream) {
	s.publish(t, s.letters(0, 20)...)
	kept := newPositions()
	first := s.open(t, kept)
	all := receive(t, first, 10)
	if err := first.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	verdict := vedette.Verdict{Tag: all[len(all)-1].Tag, UpTo: true, Do: vedette.Ack}
	if err := first.Settle(t.Context(), verdict); !errors.Is(err, vedette.ErrLeaseLost) {
		t.Errorf("Settle after Close: %v, want ErrLeaseLost", err)
	}
	if m, err := first.Receive(t.Context(), 10); !errors.Is(err, vedette.ErrLeaseLost) {
		t.Errorf("Receive after Close: %d messages, %v, want ErrLeaseLost", len(m), err)
	}
	if err := first.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	second := s.open(t, kept)
	now := receive(t, second, 20)
	if err := kept.write(all); !errors.Is(err, vedette.ErrLeaseLost) {
		t.Errorf("write of what the first session read: %v, want ErrLeaseLost", err)
	}
	keep(t, second, kept, now)
	same(t, "kept, each message once", kept.bodies(), bodiesOf(s.letters(0, 20)))
}

func testStreamContext(t *testing.T, s Stream) {
	session := s.open(t, newPositions())
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if m, err := session.Receive(over, 10); len(written(m)) > 0 || err != nil {
		t.Errorf("Receive under an ended context: %v, %v; want nothing", m, err)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for short.Err() == nil {
		if m, err := session.Receive(short, 10); len(written(m)) > 0 || err != nil {
			t.Fatalf("Receive of nothing: %v, %v", m, err)
		}
	}
	if late := time.Since(deadline(short)); late > 5*time.Second {
		t.Errorf("Receive returned %v after its context's end", late)
	}
	s.publish(t, s.letters(0, 5)...)
	receive(t, session, 5)
}

func deadline(ctx context.Context) time.Time {
	at, _ := ctx.Deadline()
	return at
}

// testStreamIdle waits until each partition that has messages says that all that was sent by a
// time has been read, which it must not say before it gave them.
func testStreamIdle(t *testing.T, s Stream) {
	s.publish(t, s.letters(0, 52)...)
	after := time.Now()
	kept := newPositions()
	session := s.open(t, kept)
	ctx, cancel := context.WithTimeout(t.Context(), streamWait)
	defer cancel()
	partitions := map[string]bool{}
	told := map[string]bool{}
	for len(partitions) < 2 || len(told) < len(partitions) {
		all, err := session.Receive(ctx, 100)
		if err != nil || ctx.Err() != nil {
			t.Fatalf("%d of %d partitions came to rest, then %v", len(told), len(partitions), errors.Join(err, ctx.Err()))
		}
		for _, m := range all {
			partitions[placeOf(m.Position)] = true
			if m.Position.Through.After(time.Now()) {
				t.Errorf("through %v, which is to come", m.Position.Through)
			}
			if m.Position.Through.After(after) {
				told[placeOf(m.Position)] = true
			} else if m.Mark == "" && told[placeOf(m.Position)] {
				t.Errorf("%s came after its partition was at rest", m.Body)
			}
		}
		if len(all) > 0 {
			keep(t, session, kept, all)
		}
	}
	same(t, "kept when all partitions are at rest", kept.bodies(), bodiesOf(s.letters(0, 52)))
}

func testStreamShare(t *testing.T, s Stream) {
	kept := newPositions()
	one := &streamReader{source: s.Source(kept.Claim), kept: kept}
	two := &streamReader{source: s.Source(kept.Claim), kept: kept}
	var running sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), streamWait)
	defer cancel()
	start := func(r *streamReader) context.CancelFunc {
		ctx, stop := context.WithCancel(ctx)
		running.Go(func() {
			if err := r.run(ctx); err != nil {
				t.Errorf("reader: %v", err)
			}
		})
		return stop
	}
	stopOne, stopTwo := start(one), start(two)
	count := 0
	send := func() {
		s.publish(t, s.letters(count, 26)...)
		count += 26
		if !kept.await(ctx, count) {
			t.Fatalf("%d of %d messages were read", len(kept.bodies()), count)
		}
	}
	for one.keys() == "" || two.keys() == "" {
		send()
	}
	stopOne()
	before := len(two.keys())
	for len(two.keys()) < before+26 {
		send()
	}
	stopTwo()
	running.Wait()
	same(t, "kept, each message once", kept.bodies(), bodiesOf(s.letters(0, count)))
}
