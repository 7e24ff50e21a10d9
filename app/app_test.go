package app_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/app"
	"github.com/vedettehq/vedette/manifest"
	"github.com/vedettehq/vedette/when"
)

func page(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") }

// write writes a file as editors do: whole, under another name, then renamed.
func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func newApp(t testing.TB, cfg app.Config) *app.App {
	t.Helper()
	a, err := app.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// run runs an app beside the test, until the test ends.
func run(t testing.TB, a *app.App) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// await waits until f holds.
func await(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("waited in vain for: %s", what)
}

// get asks an app over HTTP.
func get(t testing.TB, a *app.App, method, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, httptest.NewRequest(method, path, http.NoBody))
	return w.Code, w.Body.String()
}

// A seen counts looks by monitor and due time.
type seen struct {
	mu    sync.Mutex
	looks map[look]int
}

type look struct {
	id  vedette.MonitorID
	due time.Time
}

func (s *seen) kept(results []vedette.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range results {
		s.looks[look{r.Monitor, r.DueAt.UTC()}]++
	}
}

// One of 10,000 monitors is edited: it is live in less than a second, and each other monitor
// is looked at once at each of its due times, before, during and after.
func TestEditOneOfTenThousand(t *testing.T) {
	const n, interval = 10_000, time.Minute
	hit := make(chan time.Time, 1)
	url := page(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/edited" {
			select {
			case hit <- time.Now():
			default:
			}
		}
		ok(w, r)
	})
	config := func(edit string) string {
		var b strings.Builder
		fmt.Fprintf(&b, "store: 'memory:'\ndefaults: {interval: %s, timeout: 10s}\nmonitors:\n", interval)
		for i := range n {
			if i == n/2 {
				fmt.Fprintf(&b, "  - {name: edited, %s}\n", edit)
				continue
			}
			fmt.Fprintf(&b, "  - {name: m%d, url: %s/}\n", i, url)
		}
		return b.String()
	}
	path := filepath.Join(t.TempDir(), "vedette.yaml")
	write(t, path, config("url: "+url+"/"))
	a := newApp(t, app.Config{File: path})
	looks := seen{looks: make(map[look]int)}
	a.OnKept(looks.kept)
	run(t, a)
	await(t, "the first results", func() bool {
		looks.mu.Lock()
		defer looks.mu.Unlock()
		return len(looks.looks) > n/100
	})
	from := time.Now()
	time.Sleep(2 * time.Second) // some looks before
	edited := time.Now()
	write(t, path, config("url: "+url+"/edited, interval: 100ms, timeout: 50ms"))
	took := (<-hit).Sub(edited)
	// On a machine that is busy reading the file alone takes its time.
	reading := time.Now()
	if _, err := manifest.Load(path, manifest.Options{}); err != nil {
		t.Fatal(err)
	}
	read := time.Since(reading)
	t.Logf("live %s after the edit; reading the file takes %s", took.Round(time.Millisecond), read.Round(time.Millisecond))
	if limit := max(time.Second, 10*read); took > limit {
		t.Errorf("live %s after the edit, want less than %s", took, limit)
	}
	time.Sleep(2 * time.Second) // and some after
	to := time.Now()
	disturbed := func() (first string) {
		looks.mu.Lock()
		defer looks.mu.Unlock()
		for i := range n {
			id := vedette.MonitorID(fmt.Sprintf("m%d", i))
			if i == n/2 {
				continue
			}
			due := when.Next(from, interval, when.Phase(id.Hash(), interval))
			for ; due.Before(to); due = due.Add(interval) {
				if got := looks.looks[look{id, due.UTC()}]; got != 1 {
					return fmt.Sprintf("%s was looked at %d times at %s", id, got, due)
				}
			}
		}
		return ""
	}
	defer func() {
		if t.Failed() {
			t.Log(disturbed())
		}
	}()
	await(t, "one look at each due time to be kept", func() bool { return disturbed() == "" })
}

