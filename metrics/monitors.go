package metrics

import (
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vedettehq/vedette"
)

// monitors is the table behind the series of single monitors: one small row each, turned into
// metrics only when somebody asks, so that a look costs next to nothing.
type monitors struct {
	region string
	labels []string // names in vedette.Meta.Labels, in the order of their metric labels
	limit  int
	descs

	mu    sync.RWMutex // guards the maps, not what the rows hold
	shown map[vedette.MonitorID]*row
	cut   map[vedette.MonitorID][]string // labels of those beyond the limit
	open  map[vedette.MonitorID]struct{}
}

// A row is what is known of one monitor.
type row struct {
	mu     sync.Mutex
	labels []string // values: monitor, group, region, then monitors.labels
	look   look
	status verdict
}

// look is what is shown of the last look.
type look struct {
	known    bool
	phases   vedette.Phases
	code     int
	notAfter float64 // seconds since 1970, 0 where there is no certificate
}

// verdict is what is shown of a Status.
type verdict struct {
	state   vedette.State
	open    bool
	version int64
}

type descs struct {
	up, degraded, phase, code, notAfter, openIncident, cutCount, incidents *prometheus.Desc
}

func newMonitors(region string, names []string, limit int) *monitors {
	t := &monitors{
		region: label(region), limit: max(limit, 0),
		shown: map[vedette.MonitorID]*row{},
		cut:   map[vedette.MonitorID][]string{},
		open:  map[vedette.MonitorID]struct{}{},
	}
	labels := []string{"monitor", "group", "region"}
	for _, name := range names {
		if metric := labelName(name); !slices.Contains(labels, metric) {
			labels, t.labels = append(labels, metric), append(t.labels, name)
		}
	}
	t.descs = newDescs(labels)
	return t
}

func newDescs(labels []string) descs {
	desc := func(name, help string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, slices.Concat(labels, more), nil)
	}
	return descs{
		up:           desc("vedette_monitor_up", "1 if the verdict is up or degraded, 0 if it is down; absent while it is another."),
		degraded:     desc("vedette_monitor_degraded", "1 if the verdict is degraded, 0 if it is up or down; absent while it is another."),
		phase:        desc("vedette_monitor_phase_seconds", "Where the time of the last check went, as far as it got.", "phase"),
		code:         desc("vedette_monitor_http_status_code", "Status code of the last check; absent if there was none."),
		notAfter:     desc("vedette_monitor_cert_not_after_timestamp_seconds", "When the certificate chain that the last check saw ends."),
		openIncident: desc("vedette_monitor_incident_open", "Whether an incident of the monitor is open."),
		cutCount:     prometheus.NewDesc("vedette_monitor_series_cut", "Monitors without series of their own, beyond the limit.", nil, nil),
		incidents:    prometheus.NewDesc("vedette_incidents_open", "Open incidents of all monitors.", nil, nil),
	}
}

// labelName makes a text a label name: other characters than letters, digits and "_" become
// "_". Names of our own, and those that may not begin so, get the prefix "label_".
func labelName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name)
	own := []string{"monitor", "group", "region", "phase"}
	if name == "" || slices.Contains(own, name) || name[0] >= '0' && name[0] <= '9' || strings.HasPrefix(name, "__") {
		return "label_" + name
	}
	return name
}

func (t *monitors) define(m vedette.Monitor) {
	labels := make([]string, 0, 3+len(t.labels))
	labels = append(labels, label(string(m.ID)), label(m.Group), t.region)
	for _, name := range t.labels {
		labels = append(labels, label(m.Labels[name]))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.shown[m.ID]
	switch {
	case r != nil:
		r.mu.Lock()
		r.labels = labels
		r.mu.Unlock()
	case len(t.shown) < t.limit:
		t.shown[m.ID] = &row{labels: labels}
	default:
		t.cut[m.ID] = labels
	}
}

func (t *monitors) remove(id vedette.MonitorID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.shown, id)
	delete(t.cut, id)
	delete(t.open, id)
	for next, labels := range t.cut {
		if len(t.shown) >= t.limit {
			return
		}
		t.shown[next] = &row{labels: labels}
		delete(t.cut, next)
	}
}

func (t *monitors) looked(r *vedette.Result) {
	t.mu.RLock()
	row := t.shown[r.Monitor]
	t.mu.RUnlock()
	if row == nil {
		return
	}
	seen := look{known: true, phases: r.Phases, code: r.Code}
	if !r.CertNotAfter.IsZero() {
		seen.notAfter = seconds(r.CertNotAfter)
	}
	row.mu.Lock()
	row.look = seen
	row.mu.Unlock()
}

func (t *monitors) judged(s vedette.Status) {
	open := s.Incident != nil
	t.mu.Lock()
	defer t.mu.Unlock()
	if row := t.shown[s.Monitor]; row != nil && !row.judged(verdict{s.State, open, s.Version}) {
		return
	}
	if open {
		t.open[s.Monitor] = struct{}{}
	} else {
		delete(t.open, s.Monitor)
	}
}

// judged takes a verdict unless it is older than the one that is shown.
func (r *row) judged(v verdict) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v.version < r.status.version {
		return false
	}
	r.status = v
	return true
}
