package kafka_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/kafka"
	"github.com/vedettehq/vedette/storetest"
)

// server returns the address of a real Kafka.
func server(t testing.TB) string {
	t.Helper()
	addr := os.Getenv("VEDETTE_TEST_KAFKA")
	if addr == "" {
		const why = "VEDETTE_TEST_KAFKA is not set: run dev/services up"
		if os.Getenv("CI") == "true" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	return addr
}

// fake starts a cluster, and returns the way to it.
func fake(t testing.TB, opts ...kfake.Opt) (*kfake.Cluster, kafka.Config) {
	t.Helper()
	opts = append([]kfake.Opt{kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(time.Second)}, opts...)
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, kafka.Config{Brokers: c.ListenAddrs()}
}

// prefix returns one that no other test uses, for a cluster that is shared.
func prefix(t testing.TB) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, t.Name())
	return fmt.Sprintf("%.120s.%d.", name, time.Now().UnixNano())
}

func publisher(t testing.TB, c kafka.Config) *kafka.Publisher {
	t.Helper()
	p, err := kafka.NewPublisher(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return p
}

func source(t testing.TB, c kafka.Config, r kafka.Reading) *kafka.Source {
	t.Helper()
	s, err := kafka.NewSource(c, r)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ensure(t testing.TB, c kafka.Config, partitions int32) {
	t.Helper()
	if warning, err := kafka.EnsureTopic(t.Context(), c, "results", partitions, 0); err != nil || warning != "" {
		t.Fatalf("EnsureTopic: %q, %v", warning, err)
	}
}

func open(t testing.TB, s *kafka.Source) vedette.Session {
	t.Helper()
	session, err := s.Open(t.Context())
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

func stream(t *testing.T, c kafka.Config) storetest.Stream {
	c.Heartbeat = 100 * time.Millisecond
	ensure(t, c, 3)
	return storetest.Stream{
		Topic: "results", Publisher: publisher(t, c),
		Source: func(claim storetest.StreamClaim) vedette.Source {
			return source(t, c, kafka.Reading{
				Group: "recorders", Topics: []string{"results"}, Claim: claim, Idle: 50 * time.Millisecond,
			})
		},
	}
}

func TestStream(t *testing.T) {
	t.Run("fake", func(t *testing.T) {
		storetest.TestStream(t, func(t *testing.T) storetest.Stream {
			_, c := fake(t)
			return stream(t, c)
		})
	})
	t.Run("real", func(t *testing.T) {
		broker := server(t)
		storetest.TestStream(t, func(t *testing.T) storetest.Stream {
			c := kafka.Config{Brokers: []string{broker}, Prefix: prefix(t)}
			remove(t, c)
			return stream(t, c)
		})
	})
}

// remove deletes the topic "results" after the test.
func remove(t testing.TB, c kafka.Config) {
	adm := kadm.NewClient(client(t, c))
	t.Cleanup(func() {
		if _, err := adm.DeleteTopic(context.Background(), c.Prefix+"results"); err != nil {
			t.Errorf("delete topic: %v", err)
		}
	})
}

// client returns a client of the test's own.
func client(t testing.TB, c kafka.Config, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	opts = append(opts, kgo.SeedBrokers(c.Brokers...))
	if c.Dialer != nil {
		opts = append(opts, kgo.Dialer(c.Dialer))
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}
