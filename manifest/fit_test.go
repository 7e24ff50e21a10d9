package manifest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vedettehq/vedette/check"
	"github.com/vedettehq/vedette/manifest"
)

// tried reads a file with the checker that watches sites.
func tried(t *testing.T, text string) (*manifest.File, error) {
	t.Helper()
	env := func(string) (string, bool) { return "value", true }
	checker, err := check.New(check.Config{Env: env})
	if err != nil {
		t.Fatal(err)
	}
	return manifest.Parse("a.yaml", []byte(text), manifest.Options{Env: env, Checker: checker})
}

const mixed = `
defaults: {status: [200], warn: ['total < "1s"']}
groups:
  shop: {pattern: ok, request: {method: HEAD}, tls: {min_version: "1.3"}, expect: ['total < "2s"']}
monitors:
  - {name: site, group: shop, url: "https://a/"}
  - {name: plain, group: shop, url: "http://a/", pattern: []}
  - {name: port, group: shop, url: "TCP://a:1", send: hi}
  - {name: port again, group: shop, url: "tcp://a:1"}
  - {name: handshake, group: shop, url: "tls://a:1"}
  - {name: name, url: "dns://1.1.1.1/a"}
`

func TestInheritedKeysThatDoNotFitAreLeftOut(t *testing.T) {
	f, err := tried(t, mixed)
	if err != nil {
		t.Fatal(err)
	}
	const both = `"expect":[{"that":"total \u003c \"2s\""}],"warn":[{"that":"total \u003c \"1s\""}]`
	want := []string{
		`{"status":["200"],"pattern":["ok"],"expect":[{"that":"total \u003c \"2s\""}],"request":{"method":"HEAD"},"tls":{"min_version":"1.3"},"warn":[{"that":"total \u003c \"1s\""}]}`,
		`{"status":["200"],"expect":[{"that":"total \u003c \"2s\""}],"request":{"method":"HEAD"},"warn":[{"that":"total \u003c \"1s\""}]}`,
		`{"pattern":["ok"],"expect":[{"that":"total \u003c \"2s\""}],"send":"hi","warn":[{"that":"total \u003c \"1s\""}]}`,
		`{"pattern":["ok"],` + both + `}`,
		`{"expect":[{"that":"total \u003c \"2s\""}],"tls":{"min_version":"1.3"},"warn":[{"that":"total \u003c \"1s\""}]}`,
		`{"warn":[{"that":"total \u003c \"1s\""}]}`,
	}
	for i, m := range f.Monitors {
		if diff := cmp.Diff(want[i], string(m.Probe)); diff != "" {
			t.Errorf("%s: %s", m.Name, diff)
		}
	}
	if text := show(t, f, "name"); strings.Contains(text, "status:") {
		t.Errorf("what does not fit is shown:\n%s", text)
	}
}

