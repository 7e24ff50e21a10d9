package record_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/codec"
	"github.com/vedettehq/vedette/kafka"
	"github.com/vedettehq/vedette/postgres"
	"github.com/vedettehq/vedette/postgres/pgtest"
	"github.com/vedettehq/vedette/record"
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

// run records beside the test until the test ends.
func (l *line) run(t *testing.T, edit func(*record.StreamConfig)) {
	t.Helper()
	source, err := kafka.NewSource(l.kafka, kafka.Reading{Group: l.topic, Topics: []string{l.topic}, Claim: l.claim})
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, record.Config{
		Monitors: l.store.Monitors(), Writer: l.store, Reader: l.store, Keeper: l.store, Shared: true,
		Letters: l.store.Letters(), Dead: l.publisher, DeadTopic: l.topic + ".dead",
		Retention: vedette.Retention{Results: 30 * 24 * time.Hour},
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

func (l *line) claim(ctx context.Context, p ...vedette.Position) ([]vedette.Position, error) {
	return l.store.Positions().Claim(ctx, "test", p...)
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
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited a minute for %s", what)
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
	messages := make([]vedette.Message, 0, len(all)+10)
	add := func(key vedette.MonitorID, body []byte) {
		messages = append(messages, vedette.Message{Topic: l.topic, Key: []byte(key), Body: body})
	}
	encode := func(r vedette.Result) []byte {
		body, err := l.codec.Encode(nil, &r)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	for i, r := range all {
		add(r.Monitor, encode(r))
		if i != len(all)/2 {
			continue
		}
		add("m01", []byte("no result"))
		add("m02", []byte(strings.Replace(jsonOf(t, look("m02", time.Now(), vedette.Down)), "status is 500", `status \u0000 500`, 1)))
		add("m03", []byte(strings.Replace(jsonOf(t, look("m03", time.Now(), vedette.Down)), "status is 500", "status \xff 500", 1)))
		add("m04", encode(look("m04", time.Now().Add(-40*24*time.Hour), vedette.Up)))
		poison := look("m05", time.Now(), vedette.Down)
		poison.Failure.Message = "poison"
		add("m05", encode(poison))
	}
	for piece := range slices.Chunk(messages, 1000) {
		if err := l.publisher.Publish(t.Context(), piece...); err != nil {
			t.Fatal(err)
		}
	}
	l.run(t, nil)
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
