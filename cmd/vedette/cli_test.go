package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedettehq/vedette/manifest"
)

func TestWrongUsageIsAnsweredWithWhatWouldBeRight(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"foo", exitUsage, `unknown command "foo"`},
		{"chekc http://x/", exitUsage, "did you mean check?"},
		{"https://x/", exitUsage, "did you mean vedette check https://x/?"},
		{"config shwo", exitUsage, "did you mean show?"},
		{"completion bsh", exitUsage, "did you mean bash?"},
		{"version 1", exitUsage, "takes no arguments"},
		{"validate a b", exitUsage, "at most one"},
		{"check --nagos http://127.0.0.1:1/", exitUsage, "did you mean --nagios?"},
		{"results --limit abc", exitUsage, `--limit: "abc" is no whole number`},
		{"incidents --limit -1", exitUsage, "0 for all"},
		{"status --state dwon", exitUsage, "did you mean down?"},
		{"up --bogus", exitUsage, "unknown flag: --bogus"},
		{"check", exitUsage, "what to look at?"},
		{"check example.com", exitUsage, "did you mean https://example.com?"},
		{"check http://127.0.0.1:1/ --output xml", exitUsage, "want one of table, json, jsonl, csv, yaml"},
		{"check http://127.0.0.1:1/ --timeout 3", exitUsage, "did you mean 3s?"},
		{"check htp://127.0.0.1/", exitUsage, "did you mean http?"},
		{"check --expect total<2 http://127.0.0.1:1/", exitUsage, "2s"},
		{"check -c a.yaml http://127.0.0.1:1/", exitUsage, "either URLs, or monitors"},
		{"init", exitUsage, "which sites?"},
		{"init example.com", exitUsage, "did you mean https://example.com?"},
		{"status", exitFailed, "vedette init"},
		{"status -c nothere.yaml", exitFailed, "nothere.yaml"},
		{"status --store sqlite:nothere.db", exitFailed, "nothere.db"},
		{"results --store memory:", exitFailed, "its own process alone"},
		{"results --limit -1", exitUsage, "0 for all"},
		{"results home", exitUsage, "--monitor NAME"},
		{"up -c a.yaml http://127.0.0.1:1/", exitUsage, "either -c FILE or URLs"},
		{"up --role watcher http://127.0.0.1:1/", exitUsage, `role "watcher"`},
		{"up -o table http://127.0.0.1:1/", exitUsage, "want jsonl"},
		{"demo --for 15", exitUsage, "did you mean 15s?"},
		{"validate nothere.yaml", exitFailed, "nothere.yaml"},
		{"import sitemn a.yaml", exitUsage, "did you mean sitemon?"},
		{"import sitemon", exitUsage, "which files?"},
		{"import sitemon nothere.yaml", exitFailed, "nothere.yaml"},
		{"producer http://127.0.0.1:1/", exitUsage, "takes no arguments"},
		{"producer --role record", exitUsage, "unknown flag: --role"},
		{"consumer -c nothere.yaml", exitFailed, "nothere.yaml"},
	} {
		got := vedetteCmd(t, strings.Fields(c.args)...)
		if got.code != c.code || !strings.Contains(got.err, c.want) || got.out != "" {
			t.Errorf("vedette %s: exit %d, out %q, err %q; want exit %d and %q", c.args, got.code, got.out, got.err, c.code, c.want)
		}
	}
}

func TestEveryCommandHelps(t *testing.T) {
	for _, c := range newRoot(streams{strings.NewReader(""), io.Discard, io.Discard}).Commands() {
		got := vedetteCmd(t, c.Name(), "--help")
		if got.code != exitOK || !strings.Contains(got.out, "Usage:") || c.Short == "" {
			t.Errorf("%s --help: exit %d: %s", c.Name(), got.code, got.out)
		}
	}
}

func TestCheckSaysHowItWentByItsExitCode(t *testing.T) {
	up := serve(t, ok)
	down := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	for _, c := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"up", []string{up}, exitOK, []string{"up  " + up + "  200", "connect", "ttfb"}},
		{"down", []string{down}, exitDown, []string{"down  " + down + "  503", "status: status is 503, want 200-299"}},
		{"one of two down", []string{up, down}, exitDown, []string{"up  ", "down  "}},
		{"wanted all the same", []string{"--status", "5xx", down}, exitOK, []string{"up  "}},
		{"content", []string{"--contains", "great", up}, exitDown, []string{"content: "}},
		{"a warning", []string{"--warn", "status == 201", up}, exitOK, []string{"degraded  ", "status = 200"}},
		{"nagios ok", []string{"--nagios", up}, 0, []string{"OK - " + up + " 200 in", "| time=0."}},
		{"nagios warning", []string{"--nagios", "--warn", "status == 201", up}, 1, []string{"WARNING - "}},
		{"nagios critical", []string{"--nagios", down, up}, 2, []string{"CRITICAL - ", "OK - "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := vedetteCmd(t, append([]string{"check"}, c.args...)...)
			if got.code != c.code {
				t.Errorf("exit %d, want %d: %s%s", got.code, c.code, got.out, got.err)
			}
			for _, w := range c.want {
				if !strings.Contains(got.out, w) {
					t.Errorf("%q lacks %q", got.out, w)
				}
			}
		})
	}
}