func TestOwnKeysThatDoNotFitAreMistakes(t *testing.T) {
	_, err := tried(t, "groups: {g: {status: [200]}}\nmonitors:\n- {name: a, group: g, url: 'tcp://a:1', status: [201]}\n")
	want := "a.yaml:3:49: monitors[0].status: tcp checks have no status: it is for http, https"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestWhereTheSchemeIsWrongNothingElseIs(t *testing.T) {
	_, err := tried(t, "defaults: {status: [200], send: hi}\nmonitors:\n- {name: a, url: 'gopher://a'}\n")
	want := "a.yaml:3:18: monitors[0].url: unknown scheme gopher: there are http, https, tcp, tls, dns"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestInheritedMistakesNameTheHeirs(t *testing.T) {
	_, err := tried(t, `
groups: {g: {expect: ['status == 200']}}
monitors:
- {name: site, group: g, url: 'https://a/'}
- {name: port, group: g, url: 'tcp://a:1'}
- {name: other, group: g, url: 'tcp://a:2'}
- {name: own, group: g, url: 'tcp://a:1', expect: ['statsu == 1']}
- {name: name, group: g, url: 'dns://1.1.1.1/a'}
`)
	want := `a.yaml:2:23: monitors[1].expect[0]: status is known only for http and https (inherited by port and 2 more)
a.yaml:7:52: monitors[3].expect[0]: unknown name statsu: `
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestMistakesInOneMonitorHideNoOthers(t *testing.T) {
	_, err := tried(t, `
monitors:
- {name: a, url: 'gopher://a', interval: 30, expect: ['never told, since nothing knows the names']}
- {name: b, url: 'https://a/', intervall: 30s, timeout: 0s, max_time: 5, status: [2000], pattern: '(', expect: ['statsu == 1', 'totl < 1'], depends_on: [nobody]}
- {name: c, url: 'tcp://a', request: {method: GET}, expect: ['status == 1']}
- {url: 'https://a/', warn: ['total < 2']}
- {name: a, url: 'https://a/', maintenance: {from: tomorrow, for: 1h}}
`)
	if err == nil {
		t.Fatal("no mistakes")
	}
	var got []string
	for line := range strings.Lines(err.Error()) {
		parts := strings.SplitN(line, ": ", 3)
		got = append(got, parts[1])
	}
	want := []string{
		"monitors[0].url", "monitors[0].interval",
		"monitors[1]", "monitors[1].timeout", "monitors[1].max_time", "monitors[1].status[0]", "monitors[1].pattern[0]",
		"monitors[1].expect[0]", "monitors[1].expect[1]", "monitors[1].depends_on[0]",
		"monitors[2].url", "monitors[2].request", "monitors[2].expect[0]",
		"monitors[3]", "monitors[3].warn[0]",
		"monitors[4].name", "monitors[4].maintenance[0].from",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\n%v", diff, err)
	}
}

func TestATimeoutThatNobodySetIsAtMostTheInterval(t *testing.T) {
	f := parse(t, `
groups: {fast: {interval: 2s, timeout: }, set: {interval: 2s, timeout: 5s}}
monitors:
  - {name: fast, group: fast, url: "tcp://a:1"}
  - {name: slow, group: fast, url: "tcp://a:1", interval: 5m}
  - {name: own, url: "tcp://a:1", interval: 3s}
  - {name: set, group: set, url: "tcp://a:1"}
`)
	want := []time.Duration{2 * time.Second, 10 * time.Second, 3 * time.Second, 5 * time.Second}
	for i, m := range f.Monitors {
		if m.Timeout != want[i] {
			t.Errorf("%s: the timeout is %s, want %s", m.Name, m.Timeout, want[i])
		}
	}
	if len(f.Warnings) != 1 || f.Warnings[0].Path != "groups.set.timeout" {
		t.Errorf("warnings: %v", f.Warnings)
	}
	if text := show(t, f, "fast"); !strings.Contains(text, "    timeout: 2s  # built-in default, at most the interval\n") {
		t.Error(text)
	}
	if text := show(t, f, "set"); !strings.Contains(text, "    timeout: 5s  # vedette.yaml:2\n") {
		t.Error(text)
	}
}

func TestShownURLsHaveNoPasswords(t *testing.T) {
	f, err := tried(t, `
connectivity: {targets: ["https://u:hunter2@a/", "tcp://9.9.9.9:53"]}
monitors:
  - name: a
    url: https://user:hunter2@a@h:81/x?y=b@c
    request: {proxy_url: "http://u:hunter2@p:1", bearer: hunter2, body: hunter2, headers: {A: hunter2}}
  - {name: b, url: "https://user@h:81/x:y@z"}
`)
	if err != nil {
		t.Fatal(err)
	}
	text := show(t, f, "")
	for _, want := range []string{
		`targets: ["https://u:***@a/", "tcp://9.9.9.9:53"]`, `url: "https://user:***@h:81/x?y=b@c"`, `url: "https://user@h:81/x:y@z"`,
		`proxy_url: "***"`, `bearer: "***"`, `body: "***"`, `A: "***"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(text, "hunter2") || t.Failed() {
		t.Error(text)
	}
	if f.Connectivity.Targets[0] != "https://u:hunter2@a/" || f.Monitors[0].URL != "https://user:hunter2@a@h:81/x?y=b@c" {
		t.Errorf("showing changed %v, %s", f.Connectivity.Targets, f.Monitors[0].URL)
	}
}

func TestAWordThatCannotBeReadIsWrongOnce(t *testing.T) {
	_, err := tried(t, "monitors: [{name: a, url: \"http://x/\", fails_with: [refusd]}]\n")
	var all manifest.Errors
	if !errors.As(err, &all) || len(all) != 1 {
		t.Errorf("%v", err)
	}
}
