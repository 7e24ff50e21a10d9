package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/app"
)

// scraping runs `vedette up` in this process, on a file with scrapers and a file of SQLite, until
// the test ends. It returns the configuration.
func scraping(t *testing.T, extra string) string {
	t.Helper()
	config := file(t, fmt.Sprintf(`store: sqlite:%s
http: {listen: ""}
%sscrapers:
  - name: ticks
    handler: exec
    schedule: {cron: "* * * * * *"}
    params: {argv: [sh, -c, 'echo looking >&2; echo "{\"n\": 1}"; echo "{\"\$result\": \"fine\"}"'], items: stdout, env: {TOKEN: hunter2}}
  - {name: Slow one, group: shop, handler: exec, params: {argv: [sleep, "60"]}}
  - {name: fails, handler: exec, retries: 0, priority: high, params: {argv: [sh, -c, 'echo oh no >&2; exit 3']}}
  - {name: fine, handler: exec, params: {argv: [echo, all is well]}}
`, filepath.Join(t.TempDir(), "jobs.db"), extra))
	ctx, cancel := context.WithCancel(t.Context())
	var log bytes.Buffer
	done := make(chan int, 1)
	go func() { done <- run(ctx, []string{"up", "-c", config}, streams{strings.NewReader(""), &log, &log}) }()
	t.Cleanup(func() {
		cancel()
		if code := <-done; code != exitOK {
			t.Errorf("up: exit %d: %s", code, log.String())
		}
	})
	awaitJob(t, config, "--scraper", "ticks", "--state", "succeeded")
	return config
}

// awaitJob waits until jobs list finds one, and returns its id.
func awaitJob(t *testing.T, config string, args ...string) string {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		got := vedetteCmd(t, append([]string{"jobs", "list", "-c", config, "-n", "1", "-o", "json"}, args...)...)
		if got.code == exitOK && got.out != "[]\n" {
			return objects(t, got)[0]["id"].(string)
		}
	}
	t.Fatalf("waited in vain for a job: %v", args)
	return ""
}

// object reads one JSON object.
func object(t *testing.T, got said) (one map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(got.out), &one); err != nil || got.code != exitOK {
		t.Fatalf("exit %d: %v: %s%s", got.code, err, got.out, got.err)
	}
	return one
}

// A step is one command line, and what it is to say.
type step struct {
	args string
	code int
	want string // a pattern
}

// walk runs one command line after the other.
func walk(t *testing.T, config string, steps ...step) {
	t.Helper()
	for _, s := range steps {
		args := strings.Fields(s.args)
		if config != "" {
			args = append(args, "-c", config)
		}
		got := vedetteCmd(t, args...)
		if got.code != s.code || !regexp.MustCompile("(?s)"+s.want).MatchString(got.out+got.err) || strings.Contains(got.out+got.err, "hunter2") {
			t.Errorf("vedette %s: exit %d, want %d and %q:\n%s%s", s.args, got.code, s.code, s.want, got.out, got.err)
		}
	}
}

