package record_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/codec"
	"github.com/vedettehq/vedette/kafka"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/postgres"
	"github.com/vedettehq/vedette/postgres/pgtest"
	"github.com/vedettehq/vedette/record"
	"github.com/vedettehq/vedette/storetest"
)

// broker returns a real Kafka for tests.
func broker(t *testing.T) kafka.Config {
	t.Helper()
	address := os.Getenv("VEDETTE_TEST_KAFKA")
	switch {
	case address != "":
	case os.Getenv("CI") == "true":
		t.Fatal("VEDETTE_TEST_KAFKA is not set: run dev/services up")
	default:
		t.Skip("VEDETTE_TEST_KAFKA is not set: run dev/services up")
	}
	return kafka.Config{Brokers: []string{address}}
}

// A line is the whole way from a topic of real Kafka into real PostgreSQL.
type line struct {
	url       string
	store     *postgres.Store
	kafka     kafka.Config
	publisher *kafka.Publisher
	codec     *codec.Codec
	topic     string
}

func newLine(t *testing.T, monitors ...vedette.Monitor) *line {
	t.Helper()
	l := &line{url: pgtest.Schema(t), kafka: broker(t), topic: fmt.Sprintf("record-%d", time.Now().UnixNano())}
	var err error
	if l.store, err = postgres.Open(t.Context(), l.url, postgres.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.store.Close() })
	if err := l.store.Monitors().Put(t.Context(), monitors...); err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{l.topic, l.topic + ".dead"} {
		if _, err := kafka.EnsureTopic(t.Context(), l.kafka, topic, 4, 1); err != nil {
			t.Fatal(err)
		}
	}
	if l.publisher, err = kafka.NewPublisher(l.kafka); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.publisher.Close() })
	if l.codec, err = codec.New(codec.Config{}); err != nil {
		t.Fatal(err)
	}
	return l
}

