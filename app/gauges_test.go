package app_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestMetricsShowJobs(t *testing.T) {
	t.Parallel()
	a := scraping(t, "memory:")
	await(t, "the figures of a run, and of who lives", func() bool {
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
		for _, want := range []string{
			`vedette_jobs_executed_total{handler="exec",state="succeeded"} `,
			`vedette_schedule_runs_total{outcome="fired"} `,
			`vedette_queue_call_seconds_count{method="finish"} `,
			`vedette_replicas{kind="leader"} 1`, `vedette_replicas{kind="work"} 1`, `vedette_replicas{kind="schedule"} 1`,
		} {
			_, rest, found := strings.Cut(w.Body.String(), want)
			if !found || strings.HasPrefix(rest, "0\n") {
				return false
			}
		}
		return true
	})
}
