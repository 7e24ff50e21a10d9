package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vedettehq/vedette"
)

// noon is when the looks of the suites begin, at the start of an hour.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// look returns a result that is up, as package check would fill it.
func look(m vedette.MonitorID, at time.Time) vedette.Result {
	return vedette.Result{
		ID: vedette.NewID(at), Monitor: m, Revision: 1, Token: at.Add(-time.Minute).UnixMicro(),
		DueAt: at.Add(-700 * time.Microsecond), StartedAt: at,
		State: vedette.Up, Code: 200, Seq: 7,
		Phases: vedette.Phases{
			DNS: 1201 * time.Microsecond, Connect: 8123 * time.Microsecond, TLS: 17345 * time.Microsecond,
			Request: 45 * time.Microsecond, TTFB: 35678 * time.Microsecond, Transfer: 2345 * time.Microsecond,
		},
	}
}

// failing returns a result that is down and shows why.
func failing(m vedette.MonitorID, at time.Time) vedette.Result {
	r := look(m, at)
	r.State, r.Code = vedette.Down, 503
	r.Failure = &vedette.Failure{
		Kind: vedette.KindStatus, Phase: "ttfb", Message: "status 503, want 200-299",
		Evidence: &vedette.Evidence{
			Proto: "HTTP/1.1", Addr: "192.0.2.7:443", Body: "over capacity", Truncated: true,
			Header:    map[string][]string{"Retry-After": {"30"}},
			Redirects: []string{"https://www.example.com/"},
			Cert: &vedette.Cert{
				Subject: "CN=example.com", Issuer: "CN=ca", Names: []string{"example.com"},
				NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(time.Hour), SHA256: "ab12",
			},
		},
	}
	return r
}

// looks returns n results of m, one a step.
func looks(m vedette.MonitorID, from time.Time, n int, step time.Duration) []vedette.Result {
	all := make([]vedette.Result, n)
	for i := range all {
		all[i] = look(m, from.Add(time.Duration(i)*step))
	}
	return all
}

func monitor(id vedette.MonitorID) vedette.Monitor {
	return vedette.Monitor{
		ID: id, URL: "https://example.com/", Interval: time.Minute, Timeout: 10 * time.Second,
		Meta: vedette.Meta{
			Name: "monitor " + string(id), Group: "shop", Labels: map[string]string{"team": "web"},
		},
		Confirm: vedette.Confirm{Down: 3, Up: 2}, DependsOn: []vedette.MonitorID{"gateway"},
		Maintenance: []vedette.Window{{Name: "patch", From: noon, To: noon.Add(time.Hour)}},
		Probe:       vedette.Raw(`{"status":["200"]}`),
	}
}

func monitorID(i int) vedette.MonitorID { return numbered[vedette.MonitorID](i) }

func write(t testing.TB, w vedette.Writer, b vedette.Batch) {
	t.Helper()
	if err := w.Write(t.Context(), b); err != nil {
		t.Fatalf("Write: %v", err)
	}
}

// ended returns a context that has ended.
func ended(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func found(results ...vedette.Result) vedette.Batch {
	return vedette.Batch{Found: vedette.Found{Results: results}}
}

func history(t testing.TB, r vedette.Reader, id vedette.MonitorID, span vedette.Span) []vedette.Result {
	t.Helper()
	got, err := r.History(t.Context(), id, span)
	if err != nil {
		t.Fatalf("History(%q, %+v): %v", id, span, err)
	}
	return got
}

// status returns that of one monitor, or the zero one.
func status(t testing.TB, r vedette.Reader, id vedette.MonitorID) vedette.Status {
	t.Helper()
	got, err := r.Latest(t.Context(), id)
	if err != nil {
		t.Fatalf("Latest(%q): %v", id, err)
	}
	if len(got) == 0 {
		return vedette.Status{}
	}
	return got[0]
}

// differ says how what was read differs from what is wanted.
func differ[T any](want, got T) string { return cmp.Diff(want, got, cmpopts.EquateEmpty()) }

// same compares what was read with what was written.
func same[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if diff := differ(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func ids(results []vedette.Result) []vedette.ID {
	all := make([]vedette.ID, len(results))
	for i, r := range results {
		all[i] = r.ID
	}
	return all
}