// run records into store beside the test, until the test ends.
func (l *line) run(t *testing.T, store *postgres.Store, source vedette.Source, edit func(*record.StreamConfig)) {
	t.Helper()
	r := start(t, record.Config{
		Monitors: store.Monitors(), Writer: store, Reader: store, Keeper: store, Shared: true,
		Letters: store.Letters(), Dead: l.publisher, DeadTopic: l.topic + ".dead",
		Retention: vedette.Retention{Results: 30 * 24 * time.Hour},
		Through:   func(context.Context) (time.Time, error) { return time.Time{}, nil }, // nobody is silent
	})
	cfg := record.StreamConfig{Source: source, Decode: l.decode}
	if edit != nil {
		edit(&cfg)
	}
	s, err := r.Stream(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(begin(t, vedette.PartFunc(func(ctx context.Context) error { return vedette.Run(ctx, r, s) })))
}

// source reads the topic with positions in store.
func (l *line) source(t *testing.T, store *postgres.Store, rebalance time.Duration) vedette.Source {
	t.Helper()
	cfg := l.kafka
	cfg.Rebalance = rebalance
	s, err := kafka.NewSource(cfg, kafka.Reading{Group: l.topic, Topics: []string{l.topic}, Claim: claim(store)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func claim(store *postgres.Store) func(context.Context, ...vedette.Position) ([]vedette.Position, error) {
	return func(ctx context.Context, p ...vedette.Position) ([]vedette.Position, error) {
		return store.Positions().Claim(ctx, "test", p...)
	}
}

// proxied returns a proxy to the database, and a store behind it.
func (l *line) proxied(t *testing.T) (*storetest.Proxy, *postgres.Store) {
	t.Helper()
	u, err := url.Parse(l.url)
	if err != nil {
		t.Fatal(err)
	}
	p := storetest.NewProxy(t, u.Host)
	u.Host = p.Addr()
	s, err := postgres.Open(t.Context(), u.String(), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return p, s
}

// messages are results as they travel.
func (l *line) messages(t *testing.T, results []vedette.Result) []vedette.Message {
	t.Helper()
	all := make([]vedette.Message, len(results))
	for i, r := range results {
		body, err := l.codec.Encode(nil, &r)
		if err != nil {
			t.Fatal(err)
		}
		all[i] = vedette.Message{Topic: l.topic, Key: []byte(r.Monitor), Body: body}
	}
	return all
}

func publish(t *testing.T, p vedette.Publisher, messages []vedette.Message) {
	t.Helper()
	for piece := range slices.Chunk(messages, 1000) {
		if err := p.Publish(t.Context(), piece...); err != nil {
			t.Fatal(err)
		}
	}
}

// checkOnce holds that n results are kept, each once, with a verdict each.
func (l *line) checkOnce(t *testing.T, n int64) {
	t.Helper()
	for _, sum := range []string{"count(*) from results", "count(distinct id) from results", "sum(seq) from statuses"} {
		if got := pgtest.Query(t, l.url, "select "+sum); got != n {
			t.Errorf("%s is %d, want %d", sum, got, n)
		}
	}
}

func (l *line) decode(ctx context.Context, m *vedette.Message, r *vedette.Result) (bool, error) {
	if err := l.codec.Decode(ctx, m.Body, r); err != nil {
		return false, fmt.Errorf("%w: %w", err, vedette.ErrRefused)
	}
	return codec.Resent(*m), nil
}

func (l *line) count(t *testing.T, what string) int64 {
	t.Helper()
	return pgtest.Query(t, l.url, "select count(*) from "+what)
}

// until waits for what must come about by itself.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited two minutes for %s", what)
		}
	}
}

// Bytes that are nothing, texts that PostgreSQL does not take, times out of range, and a row
// that it refuses for a reason of its own, in the middle of 10,000.
func TestPoisonOnRealServers(t *testing.T) {
	ids, monitors := names(100)
	l := newLine(t, monitors...)
	pgtest.Exec(t, l.url, "alter table results add check (message <> 'poison')")
	all := rounds(ids, time.Now().Add(-100*time.Second), 100)
	messages := l.messages(t, all)
	extra := func(key vedette.MonitorID, body string) {
		messages = slices.Insert(messages, len(messages)/2, vedette.Message{Topic: l.topic, Key: []byte(key), Body: []byte(body)})
	}
	extra("m01", "no result")
	extra("m02", strings.Replace(jsonOf(t, look("m02", time.Now(), vedette.Down)), "status is 500", `status \u0000 500`, 1))
	extra("m03", strings.Replace(jsonOf(t, look("m03", time.Now(), vedette.Down)), "status is 500", "status \xff 500", 1))
	extra("m04", jsonOf(t, look("m04", time.Now().Add(-40*24*time.Hour), vedette.Up)))
	poison := look("m05", time.Now(), vedette.Down)
	poison.Failure.Message = "poison"
	extra("m05", jsonOf(t, poison))
	publish(t, l.publisher, messages)
	l.run(t, l.store, l.source(t, l.store, 0), nil)
	until(t, "all results to be kept", func() bool { return l.count(t, "results") >= int64(len(all)) })
	until(t, "dead letters to be sent on", func() bool { return l.count(t, "dead_letters where sent_at is not null") >= 5 })
	if n := l.count(t, "results"); n != int64(len(all)) {
		t.Errorf("%d results are kept, want %d", n, len(all))
	}
	for class, want := range map[string]int64{"undecodable": 2, "invalid": 1, "out_of_range": 1, "refused": 1} {
		if n := l.count(t, "dead_letters where reason like '"+class+":%'"); n != want {
			t.Errorf("%d dead letters %s, want %d", n, class, want)
		}
	}
	l.readDead(t, 5)
}

// cuts is how often the connection is cut while it commits.
var cuts = flag.Int("cuts", 40, "connections to cut in the middle of COMMIT")

// Whether the server got the COMMIT or not, each result is kept once.
func TestConnectionsAreCutInCommit(t *testing.T) {
	ids, monitors := names(20)
	l := newLine(t, monitors...)
	proxy, store := l.proxied(t)
	stream := memory.NewStream(3)
	before := false
	proxy.CutWhen(func(chunk []byte) bool {
		return bytes.Contains(bytes.ToLower(chunk), []byte("commit"))
	}, before)
	l.run(t, store, stream.Source("vedette", l.topic, claim(store)), func(c *record.StreamConfig) {
		c.Lanes, c.Count, c.Age = 1, 30, 5*time.Millisecond
	})
	n, began := 0, time.Now().Add(-24*time.Hour/2)
	for proxy.Cuts() < *cuts {
		publish(t, stream, l.messages(t, rounds(ids, began.Add(time.Duration(n)*time.Second), 1)))
		n++
		time.Sleep(20 * time.Millisecond)
		if n%25 == 0 { // let some through
			proxy.CutWhen(nil, false)
			until(t, "results to be kept", func() bool { return l.count(t, "results") == int64(n*len(ids)) })
			before = !before
			proxy.CutWhen(func(chunk []byte) bool { return bytes.Contains(bytes.ToLower(chunk), []byte("commit")) }, before)
		}
	}
	proxy.CutWhen(nil, false)
	until(t, "results to be kept", func() bool { return l.count(t, "results") >= int64(n*len(ids)) })
	l.checkOnce(t, int64(n*len(ids)))
}

// A recorder that is stopped with half of its COPY sent holds locks on what its successor needs.
func TestRecorderIsStoppedInTheMiddleOfCopy(t *testing.T) {
	ids, monitors := names(100)
	l := newLine(t, monitors...)
	proxy, store := l.proxied(t)
	all := rounds(ids, time.Now().Add(-200*time.Second), 200)
	publish(t, l.publisher, l.messages(t, all))
	sent, half := 0, make(chan struct{})
	var once sync.Once
	proxy.CutWhen(func(chunk []byte) bool {
		if sent += len(chunk); sent > 200_000 {
			proxy.Pause(storetest.BothWays)
			once.Do(func() { close(half) })
		}
		return false
	}, false)
	l.run(t, store, l.source(t, store, 2*time.Second), nil)
	<-half
	began := time.Now()
	l.run(t, l.store, l.source(t, l.store, 2*time.Second), nil)
	until(t, "the successor to keep everything", func() bool { return l.count(t, "results") == int64(len(all)) })
	t.Logf("the successor had written all %s after its start", time.Since(began).Round(100*time.Millisecond))
	proxy.CutWhen(nil, false)
	proxy.Resume(storetest.BothWays)
	more := rounds(ids, time.Now(), 5)
	publish(t, l.publisher, l.messages(t, more))
	until(t, "further results", func() bool { return l.count(t, "results") >= int64(len(all)+len(more)) })
	l.checkOnce(t, int64(len(all)+len(more)))
}

// readDead reads the letters as anybody would.
func (l *line) readDead(t *testing.T, want int) {
	t.Helper()
	source, err := kafka.NewSource(l.kafka, kafka.Reading{Group: l.topic + "-dead", Topics: []string{l.topic + ".dead"}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := source.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	got := 0
	until(t, "dead letters in their topic", func() bool {
		messages, err := s.Receive(t.Context(), 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			if m.Mark != "" {
				continue
			}
			got++
			if m.Header["dead-topic"] != l.topic || m.Header["dead-reason"] == "" || len(m.Body) == 0 {
				t.Errorf("dead letter %q with header %v", m.Body, m.Header)
			}
		}
		return got >= want
	})
}
