package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Kafka is the meter of package kafka.
type Kafka struct {
	produced      *prometheus.CounterVec
	producedBytes *prometheus.CounterVec
	produceErrors *prometheus.CounterVec
	produceTime   prometheus.Histogram
	consumed      *prometheus.CounterVec
	lag           *prometheus.GaugeVec
	lagTime       *prometheus.GaugeVec
	assigned      prometheus.Gauge
	rebalances    prometheus.Counter
	ended         *prometheus.CounterVec
}

func newKafka(f factory) *Kafka {
	return &Kafka{
		produced:      f.counters("vedette_kafka_produced_records_total", "Records that Kafka has confirmed.", "topic"),
		producedBytes: f.counters("vedette_kafka_produced_bytes_total", "Bytes of key, body and header of confirmed records, before compression.", "topic"),
		produceErrors: f.counters("vedette_kafka_produce_errors_total", "Batches of records that were not confirmed.", "topic"),
		produceTime:   f.histogram("vedette_kafka_produce_seconds", "Time until a batch of records was confirmed, failures included.", fine()),
		consumed:      f.counters("vedette_kafka_consumed_records_total", "Records received, those received again included.", "topic"),
		lag:           f.gauges("vedette_kafka_lag_records", "Records of a partition that are not received yet.", "topic", "partition"),
		lagTime:       f.gauges("vedette_kafka_lag_seconds", "Age of the last record received of a partition while there are others behind it, else 0.", "topic", "partition"),
		assigned:      f.gauge("vedette_kafka_partitions_assigned", "Partitions that this process reads."),
		rebalances:    f.counter("vedette_kafka_rebalances_total", "Times that the partitions which this process reads have changed."),
		ended:         f.counters("vedette_kafka_sessions_ended_total", "Sessions that are over, by cause.", "cause"),
	}
}

// Kafka returns the meter of package kafka.
func (m *Metrics) Kafka() *Kafka { return m.kafka }

// Produced counts records that were to be confirmed.
func (k *Kafka) Produced(topic string, records, bytes int, took time.Duration, ok bool) {
	k.produceTime.Observe(took.Seconds())
	if !ok {
		k.produceErrors.WithLabelValues(label(topic)).Inc()
		return
	}
	k.produced.WithLabelValues(label(topic)).Add(float64(records))
	k.producedBytes.WithLabelValues(label(topic)).Add(float64(bytes))
}

// Consumed counts records that were received.
func (k *Kafka) Consumed(topic string, records int) {
	k.consumed.WithLabelValues(label(topic)).Add(float64(records))
}

// Lag takes how far the reading of a partition is behind; below 0 it is no longer read here.
func (k *Kafka) Lag(topic string, partition int32, offsets int64, age time.Duration) {
	topic, number := label(topic), strconv.Itoa(int(partition))
	if offsets < 0 {
		k.lag.DeleteLabelValues(topic, number)
		k.lagTime.DeleteLabelValues(topic, number)
		return
	}
	k.lag.WithLabelValues(topic, number).Set(float64(offsets))
	k.lagTime.WithLabelValues(topic, number).Set(age.Seconds())
}

// Assigned takes by how much the partitions that are read here have changed.
func (k *Kafka) Assigned(change int) {
	k.assigned.Add(float64(change))
	k.rebalances.Inc()
}

// Ended counts a session that is over.
func (k *Kafka) Ended(cause string) { k.ended.WithLabelValues(label(cause)).Inc() }
