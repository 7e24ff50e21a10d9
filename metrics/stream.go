package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Stream is the meter of what package record keeps of a stream.
type Stream struct {
	messages prometheus.Histogram
	bytes    prometheus.Histogram
	took     prometheus.Histogram
	fenced   prometheus.Counter
	dead     *prometheus.CounterVec
	lost     prometheus.Counter
}

func newStream(f factory) *Stream {
	s := &Stream{
		messages: f.histogram("vedette_record_batch_messages", "Messages in a batch that was recorded.", []float64{1, 10, 100, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000}),
		bytes:    f.histogram("vedette_record_batch_bytes", "Bytes in a batch that was recorded.", prometheus.ExponentialBuckets(1<<10, 4, 8)),
		took:     f.histogram("vedette_record_batch_seconds", "Time to decode, judge and write a batch.", fine()),
		fenced:   f.counter("vedette_record_fenced_total", "Batches dropped because another process owns their partitions."),
		dead:     f.counters("vedette_dead_letters_total", "Messages that became dead letters, by class of reason.", "class"),
		lost:     f.counter("vedette_record_lost_messages_total", "Messages that were gone before they were read."),
	}
	for _, class := range []string{"undecodable", "invalid", "out_of_range", "refused"} {
		s.dead.WithLabelValues(class)
	}
	return s
}

// Stream returns the meter of what package record keeps of a stream.
func (m *Metrics) Stream() *Stream { return m.stream }

// Committed counts a batch that was recorded.
func (s *Stream) Committed(messages, bytes int, took time.Duration) {
	s.messages.Observe(float64(messages))
	s.bytes.Observe(float64(bytes))
	s.took.Observe(took.Seconds())
}

// Fenced counts a batch that was dropped because another process owns its partitions.
func (s *Stream) Fenced() { s.fenced.Inc() }

// Dead counts a dead letter.
func (s *Stream) Dead(class string) { s.dead.WithLabelValues(label(class)).Inc() }

// Lost counts messages that were gone before they were read.
func (s *Stream) Lost(messages int64) { s.lost.Add(float64(messages)) }
