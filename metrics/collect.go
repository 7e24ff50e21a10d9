package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vedettehq/vedette"
)

// Describe tells the registry what there will be.
func (t *monitors) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		t.up, t.degraded, t.phase, t.code, t.notAfter, t.openIncident, t.cutCount, t.incidents,
	} {
		ch <- d
	}
}

// Collect makes metrics of the rows. It copies them out of the table first: a scrape that is
// read slowly must not hold up a look.
func (t *monitors) Collect(ch chan<- prometheus.Metric) {
	t.mu.RLock()
	rows := make([]*row, 0, len(t.shown))
	for _, r := range t.shown {
		rows = append(rows, r)
	}
	cut, open := len(t.cut), len(t.open)
	t.mu.RUnlock()
	send(ch, t.cutCount, float64(cut), nil)
	send(ch, t.incidents, float64(open), nil)
	for _, r := range rows {
		r.mu.Lock()
		labels, seen, status := r.labels, r.look, r.status
		r.mu.Unlock()
		t.collectVerdict(ch, labels, status)
		t.collectLook(ch, labels, seen)
	}
}

func (t *monitors) collectVerdict(ch chan<- prometheus.Metric, labels []string, v verdict) {
	if v.state == "" {
		return
	}
	send(ch, t.openIncident, number(v.open), labels)
	switch v.state {
	case vedette.Up, vedette.Degraded, vedette.Down:
		send(ch, t.up, number(v.state != vedette.Down), labels)
		send(ch, t.degraded, number(v.state == vedette.Degraded), labels)
	case vedette.Unknown, vedette.Maintenance, vedette.Paused:
	}
}

func (t *monitors) collectLook(ch chan<- prometheus.Metric, labels []string, l look) {
	if !l.known {
		return
	}
	times := phaseTimes(&l.phases)
	for i, name := range phaseNames() {
		if times[i] > 0 {
			send(ch, t.phase, times[i].Seconds(), append(slices.Clip(labels), name))
		}
	}
	if l.code >= 100 { // below are the codes of DNS
		send(ch, t.code, float64(l.code), labels)
	}
	if l.notAfter > 0 {
		send(ch, t.notAfter, l.notAfter, labels)
	}
}

func send(ch chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels []string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