func TestBrokenFileIsRefusedWhileTheOldOneRuns(t *testing.T) {
	url := page(t, ok)
	path := filepath.Join(t.TempDir(), "vedette.yaml")
	good := "store: 'memory:'\nmonitors: [{name: a, url: " + url + "/, interval: 100ms, timeout: 50ms}]\n"
	write(t, path, good)
	a := newApp(t, app.Config{File: path})
	looks := seen{looks: make(map[look]int)}
	a.OnKept(looks.kept)
	run(t, a)
	count := func() int {
		looks.mu.Lock()
		defer looks.mu.Unlock()
		return len(looks.looks)
	}
	await(t, "a result", func() bool { return count() > 0 })

	write(t, path, "monitors: [{name: a, ulr: x}]\n")
	const refused = "vedette_config_last_reload_successful 0"
	await(t, "the refusal in the metrics", func() bool {
		_, text := get(t, a, "GET", "/metrics")
		return strings.Contains(text, refused)
	})
	if code, text := get(t, a, "GET", "/readyz"); code != http.StatusOK || !strings.Contains(text, "did you mean url") {
		t.Errorf("readyz %d: %s", code, text)
	}
	if code, text := get(t, a, "POST", "/-/reload"); code != http.StatusBadRequest || !strings.Contains(text, "vedette.yaml:1:22") {
		t.Errorf("reload %d: %s", code, text)
	}
	before := count()
	await(t, "the old file to go on", func() bool { return count() > before+2 })

	write(t, path, good+"# better\n")
	await(t, "the file to be taken again", func() bool {
		_, text := get(t, a, "GET", "/metrics")
		return !strings.Contains(text, refused)
	})
	if code, text := get(t, a, "POST", "/-/reload"); code != http.StatusOK {
		t.Errorf("reload %d: %s", code, text)
	}
}

// What the file no longer names is gone, its incident closed; what was put by a program stays.
func TestFileOwnsWhatItNamed(t *testing.T) {
	url := page(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	path := filepath.Join(t.TempDir(), "vedette.yaml")
	const settings = "store: 'memory:'\ndefaults: {interval: 100ms, timeout: 50ms, retry_interval: 100ms}\n"
	write(t, path, settings+"monitors: [{name: a, url: "+url+"/}, {name: b, url: "+url+"/}]\n")
	a := newApp(t, app.Config{File: path})
	incidents := make(chan vedette.Incident, 100)
	a.OnIncident(func(in vedette.Incident) { incidents <- in })
	run(t, a)
	open := map[vedette.MonitorID]bool{}
	for len(open) < 2 {
		open[(<-incidents).Monitor] = true
	}
	if err := a.Watch(t.Context(), vedette.Monitor{ID: "own", URL: url + "/", Interval: time.Minute}); err != nil {
		t.Fatal(err)
	}
	write(t, path, settings+"monitors: [{name: b, url: "+url+"/}]\n")
	if in := <-incidents; in.Monitor != "a" || in.Reason != "removed" || in.Closed.IsZero() {
		t.Errorf("incident %+v, want a's to be closed as removed", in)
	}
	await(t, "the monitors to be b and own", func() bool {
		lines, err := a.View().Status(t.Context(), app.Filter{})
		return err == nil && len(lines) == 2 && lines[0].ID == "b" && lines[1].ID == "own"
	})
	err := a.Watch(t.Context(), vedette.Monitor{ID: "b", URL: url + "/"})
	if !errors.Is(err, vedette.ErrReadOnly) {
		t.Errorf("Watch of what the file owns: %v, want ErrReadOnly", err)
	}
}

func TestWatchReportsAllMistakes(t *testing.T) {
	a := newApp(t, app.Config{})
	defer a.Close() //nolint:errcheck // in memory
	err := a.Watch(t.Context(),
		vedette.Monitor{ID: "one", URL: "htp://127.0.0.1/"},
		vedette.Monitor{ID: "two", URL: "http://127.0.0.1/", Probe: vedette.Raw(`{"expect": [{"that": "stats == 200"}]}`)})
	var mistakes vedette.Mistakes
	if !errors.As(err, &mistakes) || len(mistakes) != 2 {
		t.Errorf("Watch: %v, want a mistake of each", err)
	}
}

func TestMistakesOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vedette.yaml")
	write(t, path, "monitors: [{name: a, url: 'ftp://x/', interval: 5}]\n")
	_, err := app.New(app.Config{File: path})
	var mistakes manifest.Errors
	if !errors.As(err, &mistakes) || len(mistakes) != 2 {
		t.Errorf("New: %v, want two mistakes", err)
	}
}

func TestReadyTellsWhenResultsCannotBeKept(t *testing.T) {
	a := newApp(t, app.Config{})
	if code, text := get(t, a, "GET", "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(text, "not applied") {
		t.Errorf("before it runs: %d %s", code, text)
	}
	run(t, a)
	await(t, "readiness", func() bool { code, _ := get(t, a, "GET", "/readyz"); return code == http.StatusOK })
	if code, text := get(t, a, "GET", "/healthz"); code != http.StatusOK || text != "ok\n" {
		t.Errorf("healthz %d %q", code, text)
	}
	if code, _ := get(t, a, "POST", "/-/reload"); code != http.StatusNotFound {
		t.Errorf("reload without a file: %d, want 404", code)
	}
}

func TestRolesThatMakeNoSense(t *testing.T) {
	for _, roles := range [][]string{{"wotch"}, {"watch"}} {
		if _, err := app.New(app.Config{Roles: roles}); !errors.Is(err, app.ErrRole) {
			t.Errorf("roles %v: %v, want ErrRole", roles, err)
		}
	}
}
