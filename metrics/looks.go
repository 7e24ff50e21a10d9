package metrics

import (
	"time"

	"github.com/vedettehq/vedette"
)

func newLooks(f factory) looks {
	l := looks{
		checks:   f.counters("vedette_checks_total", "Checks made, by what each of them saw.", "state", "kind"),
		lag:      f.histogram("vedette_schedule_lag_seconds", "How much later than due checks began.", fine()),
		missed:   f.counters("vedette_checks_missed_total", "Checks that were due and not made or not kept, by reason.", "reason"),
		inFlight: f.gauge("vedette_checks_in_flight", "Checks being made now."),
		queued:   f.gauge("vedette_results_queued", "Results that wait to be kept."),
		held:     f.gauge("vedette_shards_held", "Shards of monitors that this process looks after."),
	}
	phases := f.histograms("vedette_check_phase_seconds", "Where the time of checks went, as far as they got.", fine(), "phase")
	for i, name := range phaseNames() {
		l.phases[i] = phases.WithLabelValues(name)
	}
	// What there is from the beginning, at 0, is seen to grow by the first one too.
	for _, reason := range []string{"overlap", "capacity", "sink", "lease", "late", "stop", "refused"} {
		l.missed.WithLabelValues(reason)
	}
	l.checks.WithLabelValues(string(vedette.Up), "")
	for _, k := range vedette.Kinds() {
		l.checks.WithLabelValues(string(vedette.Down), string(k))
	}
	return l
}

func phaseNames() [6]string {
	return [6]string{"dns", "connect", "tls", "request", "ttfb", "transfer"}
}

func phaseTimes(p *vedette.Phases) [6]time.Duration {
	return [6]time.Duration{p.DNS, p.Connect, p.TLS, p.Request, p.TTFB, p.Transfer}
}

// Lag takes how much later than due a check began.
func (m *Metrics) Lag(d time.Duration) { m.lag.Observe(max(d, 0).Seconds()) }

// Missed counts n checks that were due and not made.
func (m *Metrics) Missed(reason string, n int) {
	m.missed.WithLabelValues(label(reason)).Add(float64(n))
}

// InFlight takes how many checks are being made now.
func (m *Metrics) InFlight(n int) { m.inFlight.Set(float64(n)) }

// Queued takes how many results wait to be kept.
func (m *Metrics) Queued(n int) { m.queued.Set(float64(n)) }

// Held takes how many shards this process looks after.
func (m *Metrics) Held(shards int) { m.held.Set(float64(shards)) }

// Looked counts one check by what it saw. Phases that it did not come to are left out of the
// histograms.
func (m *Metrics) Looked(r vedette.Result) {
	kind := ""
	if r.Failure != nil {
		kind = string(r.Failure.Kind)
	}
	m.checks.WithLabelValues(string(r.State), kind).Inc()
	for i, d := range phaseTimes(&r.Phases) {
		if d > 0 {
			m.phases[i].Observe(d.Seconds())
		}
	}
	m.monitors.looked(&r)
}