func TestScrapersAndJobsAreShownAndChangedBesideTheProcessThatRunsThem(t *testing.T) {
	t.Parallel()
	config := scraping(t, "")
	id := awaitJob(t, config, "--scraper", "ticks", "--state", "succeeded")

	job := object(t, vedetteCmd(t, "jobs", "get", id, "-c", config, "-o", "json"))
	for key := range strings.FieldsSeq("id scraper handler state priority attempt created_at started_at heartbeat_at finished_at result error") {
		if _, has := job[key]; !has {
			t.Errorf("a job lacks %s: %v", key, job)
		}
	}
	if job["scraper"] != "ticks" || job["result"] != "fine" || job["priority"] != 2.0 {
		t.Errorf("got %v", job)
	}
	slow := strings.TrimSpace(vedetteCmd(t, "run", "Slow one", "-c", config).out)
	walk(t, config,
		step{"jobs logs " + id, exitOK, `^\d\d:\d\d:\d\d\.\d{3} INFO  looking\n$`},
		step{"jobs logs -f -o jsonl " + id, exitOK, `^{"seq":1,.*"msg":"looking"`},
		step{"jobs logs -o csv " + id, exitOK, `^seq,at,level,msg,attempt,attrs\n1,`},
		step{"jobs items " + id, exitOK, `^{"n": ?1}\n$`},
		step{"jobs items -o json " + id, exitOK, `^\[\n.*"id": "[0-9a-f]{8}-[0-9a-f]{4}-5`},
		step{"jobs items --all " + id, exitOK, `^{"id":"[^"]*","job":"` + id + `","epoch":\d+,"n":1,"at":"[^"]*","counts":true,"item":{"n":1}}\n$`},
		step{"jobs items -o csv " + id, exitOK, `^id,job,epoch,n,at,counts,item\n[^\n]*,1,[^\n]*,true,"{""n"":\s?1}"\n$`},
		step{"jobs items " + slow, exitFailed, `is known when it has ended; --follow waits for that`},
		step{"jobs items --all " + slow, exitOK, `no items\n$`},
		step{"jobs list --scraper ticks -n 2", exitOK, `JOB +SCRAPER +STATE +WHEN +TOOK +RESULT\n.* ticks +succeeded .* fine\n`},
		step{"jobs list --queue nowhere", exitOK, `no jobs`},
		step{"scrapers list", exitOK, `SCRAPER +STATE .*shop/slow-one +enabled .*by hand.*ticks +enabled +(now|in \ds) .*\* \* \* \* \* \*`},
		step{"scrapers list nobody", exitFailed, `scraper "nobody": not found`},
		step{"scrapers list --group shop -o jsonl", exitOK, `^{"id":"shop/slow-one"[^\n]*\n$`},
		step{"scrapers get tikcs", exitFailed, `did you mean ticks\?`},
		step{"scrapers get ticks", exitOK, `cron: "\* \* \* \* \* \*".*TOKEN: "\*\*\*".*origin: .*vedette.yaml:4.*next:\n.*runs:\n- job: [^\n]*\n  state: [^\n]*\n  fire_at: `},
		step{"schedules next ticks -n 3", exitOK, `DUE +IN *\n(.*\+0000 UTC +\ds\n){3}$`},
		step{"run shop/slow-one", exitFailed, `and the scraper's overlap is skip: .*exists already`},
		step{"run fine --wait", exitOK, `^all is well\n$`},
		step{"run fails --wait --priority utmost -o json", exitFailed, `"priority": 0.*"error": "exit status 3: oh no"`},
		step{"run fails --wait", exitFailed, `is dead: exit status 3: oh no`},
		step{"jobs cancel --reason enough " + slow, exitOK, `is to end`},
		step{"jobs retry " + id, exitFailed, `has succeeded`},
		step{"jobs get 01a2054a-d5a9-7883-b31a-38618dda660d", exitFailed, `not found`},
		step{"backfill shop/slow-one --from 2026-03-01 --overlap buffer_al", exitUsage, `did you mean buffer_all\?`},
		step{"backfill fine --from 2026-03-01", exitFailed, `nothing is due`},
	)
	failed := awaitJob(t, config, "--scraper", "fails", "--state", "dead")
	if again := strings.TrimSpace(vedetteCmd(t, "jobs", "retry", failed, "-c", config).out); len(again) != len(failed) || again == failed {
		t.Errorf("retry said %q", again)
	}
	for _, verb := range []string{"delete", "enable", "disable"} {
		walk(t, config, step{"scrapers " + verb + " ticks", exitFailed, `stands in .*vedette.yaml:4: change it there: read-only`})
	}
	awaitJob(t, config, "--scraper", "shop/slow-one", "--state", "cancelled")
	own := file(t, "name: own\nhandler: exec\nschedule: every_hour\nparams: {argv: [echo, mine]}\n")
	walk(t, config,
		step{"scrapers put " + own, exitOK, `scraper own is kept`},
		step{"run own --wait", exitOK, `^mine\n$`},
		step{"scrapers disable own", exitOK, `own is disabled`},
		step{"scrapers get own -o json", exitOK, `"enabled": false`},
		step{"scrapers enable own", exitOK, `own is enabled`},
		step{"queues pause default", exitOK, `default: paused`},
		step{"queues list", exitOK, `QUEUE +STATE +READY.*\ndefault +paused`},
		step{"run own", exitOK, `^[0-9a-f-]{36}\n.*waits: its queue is paused`},
		step{"run own --wait", exitFailed, `is pending`},
		step{"queues drain default", exitOK, `default: paused, and nothing runs`},
		step{"queues resume default", exitOK, `default: open`},
		step{"scrapers delete own", exitOK, `own is deleted`},
		step{"scrapers delete own", exitFailed, `scraper "own": not found`},
	)
	kept := vedetteCmd(t, "scrapers", "get", "ticks", "-c", config, "-o", "yaml").out
	walk(t, config,
		step{"scrapers put " + file(t, strings.Replace(kept, "id: ticks", "id: own", 1)), exitFailed, `hold \*\*\*, which stands for a secret`},
		step{"scrapers put " + file(t, kept), exitFailed, `\*\*\*|change it there`},
	)
}

