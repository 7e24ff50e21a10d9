package manifest_test

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/manifest"
)

const full = `
store: "memory"
http: {listen: ""}
region: eu
log: {level: debug}
metrics: {labels: team, max_monitors: 5}
connectivity: {targets: ["tcp://9.9.9.9:53"]}
defaults:
  labels: {team: ops, "a b": 'yes'}
groups:
  shop: {interval: 15s, timeout: 2.5s, maintenance: {cron: "0 2 * * SUN", zone: Europe/Berlin, for: 90m}}
monitors:
  - {name: gateway, url: "tcp://10.0.0.1:443", send: "PING\r\n\t\"é\" # ${HOME:-x} $$ $${y} $1"}
  - name: Home page
    group: shop
    url: https://example.com/
    paused: true
    depends_on: gateway
    quorum: 2 of 2
    status: [200, 3xx]
    not_pattern: '^\s+\\$'
    max_time: 1d
    cert_days: 14.5
    json: {"$.a": 1, "$.b": [true, "1", {c: 1.5}], "$.c": "yes"}
    header: {X-Test: "no"}
    expect: ['total < "2s"', {that: 'status == 200', say: 'it''s "not" ok'}]
    warn: []
    fails_with: [refused, timeout]
    request:
      headers: {Accept: text/html, Authorization: "Bearer hunter2", X-Key: "${KEY}"}
      basic_auth: {username: u, password: {file: /run/secret}}
      bearer: "${KEY}"
      follow_redirects: 0
      max_body: 1MiB
      reuse: true
    tls: {min_version: "1.2"}
    ip: 4
    regions: [eu, us]
regions: [eu, us, ap]
maintenance:
  - {name: move, match: {group: shop}, from: 2026-03-01 10:00, to: 2026-03-01 12:00}
`

func show(t *testing.T, f *manifest.File, name string) string {
	t.Helper()
	var b bytes.Buffer
	if err := f.Show(&b, name); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWhatIsShownIsReadBackAsTheSame(t *testing.T) {
	f := parse(t, full, "KEY=k")
	text := show(t, f, "")
	for _, secret := range []string{"hunter2"} {
		if strings.Contains(text, secret) {
			t.Errorf("a secret is shown:\n%s", text)
		}
	}
	again := parse(t, text, "KEY=k")
	want := f.Monitors
	for i := range want {
		want[i].Probe = vedette.Raw(strings.ReplaceAll(string(want[i].Probe), "Bearer hunter2", "***"))
		want[i].Probe = vedette.Raw(strings.ReplaceAll(string(want[i].Probe), "text/html", "***"))
	}
	if diff := cmp.Diff(want, again.Monitors, cmpopts.IgnoreFields(vedette.Meta{}, "Origin")); diff != "" {
		t.Errorf("%s\n%s", diff, text)
	}
	if diff := cmp.Diff(f, again, cmpopts.IgnoreUnexported(manifest.File{}), cmpopts.IgnoreFields(manifest.File{}, "Snapshot", "Monitors")); diff != "" {
		t.Error(diff)
	}
	if len(again.Warnings) > 0 {
		t.Error(again.Warnings)
	}
}

func TestShownValuesSayWhereTheyComeFrom(t *testing.T) {
	f := parse(t, full, "KEY=k")
	text := show(t, f, "Home page")
	for _, want := range []string{
		"  - id: shop/home-page  # made of group and name\n",
		"    interval: 15s  # vedette.yaml:11\n",
		"    timeout: 2.5s  # vedette.yaml:11\n",
		"    retry_interval: 10s  # built-in default\n",
		"    confirm:\n      down: 3  # built-in default\n",
		"    labels:\n      \"a b\": \"yes\"  # vedette.yaml:9\n      team: ops  # vedette.yaml:9\n",
		"    status: [\"200\", \"3xx\"]  # vedette.yaml:20\n",
		"        Authorization: \"***\"  # vedette.yaml:30\n",
		"        X-Key: \"${KEY}\"  # vedette.yaml:30\n",
		"        password: {file: \"/run/secret\"}  # vedette.yaml:31\n",
		"      follow_redirects: 0  # vedette.yaml:33\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "gateway,") || strings.Contains(text, "store:") {
		t.Errorf("more than was asked for:\n%s", text)
	}
}

func TestShowKnowsNoOtherMonitors(t *testing.T) {
	err := parse(t, full, "KEY=k").Show(&bytes.Buffer{}, "nobody")
	if !errors.Is(err, vedette.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestShorthandsAreShownAsExpressions(t *testing.T) {
	text := show(t, parse(t, "monitors:\n- {name: a, url: 'https://a/', max_time: 2s}\n"), "")
	for _, want := range []string{`# max_time: expect: total <= "2s"`, "# warn: built-in warn: cert.days > 14"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestTheStarterFileIsValid(t *testing.T) {
	for _, urls := range [][]string{nil, {"https://example.com/a?b=$$c", "https://example.com/a/", "tcp://[::1]:1", "://"}} {
		text := string(manifest.Init(urls))
		if !strings.HasPrefix(text, manifest.Header) {
			t.Errorf("begins with %q", text[:40])
		}
		f := parse(t, text)
		for i, u := range urls {
			if f.Monitors[i].URL != u {
				t.Errorf("monitor %d watches %s, want %s", i, f.Monitors[i].URL, u)
			}
		}
		if len(f.Monitors) != max(1, len(urls)) || len(f.Warnings) > 0 {
			t.Errorf("%d monitors, warnings %v", len(f.Monitors), f.Warnings)
		}
		// What is commented out must be right too.
		hidden := regexp.MustCompile(`(?m)^( *)# ( *(?:[a-z_]+:|- ))`)
		all := hidden.ReplaceAllString(text[len(manifest.Header):], "$1$2")
		f = parse(t, strings.Replace(all, "[gateway]", "[]", 1), "TOKEN=t")
		if len(f.Connectivity.Targets) != 1 || f.Monitors[0].Probe == nil {
			t.Errorf("not all comments were tried:\n%s", all)
		}
	}
}