func TestCheckOfMonitorsOfAFile(t *testing.T) {
	up := serve(t, ok)
	config := file(t, fmt.Sprintf("monitors:\n  - {name: one, url: %s, group: a}\n  - {name: two, url: %s, status: 500}\n", up, up))
	for _, c := range []struct {
		args  string
		code  int
		lines int
	}{
		{"one", exitOK, 1},
		{"two", exitDown, 1},
		{"--group a", exitOK, 1},
		{"--all", exitDown, 2},
		{"a/one", exitOK, 1},
		{"three", exitFailed, 0},
		{"one --timeout 3s", exitUsage, 0},
		{"--group b", exitFailed, 0},
	} {
		got := vedetteCmd(t, append([]string{"check", "-c", config, "-o", "jsonl"}, strings.Fields(c.args)...)...)
		if got.code != c.code || strings.Count(got.out, "\n") != c.lines {
			t.Errorf("check %s: exit %d: %s%s", c.args, got.code, got.out, got.err)
		}
	}
}

// What is kept can be read in every format, while the process that watches runs.
func TestReadWhatIsKept(t *testing.T) {
	up := serve(t, ok)
	down := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	db := filepath.Join(t.TempDir(), "read.db")
	config := file(t, fmt.Sprintf(`store: sqlite:%s
defaults: {interval: 200ms, timeout: 150ms, retry_interval: 100ms}
monitors:
  - {name: Good one, group: shop, url: "http://user:hunter2@%s"}
  - {name: bad, url: %q}
  - {name: idle, url: %q, paused: true}
`, db, strings.TrimPrefix(up, "http://"), down, up))
	p := startUp(t, "-c", config, "--listen", "none")
	deadline := time.Now().Add(20 * time.Second)
	for n := 0; n < 12 || time.Now().After(deadline); n++ {
		p.next(t, 10*time.Second)
	}

	status := objects(t, vedetteCmd(t, "status", "-c", config, "-o", "json"))
	if len(status) != 3 {
		t.Fatalf("status %v", status)
	}
	for key := range strings.FieldsSeq("id name group url state since checked_at code duration_ms failing failure_kind failure uptime_24h") {
		if _, has := status[0][key]; !has {
			t.Errorf("a line of status lacks %s: %v", key, status[0])
		}
	}
	bad, idle, good := status[0], status[1], status[2]
	if bad["state"] != "down" || bad["failure_kind"] != "status" || bad["code"] != 503.0 || bad["uptime_24h"] != 0.0 || bad["failing"].(float64) < 3 {
		t.Errorf("bad: %v", bad)
	}
	if idle["state"] != "paused" || idle["checked_at"] != nil {
		t.Errorf("idle: %v", idle)
	}
	if good["id"] != "shop/good-one" || good["state"] != "up" || good["uptime_24h"] != 1.0 || strings.Contains(fmt.Sprint(good), "hunter2") {
		t.Errorf("good: %v", good)
	}

	results := objects(t, vedetteCmd(t, "results", "-c", config, "-o", "jsonl"))
	for key := range strings.FieldsSeq("id monitor url due_at started_at state code duration_ms phases_ms failure_kind failure") {
		if _, has := results[0][key]; !has {
			t.Errorf("a result lacks %s: %v", key, results[0])
		}
	}
	if n := len(objects(t, vedetteCmd(t, "results", "-c", config, "--monitor", "Good one", "--limit", "2", "-o", "json"))); n != 2 {
		t.Errorf("%d results, want the 2 asked for", n)
	}
	if n := len(objects(t, vedetteCmd(t, "results", "-c", config, "--group", "shop", "--limit", "2", "-o", "json"))); n != 2 {
		t.Errorf("%d results of a group, want the 2 asked for", n)
	}
	if got := vedetteCmd(t, "results", "-c", config, "--group", "shp"); got.code != exitFailed || !strings.Contains(got.err, `group "shp": not found`) {
		t.Errorf("results of no group: exit %d: %s", got.code, got.err)
	}
	if in := objects(t, vedetteCmd(t, "incidents", "-c", config, "-o", "json")); len(in) != 1 || in[0]["monitor"] != "bad" || in[0]["closed_at"] != nil {
		t.Errorf("incidents %v", in)
	}
	checkFormats(t, config)
	p.kill(t)
}

