// Package metrics shows what Vedette does as Prometheus metrics. It wraps contracts of the root
// ([Metrics.Sink], [Metrics.Writer]) and is the meter of package watch for what no contract
// shows. The metrics and their labels are listed in docs/metrics.md.
package metrics

import (
	"cmp"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/vedettehq/vedette"
)

// A Config says what to show. The zero value works.
type Config struct {
	Version string // of Vedette, for vedette_build_info
	Region  string // of this process, the label region of monitors
	// Labels names the labels of monitors that become labels of their series. Characters that
	// a label name may not have become "_"; a name that the series have already gets the
	// prefix "label_".
	Labels []string
	// MaxMonitors is how many monitors have series of their own. The rest is counted in
	// vedette_monitor_series_cut. 0 means 10,000; below 0 none has.
	MaxMonitors int
}

// Metrics counts, and shows the counts. All its methods are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	monitors *monitors
	kafka    *Kafka
	stream   *Stream
	spool    *Spool
	jobs     *Jobs
	looks
	store
	config
}

// looks are the metrics of checks being made.
type looks struct {
	checks   *prometheus.CounterVec
	phases   [6]prometheus.Observer
	lag      prometheus.Histogram
	missed   *prometheus.CounterVec
	inFlight prometheus.Gauge
	queued   prometheus.Gauge
	held     prometheus.Gauge
}

// store are the metrics of results being kept.
type store struct {
	rows        *prometheus.GaugeVec
	bytes       prometheus.Gauge
	writes      prometheus.Histogram
	writeErrors *prometheus.CounterVec
	batches     prometheus.Histogram
	sends       prometheus.Histogram
	sendErrors  *prometheus.CounterVec
	kept        prometheus.Counter
	refused     prometheus.Counter
	late        prometheus.Counter
}

// config are the metrics of the configuration file.
type config struct {
	reloaded prometheus.Gauge
	reloadAt prometheus.Gauge
}

// New returns Metrics with a registry of their own, which has the Go runtime and the process in
// it too.
func New(c Config) *Metrics {
	f := factory{prometheus.NewRegistry()}
	m := &Metrics{
		registry: f.registry,
		monitors: newMonitors(c.Region, c.Labels, cmp.Or(c.MaxMonitors, 10_000)),
		kafka:    newKafka(f),
		stream:   newStream(f),
		spool:    newSpool(f),
		jobs:     newJobs(f),
		looks:    newLooks(f),
		store:    newStore(f),
		config:   newConfig(f),
	}
	info := f.gauges("vedette_build_info", "What is running; always 1.", "version", "goversion")
	info.WithLabelValues(label(cmp.Or(c.Version, "unknown")), runtime.Version()).Set(1)
	f.registry.MustRegister(m.monitors,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the metrics in every format that Prometheus asks for.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Define shows series for these monitors, or changes their labels, as far as the limit allows.
func (m *Metrics) Define(monitors ...vedette.Monitor) {
	for _, one := range monitors {
		m.monitors.define(one)
	}
}

// Remove ends the series of these monitors and makes room for others.
func (m *Metrics) Remove(ids ...vedette.MonitorID) {
	for _, id := range ids {
		m.monitors.remove(id)
	}
}

// Judged takes the verdict on a monitor, unless it has a newer one. [Metrics.Writer] calls it for
// what it has written; what was written earlier, or by another process, is for the caller to tell.
func (m *Metrics) Judged(s vedette.Status) { m.monitors.judged(s) }

// Reloaded says whether the configuration was read well just now.
func (m *Metrics) Reloaded(ok bool) {
	if !ok {
		m.reloaded.Set(0)
		return
	}
	m.reloaded.Set(1)
	m.reloadAt.Set(seconds(time.Now()))
}

// Rows takes the size of the store.
func (m *Metrics) Rows(s vedette.Size) {
	for table, n := range s.Rows {
		m.rows.WithLabelValues(label(table)).Set(float64(n))
	}
	m.bytes.Set(float64(s.Bytes))
}

func seconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

func newConfig(f factory) config {
	return config{
		reloaded: f.gauge("vedette_config_last_reload_successful", "Whether the last reading of the configuration succeeded."),
		reloadAt: f.gauge("vedette_config_last_reload_success_timestamp_seconds", "When the configuration was last read well."),
	}
}
