package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/metrics"
)

// filled returns Metrics with every metric in them.
func filled(t *testing.T) *metrics.Metrics {
	t.Helper()
	m := metrics.New(metrics.Config{Version: "1.0", Region: "eu", Labels: []string{"team"}, MaxMonitors: 2})
	m.Define(shop(), vedette.Monitor{ID: "b"}, vedette.Monitor{ID: "c"})
	m.Looked(look())
	m.Lag(3 * time.Millisecond)
	m.Missed("capacity", 2)
	m.InFlight(7)
	m.Queued(8)
	m.Held(64)
	m.Reloaded(true)
	m.Rows(vedette.Size{Rows: map[string]int64{"results": 12}, Bytes: 4096})
	status := vedette.Status{Monitor: "shop", State: vedette.Down, Incident: &vedette.Incident{}}
	batch := vedette.Batch{Found: vedette.Found{Results: []vedette.Result{look()}}, Statuses: []vedette.Status{status}}
	_ = m.Writer(writing{nil}).Write(t.Context(), batch)
	_ = m.Writer(writing{vedette.ErrConflict}).Write(t.Context(), batch)
	_ = m.Sink(sending{nil}).Send(t.Context(), batch.Found)
	_ = m.Sink(sending{fmt.Errorf("send: %w", vedette.ErrRefused)}).Send(t.Context(), batch.Found)
	m.Kafka().Produced("results", 5, 500, time.Millisecond, true)
	m.Kafka().Produced("results", 5, 500, time.Second, false)
	m.Kafka().Consumed("results", 5)
	m.Kafka().Lag("results", 3, 12, time.Second)
	m.Kafka().Assigned(4)
	m.Kafka().Ended("revoked")
	worked(t, m)
	m.Stream().Committed(100, 9000, time.Millisecond)
	m.Stream().Fenced()
	m.Stream().Lost(3)
	m.Spool().Waiting(7, 700)
	m.Spool().Dropped("full", 2)
	return m
}

func shop() vedette.Monitor {
	return vedette.Monitor{ID: "shop", Meta: vedette.Meta{Group: "web", Labels: map[string]string{"team": "red", "tier": "1"}}}
}

func look() vedette.Result {
	return vedette.Result{
		Monitor: "shop", State: vedette.Down, Code: 503,
		Phases: vedette.Phases{
			DNS: 1 * time.Millisecond, Connect: 2 * time.Millisecond, TLS: 3 * time.Millisecond,
			Request: 4 * time.Millisecond, TTFB: 5 * time.Millisecond, Transfer: 6 * time.Millisecond,
		},
		CertNotAfter: time.Unix(2_000_000_000, 0),
		Failure:      &vedette.Failure{Kind: vedette.KindStatus},
	}
}

type writing struct{ err error }

func (w writing) Write(context.Context, vedette.Batch) error { return w.err }

type sending struct{ err error }

func (s sending) Send(context.Context, vedette.Found) error { return s.err }

func scrape(t testing.TB, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("scrape: status %d, %v: %s", w.Code, err, body)
	}
	return string(body)
}

// lines returns the series whose lines begin with one of prefixes.
func lines(text string, prefixes ...string) []string {
	var got []string
	for line := range strings.Lines(text) {
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(line, p) }) {
			got = append(got, strings.TrimSpace(line))
		}
	}
	return got
}

func TestNamesFollowTheConventions(t *testing.T) {
	problems, err := promlint.New(strings.NewReader(scrape(t, filled(t)))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "vedette_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestEveryMetricIsDocumentedAndEveryDocumentedOneExists(t *testing.T) {
	docs, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	want := pairs(regexp.MustCompile("(?m)^\\| `(vedette_[a-z_]+)` \\| ([a-z]+) "), string(docs))
	got := pairs(regexp.MustCompile(`(?m)^# TYPE (vedette_[a-z_]+) ([a-z]+)`), scrape(t, filled(t)))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("documented (-) and exposed (+) differ:\n%s", diff)
	}
}

