package metrics

import "github.com/prometheus/client_golang/prometheus"

// Spool is the meter of package spool.
type Spool struct {
	waiting  prometheus.Gauge
	bytes    prometheus.Gauge
	spooled  prometheus.Counter
	replayed prometheus.Counter
	dropped  *prometheus.CounterVec
	refused  prometheus.Counter
}

func newSpool(f factory) *Spool {
	s := &Spool{
		waiting:  f.gauge("vedette_spool_results", "Results that wait on disk to be sent."),
		bytes:    f.gauge("vedette_spool_bytes", "Disk that results which wait take."),
		spooled:  f.counter("vedette_spool_spooled_total", "Results that went to disk."),
		replayed: f.counter("vedette_spool_replayed_total", "Results that went on from disk."),
		dropped:  f.counters("vedette_spool_dropped_total", "Results that were kept on disk and will never be sent, by reason.", "reason"),
		refused:  f.counter("vedette_spool_refused_total", "Results that the spool did not take, since it was full or its disk failed; their sender tries again."),
	}
	for _, reason := range []string{"full", "refused", "damaged", "undecodable"} {
		s.dropped.WithLabelValues(reason)
	}
	return s
}

// Spool returns the meter of package spool.
func (m *Metrics) Spool() *Spool { return m.spool }

// Waiting takes how many results wait on disk, and how much of it they take.
func (s *Spool) Waiting(results, bytes int64) {
	s.waiting.Set(float64(results))
	s.bytes.Set(float64(bytes))
}

// Spooled counts results that went to disk.
func (s *Spool) Spooled(n int) { s.spooled.Add(float64(n)) }

// Replayed counts results that went on from disk.
func (s *Spool) Replayed(n int) { s.replayed.Add(float64(n)) }

// Dropped counts results that will never be sent.
func (s *Spool) Dropped(reason string, n int) {
	s.dropped.WithLabelValues(label(reason)).Add(float64(n))
}

// Refused counts results that the spool did not take.
func (s *Spool) Refused(n int) { s.refused.Add(float64(n)) }