func TestReadOnlyRefusesChangesAtTheCommandLine(t *testing.T) {
	t.Parallel()
	config := scraping(t, "read_only: true\n")
	id := awaitJob(t, config, "--scraper", "ticks")
	own := file(t, "{name: own, handler: exec, params: {argv: [a]}}")
	for _, args := range []string{
		"run fine", "run nobody", "jobs cancel " + id, "jobs retry " + id, "scrapers delete ticks", "scrapers enable ticks", "backfill ticks --from 2026-03-01 --overlap allow_all --to 2026-03-01T00:01:00Z",
		"queues pause default", "queues resume default", "queues drain default", "scrapers put " + own,
	} {
		walk(t, config, step{args, exitFailed, `vedette.yaml says read_only: true: read-only`})
	}
	walk(t, config, step{"jobs get " + id, exitOK, "scraper: ticks"})
}

func TestRunLocalNeedsNoQueue(t *testing.T) {
	t.Parallel()
	page := serve(t, ok)
	config := file(t, fmt.Sprintf(`store: sqlite:%s
monitors: [{name: home, url: %q}]
scrapers:
  - {name: items, handler: exec, params: {argv: [sh, -c, 'echo $VEDETTE_PARAMS; echo hi >&2'], items: stdout, page: 1}}
  - {name: fails, handler: exec, params: {argv: ["false"]}}
  - {name: slow, handler: exec, timeout: 100ms, params: {argv: [sleep, "10"]}}
  - {name: look, handler: check, params: {monitor: home}}
  - {name: fetch, handler: http, params: {url: %q}}
  - {name: mine, handler: mine}
`, filepath.Join(t.TempDir(), "none.db"), page, page))
	got := vedetteCmd(t, "run", "items", "--local", "--params", ` {"page": 2}`, "-c", config)
	if got.code != exitOK || !strings.Contains(got.out, `"page":2`) || !strings.Contains(got.err, "hi") || !strings.Contains(got.err, "items succeeded in ") {
		t.Errorf("exit %d: out %q, err %q", got.code, got.out, got.err)
	}
	walk(t, config,
		step{"run fails --local", exitFailed, `fails failed after .*exit status 1`},
		step{"run slow --local", exitFailed, `slow failed after .*`},
		step{"run look --local", exitOK, `look succeeded in .*up`},
		step{"run fetch --local", exitOK, `200 OK, 4 bytes in`},
		step{"run mine --local", exitFailed, `handler "mine": not found`},
		step{"run nobody --local", exitFailed, `none.db`},
		step{"run itms --local", exitFailed, `has no scraper "itms" \(did you mean items\?\)`},
		step{"run items --local --wait", exitUsage, `leave out --wait`},
		step{"validate", exitFailed, `there is no handler "mine"`},
		step{"validate --handler mine", exitOK, `1 monitor, 6 scrapers, no mistakes`},
		step{"config show look", exitOK, `monitors: \[\]\nscrapers:\n  - id: look  # made of group and name`},
	)
	if _, err := os.Stat("none.db"); err == nil {
		t.Error("a store was made")
	}
}

func TestRunSaysWhyNobodyBeginsIt(t *testing.T) {
	t.Parallel()
	config := scraping(t, "")
	walk(t, config,
		step{"run fine", exitOK, `^[0-9a-f-]{36}\n$`},
		step{"queues pause default", exitOK, "paused"},
		step{"run slow-one", exitFailed, "did you mean"},
		step{"run shop/slow-one", exitOK, `waits: its queue is paused, vedette queues resume default lets it go on\n`},
		step{"queues pause defalt", exitOK, `defalt: paused\nthere is no job in defalt: did you mean default\?\n`},
		step{"queues resume defalt", exitOK, `defalt: open\n`},
	)
	idle := file(t, fmt.Sprintf("store: sqlite:%s\nhttp: {listen: ''}\nscrapers: [{name: a, handler: exec, params: {argv: [a]}}]\n", filepath.Join(t.TempDir(), "idle.db")))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"up", "--role", "schedule", "-c", idle}, streams{strings.NewReader(""), io.Discard, io.Discard})
	}()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got := vedetteCmd(t, "scrapers", "get", "a", "-c", idle); got.code == exitOK {
			break
		}
	}
	walk(t, idle, step{"run a", exitOK, `waits: no process works, vedette up does\n`})
	cancel()
	if code := <-done; code != exitOK {
		t.Errorf("up: exit %d", code)
	}
}

func TestLogsTellAttemptsApart(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	show := logLine(streams{out: &out}, "table")
	for attempt := 1; attempt <= 2; attempt++ {
		if err := show(app.LogLine{Msg: "looking", Attempt: attempt, Attrs: map[string]any{"shop": 7}}); err != nil {
			t.Fatal(err)
		}
	}
	if !regexp.MustCompile(`^\S+ INFO  looking shop=7\n\S+ INFO  looking attempt=2 shop=7\n$`).MatchString(out.String()) {
		t.Errorf("got %s", out.String())
	}
}