func pairs(re *regexp.Regexp, text string) []string {
	var all []string
	for _, match := range re.FindAllStringSubmatch(text, -1) {
		all = append(all, match[1]+" "+match[2])
	}
	slices.Sort(all)
	return all
}

func TestMonitorSeries(t *testing.T) {
	got := lines(scrape(t, filled(t)), "vedette_monitor_", "vedette_incidents_open")
	labels := `group="web",monitor="shop",region="eu"`
	want := []string{
		`vedette_incidents_open 1`,
		`vedette_monitor_cert_not_after_timestamp_seconds{` + labels + `,team="red"} 2e+09`,
		`vedette_monitor_degraded{` + labels + `,team="red"} 0`,
		`vedette_monitor_http_status_code{` + labels + `,team="red"} 503`,
		`vedette_monitor_incident_open{` + labels + `,team="red"} 1`,
		`vedette_monitor_phase_seconds{group="web",monitor="shop",phase="connect",region="eu",team="red"} 0.002`,
		`vedette_monitor_phase_seconds{group="web",monitor="shop",phase="dns",region="eu",team="red"} 0.001`,
		`vedette_monitor_phase_seconds{group="web",monitor="shop",phase="request",region="eu",team="red"} 0.004`,
		`vedette_monitor_phase_seconds{group="web",monitor="shop",phase="tls",region="eu",team="red"} 0.003`,
		`vedette_monitor_phase_seconds{group="web",monitor="shop",phase="transfer",region="eu",team="red"} 0.006`,
		`vedette_monitor_phase_seconds{group="web",monitor="shop",phase="ttfb",region="eu",team="red"} 0.005`,
		`vedette_monitor_series_cut 1`,
		`vedette_monitor_up{` + labels + `,team="red"} 0`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPhasesThatACheckDidNotComeToAreAbsent(t *testing.T) {
	m := metrics.New(metrics.Config{})
	m.Define(vedette.Monitor{ID: "a"})
	m.Looked(vedette.Result{Monitor: "a", State: vedette.Down, Phases: vedette.Phases{Connect: time.Second}})
	text := scrape(t, m)
	want := []string{`vedette_monitor_phase_seconds{group="",monitor="a",phase="connect",region=""} 1`}
	if diff := cmp.Diff(want, lines(text, "vedette_monitor_")[:1]); diff != "" || len(lines(text, "vedette_monitor_phase")) != 1 {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := lines(text, `vedette_check_phase_seconds_count{phase="ttfb"}`); !strings.HasSuffix(got[0], " 0") {
		t.Errorf("got %v, want none observed", got)
	}
}

func TestVerdictSeries(t *testing.T) {
	for _, c := range []struct {
		state vedette.State
		want  []string
	}{
		{vedette.Up, []string{"degraded 0", "up 1"}},
		{vedette.Degraded, []string{"degraded 1", "up 1"}},
		{vedette.Down, []string{"degraded 0", "up 0"}},
		{vedette.Unknown, nil},
		{vedette.Maintenance, nil},
		{vedette.Paused, nil},
	} {
		t.Run(string(c.state), func(t *testing.T) {
			m := metrics.New(metrics.Config{})
			m.Define(vedette.Monitor{ID: "a"})
			m.Judged(vedette.Status{Monitor: "a", State: c.state})
			var got []string
			for _, line := range lines(scrape(t, m), "vedette_monitor_degraded", "vedette_monitor_up") {
				line = strings.TrimPrefix(line, "vedette_monitor_")
				got = append(got, strings.Replace(line, `{group="",monitor="a",region=""}`, "", 1))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestMonitorsBeyondTheLimitAreCountedAndMoveUp(t *testing.T) {
	m := metrics.New(metrics.Config{MaxMonitors: 1})
	m.Define(vedette.Monitor{ID: "a"}, vedette.Monitor{ID: "b"}, vedette.Monitor{ID: "a"})
	both := func() []string {
		m.Judged(vedette.Status{Monitor: "a", State: vedette.Up})
		m.Judged(vedette.Status{Monitor: "b", State: vedette.Up})
		return lines(scrape(t, m), "vedette_monitor_up", "vedette_monitor_series_cut")
	}
	want := []string{`vedette_monitor_series_cut 1`, `vedette_monitor_up{group="",monitor="a",region=""} 1`}
	if diff := cmp.Diff(want, both()); diff != "" {
		t.Errorf("two defined (-want +got)\n%s", diff)
	}
	m.Remove("a")
	want = []string{`vedette_monitor_series_cut 0`, `vedette_monitor_up{group="",monitor="b",region=""} 1`}
	if diff := cmp.Diff(want, both()); diff != "" {
		t.Errorf("first removed (-want +got)\n%s", diff)
	}
}

func TestNoMonitorIsShownBelowLimitZero(t *testing.T) {
	m := metrics.New(metrics.Config{MaxMonitors: -1})
	m.Define(vedette.Monitor{ID: "a"})
	m.Judged(vedette.Status{Monitor: "a", State: vedette.Up})
	want := []string{`vedette_monitor_series_cut 1`}
	if diff := cmp.Diff(want, lines(scrape(t, m), "vedette_monitor_")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestOpenIncidentsFallWhenClosedAndWhenTheMonitorGoes(t *testing.T) {
	m := metrics.New(metrics.Config{MaxMonitors: -1})
	for _, id := range []vedette.MonitorID{"a", "b", "c"} {
		m.Judged(vedette.Status{Monitor: id, State: vedette.Down, Incident: &vedette.Incident{}})
	}
	m.Judged(vedette.Status{Monitor: "a", State: vedette.Up})
	m.Remove("b")
	if got := lines(scrape(t, m), "vedette_incidents_open"); !slices.Equal(got, []string{"vedette_incidents_open 1"}) {
		t.Errorf("got %v, want 1", got)
	}
}

func TestOddLabelsDoNotFailTheScrape(t *testing.T) {
	m := metrics.New(metrics.Config{Region: "\xff", Labels: []string{"monitor", "on-call", "7", "on call", ""}})
	m.Define(vedette.Monitor{ID: "a\xfe", Meta: vedette.Meta{
		Group:  "\xfd",
		Labels: map[string]string{"monitor": "x", "on-call": "\xfc", "7": "seven", "on call": "second"},
	}})
	m.Judged(vedette.Status{Monitor: "a\xfe", State: vedette.Up})
	want := []string{"vedette_monitor_up{group=\"\uFFFD\",label_=\"\",label_7=\"seven\",label_monitor=\"x\"," +
		"monitor=\"a\uFFFD\",on_call=\"\uFFFD\",region=\"\uFFFD\"} 1"}
	if diff := cmp.Diff(want, lines(scrape(t, m), "vedette_monitor_up")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestCountsOfChecksAndResults(t *testing.T) {
	m := filled(t)
	got := lines(scrape(t, m), "vedette_checks_", "vedette_results_", "vedette_s", "vedette_config", "vedette_check_phase_seconds_count")
	for _, want := range []string{
		`vedette_checks_total{kind="status",state="down"} 1`,
		`vedette_checks_total{kind="timeout",state="down"} 0`,
		`vedette_check_phase_seconds_count{phase="tls"} 1`,
		`vedette_checks_missed_total{reason="capacity"} 2`,
		`vedette_checks_in_flight 7`,
		`vedette_results_queued 8`,
		`vedette_results_kept_total 1`,
		`vedette_results_late_total 1`,
		`vedette_results_refused_total 1`,
		`vedette_shards_held 64`,
		`vedette_schedule_lag_seconds_bucket{le="0.002"} 0`,
		`vedette_schedule_lag_seconds_bucket{le="0.005"} 1`,
		`vedette_sink_send_errors_total{class="refused"} 1`,
		`vedette_sink_send_seconds_count 2`,
		`vedette_store_write_errors_total{class="conflict"} 1`,
		`vedette_store_write_seconds_count 2`,
		`vedette_store_batch_results_sum 1`,
		`vedette_store_rows{table="results"} 12`,
		`vedette_store_bytes 4096`,
		`vedette_config_last_reload_successful 1`,
	} {
		if !slices.Contains(got, want) {
			t.Errorf("missing %s in\n%s", want, strings.Join(got, "\n"))
		}
	}
}

func TestFailedReloadKeepsTheTimeOfTheLastGoodOne(t *testing.T) {
	m := metrics.New(metrics.Config{})
	m.Reloaded(true)
	before := lines(scrape(t, m), "vedette_config_last_reload_success_timestamp_seconds")
	m.Reloaded(false)
	text := scrape(t, m)
	if got := lines(text, "vedette_config_last_reload_success_timestamp_seconds"); !slices.Equal(got, before) || strings.HasSuffix(got[0], " 0") {
		t.Errorf("got %v, want %v", got, before)
	}
	if got := lines(text, "vedette_config_last_reload_successful"); !slices.Equal(got, []string{"vedette_config_last_reload_successful 0"}) {
		t.Errorf("got %v, want 0", got)
	}
}

func TestWrappersHandOnWhatTheyWrap(t *testing.T) {
	m := metrics.New(metrics.Config{})
	want := errors.New("disk full")
	if got := m.Writer(writing{want}).Write(t.Context(), vedette.Batch{}); !errors.Is(got, want) {
		t.Errorf("Write: got %v, want %v", got, want)
	}
	if got := m.Sink(sending{want}).Send(t.Context(), vedette.Found{}); !errors.Is(got, want) {
		t.Errorf("Send: got %v, want %v", got, want)
	}
}

func TestFailedWriteIsNotJudged(t *testing.T) {
	m := metrics.New(metrics.Config{})
	m.Define(vedette.Monitor{ID: "a"})
	batch := vedette.Batch{Statuses: []vedette.Status{{Monitor: "a", State: vedette.Up}}}
	_ = m.Writer(writing{vedette.ErrConflict}).Write(t.Context(), batch)
	if got := lines(scrape(t, m), "vedette_monitor_up"); got != nil {
		t.Errorf("got %v, want none", got)
	}
}

func TestMeterDoesNotAllocate(t *testing.T) {
	m := filled(t)
	r := look()
	allocs := testing.AllocsPerRun(1000, func() {
		m.Looked(r)
		m.Lag(time.Millisecond)
		m.InFlight(3)
		m.Queued(3)
		m.Judged(vedette.Status{Monitor: "shop", State: vedette.Up})
	})
	if allocs != 0 {
		t.Errorf("got %v allocations a check, want 0", allocs)
	}
}

func BenchmarkLooked(b *testing.B) {
	m := metrics.New(metrics.Config{})
	m.Define(shop())
	r := look()
	b.ReportAllocs()
	for b.Loop() {
		m.Looked(r)
	}
}

// discard is a ResponseWriter that keeps nothing.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

func BenchmarkScrape10000Monitors(b *testing.B) {
	m := metrics.New(metrics.Config{})
	r := look()
	for i := range 10_000 {
		r.Monitor = vedette.MonitorID(fmt.Sprint("monitor-", i))
		m.Define(vedette.Monitor{ID: r.Monitor})
		m.Looked(r)
		m.Judged(vedette.Status{Monitor: r.Monitor, State: vedette.Up})
	}
	req := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/metrics", http.NoBody)
	b.ReportAllocs()
	for b.Loop() {
		m.Handler().ServeHTTP(discard{}, req)
	}
}

// What was read from the store a moment ago does not replace what has been written since.
func TestOlderVerdictIsNotShown(t *testing.T) {
	m := metrics.New(metrics.Config{})
	m.Define(vedette.Monitor{ID: "shop"})
	m.Judged(vedette.Status{Monitor: "shop", State: vedette.Down, Version: 7})
	m.Judged(vedette.Status{Monitor: "shop", State: vedette.Up, Version: 6})
	if got := lines(scrape(t, m), "vedette_monitor_up{"); len(got) != 1 || !strings.HasSuffix(got[0], " 0") {
		t.Errorf("shown after an older verdict: %q", got)
	}
}
