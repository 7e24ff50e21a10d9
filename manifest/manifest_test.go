package manifest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/manifest"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing")

// strict is a checker to which three equals signs and "statsu" are mistakes in expressions, and
// some schemes are as well.
type strict struct{}

func (strict) Compile(m vedette.Monitor) (vedette.Check, error) {
	var keys struct {
		Expect []struct{ That string }
	}
	if len(m.Probe) > 0 {
		if err := json.Unmarshal(m.Probe, &keys); err != nil {
			return nil, err
		}
	}
	var all vedette.Mistakes
	for i, e := range keys.Expect {
		path := "expect[" + string(rune('0'+i)) + "]"
		if at := strings.Index(e.That, "==="); at >= 0 {
			all = append(all, vedette.Mistake{Path: path, Offset: at, Text: "=== is no operator", Fix: "did you mean ==?"})
		}
		if at := strings.Index(e.That, "statsu"); at >= 0 {
			all = append(all, vedette.Mistake{Path: path, Offset: at, Text: "statsu is unknown", Fix: "did you mean status?"})
		}
	}
	if strings.HasPrefix(m.URL, "dict:") {
		all = append(all, vedette.Mistake{Path: "request.method", Text: "no method is right"}, vedette.Mistake{Path: "tls", Text: "tls is missing"})
	}
	if strings.HasPrefix(m.URL, "gopher:") {
		all = append(all, vedette.Mistake{Path: "url", Text: "gopher is no scheme"})
	}
	if err := all.Err(); err != nil {
		return nil, err
	}
	return func(context.Context) vedette.Result { return vedette.Result{} }, nil
}

func parse(t testing.TB, text string, env ...string) *manifest.File {
	t.Helper()
	f, err := manifest.Parse("vedette.yaml", []byte(text), manifest.Options{Env: environment(env), Checker: strict{}, Handlers: []string{"mine"}})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return f
}

func environment(pairs []string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, p := range pairs {
			if value, ok := strings.CutPrefix(p, name+"="); ok {
				return value, true
			}
		}
		return "", false
	}
}

