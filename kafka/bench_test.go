package kafka_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/kafka"
	"github.com/vedettehq/vedette/memory"
)

// benchTopic makes a topic of a real Kafka, and n messages of 80 bytes.
func benchTopic(b *testing.B, n int) (kafka.Config, []vedette.Message) {
	c := kafka.Config{Brokers: []string{server(b)}, Prefix: prefix(b), Compression: "lz4"}
	remove(b, c)
	ensure(b, c, 8)
	body := []byte(strings.Repeat("0123456789abcdef", 5))
	all := make([]vedette.Message, n)
	for i := range all {
		all[i] = vedette.Message{Topic: "results", Key: fmt.Appendf(nil, "site-%d", i%10000), Body: body}
	}
	return c, all
}

// BenchmarkPublish sends batches of 500 from several senders at once.
func BenchmarkPublish(b *testing.B) {
	for _, senders := range []int{1, 4} {
		b.Run(fmt.Sprintf("senders=%d", senders), func(b *testing.B) {
			c, all := benchTopic(b, 500)
			p := publisher(b, c)
			b.ReportAllocs()
			b.ResetTimer()
			var running sync.WaitGroup
			for i := range senders {
				running.Go(func() {
					for n := i; n < b.N; n += senders {
						if err := p.Publish(b.Context(), all...); err != nil {
							b.Error(err)
						}
					}
				})
			}
			running.Wait()
			b.ReportMetric(float64(b.N)*500/b.Elapsed().Seconds(), "msgs/s")
		})
	}
}

// BenchmarkReceive counts messages: ns, B and allocs are those of one.
func BenchmarkReceive(b *testing.B) {
	c, all := benchTopic(b, 10000)
	p := publisher(b, c)
	for sent := 0; sent < b.N; sent += len(all) {
		if err := p.Publish(b.Context(), all...); err != nil {
			b.Fatal(err)
		}
	}
	store := memory.New()
	s := open(b, source(b, c, kafka.Reading{
		Group: "bench", Topics: []string{"results"},
		Claim: func(ctx context.Context, p ...vedette.Position) ([]vedette.Position, error) {
			return store.Positions().Claim(ctx, "bench", p...)
		},
	}))
	b.ReportAllocs()
	b.ResetTimer()
	for got := 0; got < b.N; {
		m, err := s.Receive(b.Context(), 10000)
		if err != nil {
			b.Fatal(err)
		}
		for _, one := range m {
			if one.Mark == "" {
				got++
			}
		}
		if len(m) > 0 {
			if err := s.Settle(b.Context(), last(m)); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}