// What `vedette up URL...` keeps is found in the same folder without a file, as it was made without one.
func TestReadWithoutAFile(t *testing.T) {
	dir := t.TempDir()
	config := file(t, fmt.Sprintf("monitors: [{name: a, url: %q, interval: 200ms}]", serve(t, ok)))
	p := startUp(t, "-c", config, "--store", "sqlite:"+filepath.Join(dir, "vedette.db"), "--listen", "none")
	p.next(t, 10*time.Second)
	t.Chdir(dir)
	if n := len(objects(t, vedetteCmd(t, "results", "-o", "json"))); n == 0 {
		t.Error("no results")
	}
	p.kill(t)
}

// objects reads JSON lines, or one array.
func objects(t *testing.T, got said) (all []map[string]any) {
	t.Helper()
	if got.code != exitOK {
		t.Fatalf("exit %d: %s", got.code, got.err)
	}
	if strings.HasPrefix(got.out, "[") {
		if err := json.Unmarshal([]byte(got.out), &all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	for line := range strings.Lines(got.out) {
		var one map[string]any
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

func checkFormats(t *testing.T, config string) {
	t.Helper()
	for _, cmd := range []string{"status", "results", "incidents"} {
		for format, want := range map[string]string{
			"table": "MONITOR", "csv": "monitor,", "yaml": "- id: ", "json": "[\n", "jsonl": `{"id":`,
		} {
			got := vedetteCmd(t, cmd, "-c", config, "-o", format)
			if cmd == "status" && format == "csv" {
				want = "id,name,group,url"
			}
			if got.code != exitOK || !strings.Contains(got.out, want) || strings.Contains(got.out, "\x1b[") {
				t.Errorf("%s -o %s: exit %d, want %q in:\n%s%s", cmd, format, got.code, want, got.out, got.err)
			}
		}
	}
	if got := vedetteCmd(t, "status", "-c", config, "nobody"); got.code != exitFailed || !strings.Contains(got.err, `"nobody"`) {
		t.Errorf("status of nobody: exit %d: %s", got.code, got.err)
	}
	if got := vedetteCmd(t, "status", "-c", config, "--state", "down", "-o", "jsonl"); strings.Count(got.out, "\n") != 1 {
		t.Errorf("status --state down: %s", got.out)
	}
}

// What init prints is a valid file for these sites.
func TestInitPrintsAValidFile(t *testing.T) {
	got := vedetteCmd(t, "init", "https://example.com/", "tcp://db.internal:5432", "dns://9.9.9.9/example.com")
	if got.code != exitOK {
		t.Fatalf("exit %d: %s", got.code, got.err)
	}
	config := file(t, got.out)
	if v := vedetteCmd(t, "validate", config); v.code != exitOK || !strings.Contains(v.err, "3 monitors, no mistakes") {
		t.Errorf("validate: exit %d: %s", v.code, v.err)
	}
	if f, err := manifest.Load(config, manifest.Options{}); err != nil || len(f.Monitors) != 3 {
		t.Errorf("Load: %v", err)
	}
}

func TestConfigShowHidesSecretsAndSaysWhereFrom(t *testing.T) {
	config := file(t, `defaults: {interval: 30s}
monitors:
  - {name: a, url: "https://example.com/", status: [200], request: {bearer: hunter2}}
`)
	got := vedetteCmd(t, "config", "show", "-c", config, "a")
	for _, want := range []string{"interval: 30s", "vedette.yaml:1", "built-in", "status"} {
		if !strings.Contains(got.out, want) {
			t.Errorf("config show lacks %q:\n%s", want, got.out)
		}
	}
	if strings.Contains(got.out, "hunter2") {
		t.Errorf("config show prints a secret:\n%s", got.out)
	}
	schema := vedetteCmd(t, "config", "schema")
	if !json.Valid([]byte(schema.out)) || !strings.Contains(schema.out, `"retry_interval"`) {
		t.Errorf("schema: %s", schema.out)
	}
}

func TestCompletionAndVersion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := vedetteCmd(t, "completion", shell); got.code != exitOK || len(got.out) < 100 {
			t.Errorf("completion %s: exit %d: %s", shell, got.code, got.err)
		}
	}
	if got := vedetteCmd(t, "version"); got.code != exitOK || !slices.Contains(strings.Fields(got.out), "vedette") {
		t.Errorf("version: %q", got.out)
	}
}