func TestMistakesAreToldWithTheirPlaces(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			f, err := manifest.Load(path, manifest.Options{Checker: strict{}})
			var got bytes.Buffer
			var wrong manifest.Errors
			if errors.As(err, &wrong) == strings.HasPrefix(filepath.Base(path), "warning") {
				t.Errorf("error: %v", err)
			}
			if err := append(wrong, f.Warnings...).Format(&got, false); err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(path, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMarksAreInColourWhereAsked(t *testing.T) {
	e := manifest.Errors{{File: "a.yaml", Line: 1, Column: 3, Path: "store", Text: "wrong", Fix: "do better", Source: "ab c"}}
	var b bytes.Buffer
	if err := e.Format(&b, true); err != nil {
		t.Fatal(err)
	}
	want := "\x1b[1ma.yaml:1:3:\x1b[0m \x1b[1;31merror\x1b[0m: store: wrong: do better\n    1 | ab c\n      |   \x1b[1;32m^\x1b[0m\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
	if got, want := e.Error(), "a.yaml:1:3: store: wrong: do better"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAnEmptyFileHasTheBuiltInValues(t *testing.T) {
	f := parse(t, "monitors:\n  - {name: a, url: 'tcp://a:1'}\n")
	if f.Store != "sqlite:vedette.db" || f.HTTP.Listen != "127.0.0.1:8080" || f.Log.Format != "text" || f.Log.Level != "info" {
		t.Errorf("got %q, %q, %+v", f.Store, f.HTTP.Listen, f.Log)
	}
	const day = 24 * time.Hour
	if diff := cmp.Diff(vedette.Retention{
		Results: 3 * day, Failures: 30 * day, Hourly: 90 * day, Daily: 3 * 365 * day, MaxBytes: 20 << 30,
	}, f.Retention); diff != "" {
		t.Error(diff)
	}
	want := []vedette.Monitor{{
		ID: "a", Meta: vedette.Meta{Name: "a", Origin: "vedette.yaml:2"}, URL: "tcp://a:1",
		Interval: time.Minute, Timeout: 10 * time.Second, RetryInterval: 10 * time.Second,
		Confirm: vedette.Confirm{Down: 3, Up: 2},
	}}
	if diff := cmp.Diff(want, f.Monitors); diff != "" {
		t.Error(diff)
	}
}

func TestMonitorsInheritFromGroupsAndDefaults(t *testing.T) {
	f := parse(t, `
x-fast: &fast {interval: 5s, timeout: 1s}
defaults:
  interval: 30s
  labels: {team: ops, site: "1"}
  status: [200]
  request: {method: HEAD, headers: {A: "1", B: "1"}}
groups:
  shop:
    interval: 15s
    labels: {team: web}
    status: [201, 202]
    request: {headers: {B: "2"}}
    maintenance: {cron: "0 2 * * SUN", for: 1h}
    depends_on: [gateway]
  empty:
monitors:
  - {name: gateway, url: "tcp://gateway:1"}
  - {name: plain, group: shop, url: "http://a/"}
  - name: Own & more!
    group: shop
    url: http://b/
    <<: *fast
    timeout: 2s
    labels: {site: "2"}
    status: 2xx
    request: {headers: {C: "3"}, follow_redirects: 0}
    depends_on: []
    maintenance: []
    warn: []
  - {name: outside, group: elsewhere, url: "http://c/"}
  - {name: nothing, group: empty, url: "http://d/"}
`)
	confirm := vedette.Confirm{Down: 3, Up: 2}
	ops := map[string]string{"team": "ops", "site": "1"}
	probe := vedette.Raw(`{"status":["200"],"request":{"method":"HEAD","headers":{"A":"1","B":"1"}}}`)
	want := []vedette.Monitor{{
		ID: "gateway", Meta: vedette.Meta{Name: "gateway", Labels: ops, Origin: "vedette.yaml:18"},
		URL: "tcp://gateway:1", Interval: 30 * time.Second, Timeout: 10 * time.Second,
		RetryInterval: 10 * time.Second, Confirm: confirm,
	}, {
		ID: "shop/plain", Meta: vedette.Meta{
			Name: "plain", Group: "shop", Labels: map[string]string{"team": "web", "site": "1"}, Origin: "vedette.yaml:19",
		},
		URL: "http://a/", Interval: 15 * time.Second, Timeout: 10 * time.Second,
		RetryInterval: 10 * time.Second, Confirm: confirm,
		DependsOn:   []vedette.MonitorID{"gateway"},
		Maintenance: []vedette.Window{{Cron: "0 2 * * SUN", For: time.Hour}},
		Probe:       vedette.Raw(`{"status":["201","202"],"request":{"method":"HEAD","headers":{"A":"1","B":"2"}}}`),
	}, {
		ID: "shop/own-more", Meta: vedette.Meta{
			Name: "Own & more!", Group: "shop", Labels: map[string]string{"team": "web", "site": "2"}, Origin: "vedette.yaml:20",
		},
		URL: "http://b/", Interval: 5 * time.Second, Timeout: 2 * time.Second,
		RetryInterval: 10 * time.Second, Confirm: confirm,
		Probe: vedette.Raw(`{"status":["2xx"],"request":{"method":"HEAD","headers":{"A":"1","B":"2","C":"3"},"follow_redirects":0},"warn":[]}`),
	}, {
		ID: "elsewhere/outside", Meta: vedette.Meta{Name: "outside", Group: "elsewhere", Labels: ops, Origin: "vedette.yaml:31"},
		URL: "http://c/", Interval: 30 * time.Second, Timeout: 10 * time.Second,
		RetryInterval: 10 * time.Second, Confirm: confirm, Probe: probe,
	}, {
		ID: "empty/nothing", Meta: vedette.Meta{Name: "nothing", Group: "empty", Labels: ops, Origin: "vedette.yaml:32"},
		URL: "http://d/", Interval: 30 * time.Second, Timeout: 10 * time.Second,
		RetryInterval: 10 * time.Second, Confirm: confirm, Probe: probe,
	}}
	if diff := cmp.Diff(want, f.Monitors); diff != "" {
		t.Error(diff)
	}
	if len(f.Warnings) != 0 {
		t.Errorf("warnings: %v", f.Warnings)
	}
}

func TestDependenciesAreNamedByIDOrName(t *testing.T) {
	f := parse(t, `
groups:
  net: {depends_on: [Gate way]}
monitors:
  - {name: Gate way, group: net, url: "tcp://a:1"}
  - {name: switch, group: net, url: "tcp://a:1"}
  - {name: site, id: my.site, url: "http://a/", depends_on: [net/switch, switch, my.other]}
  - {name: other, id: my.other, url: "http://a/"}
`)
	want := [][]vedette.MonitorID{nil, {"net/gate-way"}, {"net/switch", "my.other"}, nil}
	for i, m := range f.Monitors {
		if diff := cmp.Diff(want[i], m.DependsOn); diff != "" {
			t.Errorf("%s: %s", m.ID, diff)
		}
	}
}

func TestTheEnvironmentFillsScalars(t *testing.T) {
	f := parse(t, `
monitors:
  - name: ${NAME}
    url: https://${HOST:-example.com}:${PORT}/$5
    interval: ${INTERVAL}
    confirm: {down: "${N}"}
    status: ["${EMPTY:-2xx}"]
    contains: ["${NAME}", '$${NAME}', "a$$b", "${EMPTY}."]
    json:
      $.k: ${N}
      $.n: "${N}"
      $.m: !!str 5
      <<: {$.t: true, $.f: 1.5, $.l: [1, a], $.o: {a: null}}
    request: {bearer: "${TOKEN:?no token}", body: "$${x} ${TOKEN}"}
`, "NAME=x: [y, *z", "PORT=81", "INTERVAL=7s", "N=4", "EMPTY=", "TOKEN=hush")
	m := f.Monitors[0]
	if m.Name != "x: [y, *z" || m.URL != "https://example.com:81/$5" || m.Interval != 7*time.Second || m.Confirm.Down != 4 {
		t.Errorf("got %+v", m)
	}
	want := `{"status":["2xx"],"contains":["x: [y, *z","${NAME}","a$b","."],` +
		`"json":{"$.f":1.5,"$.k":4,"$.l":[1,"a"],"$.m":"5","$.n":"4","$.o":{"a":null},"$.t":true},` +
		`"request":{"body":"$${x} ${TOKEN}","bearer":"${TOKEN:?no token}"}}`
	if diff := cmp.Diff(want, string(m.Probe)); diff != "" {
		t.Error(diff)
	}
}

func TestPlannedWorkIsResolved(t *testing.T) {
	f := parse(t, `
monitors:
  - {name: a, group: shop, url: "tcp://a:1", labels: {team: web}}
  - {name: b, group: shop, url: "tcp://a:1", maintenance: {name: own, from: "2026-01-01 10:00", zone: Europe/Berlin, for: 1h}}
  - {name: c, url: "tcp://a:1"}
maintenance:
  - {name: patch, match: {group: shop}, cron: "0 2 * * SUN", zone: Europe/Berlin, for: 2h}
  - {name: move, match: {name: [a, c], labels: {team: web}}, from: 2026-03-01T22:00:00+01:00, to: 2026-03-02}
  - {name: all, from: 2026-05-01, to: 2026-05-02 12:30}
`)
	at := func(text string) time.Time {
		out, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	patch := vedette.Window{Name: "patch", Cron: "0 2 * * SUN", Zone: "Europe/Berlin", For: 2 * time.Hour}
	all := vedette.Window{Name: "all", From: at("2026-05-01T00:00:00Z"), To: at("2026-05-02T12:30:00Z")}
	want := [][]vedette.Window{
		{patch, {Name: "move", From: at("2026-03-01T21:00:00Z"), To: at("2026-03-02T00:00:00Z")}, all},
		{{Name: "own", From: at("2026-01-01T09:00:00Z"), To: at("2026-01-01T10:00:00Z")}, patch, all},
		{all},
	}
	for i, m := range f.Monitors {
		if diff := cmp.Diff(want[i], m.Maintenance); diff != "" {
			t.Errorf("%s: %s", m.ID, diff)
		}
	}
}

func TestAMistakeInATargetHasItsPlace(t *testing.T) {
	_, err := manifest.Parse("a.yaml", []byte("monitors: []\nconnectivity:\n  targets: ['tcp://a:1', 'gopher://a']\n"), manifest.Options{Checker: strict{}})
	if want := "a.yaml:3:26: connectivity.targets[1].url: gopher is no scheme"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestHostileYAMLIsRefused(t *testing.T) {
	laughs := "x-0: &a0 [1, 2]\n"
	merges := "x-0: &a0 {k: 1}\n"
	for i := 1; i < 40; i++ {
		n, p := string(rune('a'+i%26))+string(rune('0'+i/26)), string(rune('a'+(i-1)%26))+string(rune('0'+(i-1)/26))
		if i == 1 {
			p = "a0"
		}
		laughs += "x-" + n + ": &" + n + " [*" + p + ", *" + p + "]\n"
		merges += "x-" + n + ": &" + n + " {<<: *" + p + ", k" + n + ": [*" + p + ", *" + p + "]}\n"
	}
	for name, text := range map[string]string{
		"aliases of aliases": laughs,
		"merges of merges":   merges,
		"deep brackets":      "a: " + strings.Repeat("[", 100_000),
		"deep dashes":        strings.Repeat("- ", 100_000),
		"deep marks":         strings.Repeat("? ", 100_000),
		"a cycle":            "x-a: &a [*a]\n",
		"a null byte":        "a: \x00\n",
	} {
		_, err := manifest.Parse("a.yaml", []byte(text), manifest.Options{})
		if _, ok := errors.AsType[manifest.Errors](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