func TestReasonOfACancelIsSaidOnce(t *testing.T) {
	t.Parallel()
	for want, l := range map[string]app.JobLine{
		"enough":                       {State: vedette.JobCancelled, Cancel: "enough"},
		"cancelled: enough (exit 3)":   {State: vedette.JobCancelled, Cancel: "enough", Error: "cancelled: enough (exit 3)"},
		"enough; exit 3":               {State: vedette.JobStarted, Cancel: "enough", Error: "exit 3"},
		"attempt 2 of 2: done at last": {State: vedette.JobSucceeded, Cancel: "too late", Result: "done at last", Attempt: 2, MaxAttempts: 2},
	} {
		if got := jobSays(l); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNextDueTimesOfASpec(t *testing.T) {
	t.Parallel()
	walk(t, "",
		step{"schedules next 0 3 * * MON-FRI --zone Europe/Berlin -n 2", exitOK, `^DUE +IN *\n(\w{3} [0-9-]{10} 03:00:00 \+0[12]00 CES?T +\d+.*\n){2}$`},
		step{"schedules next @daily -o json -n 1", exitOK, `"at": "[0-9-]{10}T00:00:00Z"`},
		step{"schedules next every 5m -n 3", exitOK, `(\n.*){4}$`},
		step{"schedules next every_hour -n 1 -o jsonl", exitOK, `^{"at":"[^"]*"}\n$`},
		step{"schedules next inactive", exitOK, `never due`},
		step{"schedules next 0 3 * *", exitUsage, `want 5 fields`},
		step{"schedules next 0 3 * * * --zone Berlin", exitUsage, `"Berlin" is no time zone`},
		step{"schedules next every_huor --zone UTC", exitUsage, `did you mean every_hour\?`},
		step{"schedules next", exitUsage, `which schedule\?`},
		step{"schedules nxt", exitUsage, `did you mean next\?`},
	)
}

func TestWrongUsageOfScrapersAndJobs(t *testing.T) {
	t.Chdir(t.TempDir())
	walk(t, "",
		step{"scrapers", exitOK, `Available Commands`},
		step{"scrapers lst", exitUsage, `did you mean list\?`},
		step{"scrapers get", exitUsage, `which scraper\?`},
		step{"scrapers get a b", exitUsage, `takes one scraper, not 2`},
		step{"scrapers delete", exitUsage, `which scrapers\?`},
		step{"scrapers put nothere.yaml", exitFailed, `nothere.yaml`},
		step{"scrapers list -o xml", exitUsage, `want one of table`},
		step{"scrapers list", exitFailed, `vedette init`},
		step{"scrapers list --store memory:", exitFailed, `its own process alone`},
		step{"scrapers list --store sqlite:nothere.db", exitFailed, `^vedette: open store nothere.db: .*vedette up makes it`},
		step{"run", exitUsage, `which scraper\?`},
		step{"run a --params [1]", exitUsage, `but no object`},
		step{"run a --params null", exitUsage, `but no object`},
		step{"run a --params {hunter2", exitUsage, `--params is no JSON: invalid character 'h'`},
		step{"run a --priority hihg", exitUsage, `did you mean high\?`},
		step{"backfill a", exitUsage, `--from 2026-03-01`},
		step{"backfill a --from soon", exitUsage, `--from "soon" is no time`},
		step{"backfill a --from 2026-03-01 --to 2026-02-01", exitUsage, `not before`},
		step{"backfill a --from 2026-03-01 --overlap skp", exitUsage, `did you mean skip\?`},
		step{"jobs list a", exitUsage, `use --scraper NAME`},
		step{"jobs list --state ded", exitUsage, `did you mean dead\?`},
		step{"jobs list -n -1", exitUsage, `0 for all`},
		step{"jobs get abc", exitUsage, `"abc" is no id of a job`},
		step{"jobs logs", exitUsage, `which job\?`},
		step{"queues pause", exitUsage, `which queues\?`},
		step{"queues list a", exitUsage, `takes no names`},
		step{"up --queue nonsense http://127.0.0.1:1/", exitFailed, `nonsense`},
		step{"up --store redis://127.0.0.1:1 http://127.0.0.1:1/", exitUsage, `neither results nor states nor incidents`},
	)
	walk(t, file(t, "store: memory\nscrapers: [{nme: a, handler: exce}]\n"),
		step{"up", exitFailed, `has no name.*unknown key nme.*no handler "exce": did you mean exec`},
		step{"up --role schedule", exitFailed, `^[^\n]*has no name[^\n]*(\n +[^\n]*){2}\n[^\n]*unknown key nme[^\n]*(\n +[^\n]*){2}\n$`})
	for _, text := range []string{"- {name: a, handler: exce}\n", "scrapers: {name: a, handler: exce}\n", "{name: a, handler: exce}\n"} {
		walk(t, "", step{"scrapers put " + file(t, text), exitFailed, `vedette.yaml:1:\d+: error: scrapers\[0\].handler: there is no handler "exce": did you mean exec\?`})
	}
}
