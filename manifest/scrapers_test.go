package manifest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/manifest"
	"github.com/vedettehq/vedette/when"
)

const scraping = `
store: "memory"
queue: redis://u:hunter2@localhost:6379/1
read_only: true
worker: {concurrency: 7, queues: {fast: 3, slow: {weight: 2, concurrency: 1}, plain: }}
scrapers:
  - {name: Prices, group: shop, handler: exec, schedule: every_hour, params: {argv: [echo, "5"], own: [5, 1.5, true], env: {TOKEN: "${TOKEN}"}}}
  - name: all
    id: all/of.it
    labels: {team: web}
    handler: mine
    schedule:
      cron: 0 3 * * MON
      zone: Europe/Berlin
      from: 2026-01-01
      to: 2027-01-01 12:00
      overlap: cancel_other
      catch_up: 2h
      jitter: 90s
      pause_on_failure: true
    params: {url: "https://u:hunter2@example.com/", big: 123456789012345678, nested: {api_key: hunter2, list: [{x: null}]}}
    priority: utmost
    queue: slow
    timeout: 90s
    retries: {times: 3, after: 5m}
    keep: 0
    rate: 10/m
    enabled: false
  - {name: limited, handler: check, schedule: {calendar: [{hour: [3, 15], weekday: 1}, {month: 12, day: -1, except: true}]}, params: {monitor: a}, priority: 7, retries: 0, limit_key: site, rate: {every: 2s, burst: 5, key: site}}
  - {name: times, handler: exec, schedule: {at: "2026-03-01 22:00", zone: Europe/Berlin}, params: {argv: [a]}, retries: 2, limit_key: k, limit: 4}
`

func TestScrapersOfAFile(t *testing.T) {
	f := parse(t, scraping, "TOKEN=hunter2")
	day := func(y int, m time.Month, d, h int) time.Time { return time.Date(y, m, d, h, 0, 0, 0, time.UTC) }
	want := []vedette.Scraper{{
		ID: "shop/prices", Meta: vedette.Meta{Name: "Prices", Group: "shop", Origin: "vedette.yaml:7"},
		Schedule: vedette.Schedule{Every: time.Hour},
		Job: vedette.Job{
			Handler: "exec", Params: vedette.Raw(`{"argv":["echo","5"],"env":{"TOKEN":"hunter2"},"own":[5,1.5,true]}`),
			Queue: "default", Priority: vedette.Normal, Timeout: time.Hour, MaxAttempts: 2, RetryAfter: time.Minute, Keep: 50,
		},
	}, {
		ID: "all/of.it", Meta: vedette.Meta{Name: "all", Labels: map[string]string{"team": "web"}, Paused: true, Origin: "vedette.yaml:8"},
		Schedule: vedette.Schedule{
			Cron: "0 3 * * MON", Zone: "Europe/Berlin", From: day(2025, 12, 31, 23), To: day(2027, 1, 1, 11),
			Overlap: vedette.CancelOther, CatchUp: 2 * time.Hour, Jitter: 90 * time.Second, PauseOnFailure: true,
		},
		Job: vedette.Job{
			Handler: "mine", Params: vedette.Raw(`{"big":123456789012345678,"nested":{"api_key":"hunter2","list":[{"x":null}]},"url":"https://u:hunter2@example.com/"}`),
			Queue: "slow", Timeout: 90 * time.Second, MaxAttempts: 4, RetryAfter: 5 * time.Minute,
			RateKey: "scraper/all/of.it", RateEvery: 6 * time.Second,
		},
	}, {
		ID: "limited", Meta: vedette.Meta{Name: "limited", Origin: "vedette.yaml:29"},
		Schedule: vedette.Schedule{Calendar: []vedette.Calendar{{Hour: []int{3, 15}, Weekday: []int{1}}, {Month: []int{12}, Day: []int{-1}, Except: true}}},
		Job: vedette.Job{
			Handler: "check", Params: vedette.Raw(`{"monitor":"a"}`), Queue: "default", Priority: 7, Timeout: time.Hour, MaxAttempts: 1, Keep: 50,
			LimitKey: "site", Limit: 1, RateKey: "site", RateEvery: 2 * time.Second, RateBurst: 5,
		},
	}, {
		ID: "times", Meta: vedette.Meta{Name: "times", Origin: "vedette.yaml:30"},
		Schedule: vedette.Schedule{At: []time.Time{day(2026, 3, 1, 21)}, Zone: "Europe/Berlin"},
		Job: vedette.Job{
			Handler: "exec", Params: vedette.Raw(`{"argv":["a"]}`), Queue: "default", Priority: vedette.Normal, Timeout: time.Hour, MaxAttempts: 3, RetryAfter: time.Minute, Keep: 50,
			LimitKey: "k", Limit: 4,
		},
	}}
	if diff := cmp.Diff(want, f.Scrapers); diff != "" {
		t.Error(diff)
	}
	worker := manifest.Worker{Concurrency: 7, Queues: []manifest.Share{{Queue: "fast", Weight: 3}, {Queue: "slow", Weight: 2, Concurrency: 1}, {Queue: "plain"}}}
	if diff := cmp.Diff(worker, f.Worker); diff != "" || !f.ReadOnly || f.Queue != "redis://u:hunter2@localhost:6379/1" {
		t.Errorf("read_only %v, queue %s, %s", f.ReadOnly, f.Queue, diff)
	}
	if len(f.Warnings) > 0 {
		t.Error(f.Warnings)
	}
}

func TestScrapersAreShownAsTheyAre(t *testing.T) {
	f := parse(t, scraping, "TOKEN=hunter2")
	text := show(t, f, "")
	if strings.Contains(text, "hunter2") {
		t.Errorf("a secret is shown:\n%s", text)
	}
	for _, want := range []string{
		"scrapers:\n  - id: shop/prices  # made of group and name\n",
		"    schedule: {every: 1h}  # vedette.yaml:7\n",
		"      env: {TOKEN: \"***\"}  # vedette.yaml:7\n",
		"    retries: {times: 3, after: 5m}  # vedette.yaml:25\n",
		"    timeout: 1h  # built-in default\n", "    priority: normal  # built-in default\n",
		"    enabled: false  # vedette.yaml:28\n",
		"  queues: {fast: {weight: 3}, slow: {weight: 2, concurrency: 1}, plain: {}}  # vedette.yaml:5\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if err := validate(t, text); err != nil {
		t.Error(err)
	}
	again := parse(t, text)
	want := f.Scrapers
	for i := range want {
		want[i].Job.Params = manifest.HideParams(want[i].Job.Params)
	}
	if diff := cmp.Diff(want, again.Scrapers, cmpopts.IgnoreFields(vedette.Meta{}, "Origin")); diff != "" {
		t.Errorf("%s\n%s", diff, text)
	}
	if diff := cmp.Diff(f.Worker, again.Worker); diff != "" {
		t.Error(diff)
	}
	if one := show(t, f, "times"); strings.Contains(one, "prices") || !strings.Contains(one, "monitors: []\nscrapers:\n  - id: times  #") {
		t.Errorf("more than was asked for:\n%s", one)
	}
}

func TestScheduleIsATextOrAMap(t *testing.T) {
	for text, want := range map[string]vedette.Schedule{
		"":                            {},
		"5m":                          {Every: 5 * time.Minute},
		"every 1d":                    {Every: 24 * time.Hour},
		"'@every 90s'":                {Every: 90 * time.Second},
		"every_month":                 {Every: 30 * 24 * time.Hour},
		"inactive":                    {},
		"'*/5 * * * *'":               {Cron: "*/5 * * * *"},
		"0 3 * * MON":                 {Cron: "0 3 * * MON"},
		"'@daily'":                    {Cron: "@daily"},
		"'${S}'":                      {Every: time.Second},
		"{every: 5m, overlap: skip}":  {Every: 5 * time.Minute, Overlap: vedette.Skip},
		"{calendar: {hour: [3, 15]}}": {Calendar: []vedette.Calendar{{Hour: []int{3, 15}}}},
	} {
		file := "scrapers:\n- {name: a, handler: http, params: {url: 'http://a/'}, schedule: " + text + "}\n"
		f := parse(t, file, "S=every_second")
		if diff := cmp.Diff(want, f.Scrapers[0].Schedule); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
		if err := validate(t, file); err != nil {
			t.Errorf("%s: the schema refuses it: %v", text, err)
		}
	}
}

func TestQueuesOfAWorker(t *testing.T) {
	for text, want := range map[string]manifest.Worker{
		"{}":                               {Concurrency: 50},
		"{queues: a}":                      {Concurrency: 50, Queues: []manifest.Share{{Queue: "a"}}},
		"{queues: [a, b]}":                 {Concurrency: 50, Queues: []manifest.Share{{Queue: "a"}, {Queue: "b"}}},
		"{queues: {strict: [b, a]}}":       {Concurrency: 50, Queues: []manifest.Share{{Queue: "b"}, {Queue: "a"}}, Strict: true},
		"{queues: {strict: 2, a: '${W}'}}": {Concurrency: 50, Queues: []manifest.Share{{Queue: "strict", Weight: 2}, {Queue: "a", Weight: 9}}},
	} {
		f := parse(t, "monitors: []\nworker: "+text+"\n", "W=9")
		if diff := cmp.Diff(want, f.Worker); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
		if again := parse(t, show(t, f, "")); !cmp.Equal(f.Worker, again.Worker) {
			t.Errorf("%s: shown as\n%s", text, show(t, f, ""))
		}
	}
}

func TestHandlersOfAProgramAreKnownToIt(t *testing.T) {
	text := []byte("scrapers: [{name: a, handler: mine}]\n")
	for _, opt := range []manifest.Options{{Handlers: []string{"mine"}}, {AnyHandler: true}} {
		if _, err := manifest.Parse("a.yaml", text, opt); err != nil {
			t.Error(err)
		}
	}
	_, err := manifest.Parse("a.yaml", text, manifest.Options{Handlers: []string{"mime"}})
	if want := `a.yaml:1:31: scrapers[0].handler: there is no handler "mine": did you mean mime?`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestParamsAreShownWithoutSecrets(t *testing.T) {
	for raw, want := range map[string]string{
		"":                          "",
		`{"a":1.50,"b":"x"}`:        `{"a":1.50,"b":"x"}`,
		`{"env":{"A":"x","B":1}}`:   `{"env":{"A":"***","B":"***"}}`,
		`{"db_password":"x"}`:       `{"db_password":"***"}`,
		`{"token":{"file":"p"}}`:    `{"token":{"file":"p"}}`,
		`{"headers":["x",true,""]}`: `{"headers":["***",true,""]}`,
		`["http://u:p@h/"]`:         `["http://u:***@h/"]`,
		`{`:                         `"***"`,
	} {
		got := manifest.HideParams(vedette.Raw(raw))
		if string(got) != want {
			t.Errorf("%s is shown as %s, want %s", raw, got, want)
		}
		if hidden := strings.Contains(want, `"***"`); manifest.IsHidden(got) != hidden {
			t.Errorf("%s: hidden is not %v", got, hidden)
		}
	}
}

func TestMistakesInParamsQuoteNoSecrets(t *testing.T) {
	for raw, want := range map[string]string{
		`{"argv": ["a"], "env": "TOKEN=hunter2"}`:                          `"***" is not what it takes`,
		`{"argv": ["a"], "env": 7734}`:                                     `*** is not what it takes`,
		`{"argv": ["a"], "env": "<hunter2>"}`:                              `"***" is not what it takes`,
		`{"url": "https://u:hunter2@a b/"}`:                                `"https://u:***@a b/" is no http or https URL`,
		`{"url": "https://a/", "headers": {"Authorization": ["hunter2"]}}`: `["***"] is no text`,
		`{"url": "https://a/", "body": {"password": "hunter2"}}`:           `{"password": "***"} is not what it takes`,
		`{"url": "https://a/", "max_bytes": -1, "headers": {"a": "1"}}`:    `-1 is no size above 0`,
	} {
		handler := "http"
		if strings.Contains(raw, "argv") {
			handler = "exec"
		}
		wrong := manifest.ParamMistakes(handler, vedette.Raw(raw))
		if len(wrong) != 1 || !strings.HasPrefix(wrong[0].Text, want) {
			t.Errorf("%s: got %v, want %s", raw, wrong, want)
		}
	}
	_, err := manifest.Parse("a.yaml", []byte("scrapers: [{name: a, handler: exec, params: {argv: [a], env: hunter2}}]\n"), manifest.Options{})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

func TestLooksAtMonitorsThatThereAreNotAreWarnedOf(t *testing.T) {
	const monitors = "monitors: [{name: Home page, url: 'https://a/'}]\n"
	look := func(id string) string {
		return "scrapers:\n  - {name: look, handler: check, params: {monitor: " + id + "}}\n"
	}
	for text, want := range map[string]string{
		monitors + look("home-page"): "",
		look("elsewhere"):            "",
		monitors + look("hom-page"):  `a.yaml:3:52: warning: scrapers[0].params.monitor: no monitor of this file has the id "hom-page": did you mean home-page?`,
		monitors + look("Home page"): `a.yaml:3:52: warning: scrapers[0].params.monitor: no monitor of this file has the id "Home page": did you mean home-page?`,
		monitors + look("x"):         `a.yaml:3:52: warning: scrapers[0].params.monitor: no monitor of this file has the id "x"`,
	} {
		f, err := manifest.Parse("a.yaml", []byte(text), manifest.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, w := range f.Warnings {
			got += w.Error()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
	own := manifest.Options{Handlers: []string{"check"}}
	if f, err := manifest.Parse("a.yaml", []byte(monitors+look("x")), own); err != nil || len(f.Warnings) > 0 {
		t.Errorf("a check of the program's own: %v, %v", f.Warnings, err)
	}
}

func TestScrapersOfIncludedFilesAreJoined(t *testing.T) {
	dir := folder(t,
		"a.yaml", "include: [b.yaml]\nscrapers: [{name: a, handler: http, params: {url: 'http://a/'}}]\n",
		"b.yaml", "scrapers: [{name: b, handler: http, params: {url: 'http://a/'}}]\n",
	)
	f := load(t, dir+"/a.yaml")
	if len(f.Scrapers) != 2 || f.Scrapers[1].ID != "b" || !strings.HasSuffix(f.Scrapers[1].Origin, "b.yaml:1") {
		t.Errorf("got %+v", f.Scrapers)
	}
}

// FuzzSchedule reads anything: what is a schedule reads the same when it is shown.
func FuzzSchedule(f *testing.F) {
	for _, text := range []string{"5m", "every 5m", "@every 1h30m", "@daily", "0 3 * * MON", "every_hour", "inactive", "crontab", "@", "every ", "30"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := manifest.ParseSchedule(text)
		if err != nil {
			return
		}
		again := s
		switch {
		case s.Cron != "":
			again, err = manifest.ParseSchedule(s.Cron)
		case s.Every != 0:
			again, err = manifest.ParseSchedule(when.FormatDuration(s.Every))
		}
		if err != nil || !cmp.Equal(s, again) {
			t.Errorf("%q is %+v, and that is %+v, %v", text, s, again, err)
		}
	})
}

func TestPrioritiesHaveNames(t *testing.T) {
	for text, want := range map[string]int{"utmost": 0, "HIGH": 1, "normal": 2, "7": 7, "-1": -1} {
		got, err := manifest.ParsePriority(text)
		if err != nil || got != want {
			t.Errorf("%s is %d, %v", text, got, err)
		}
		if back, err := manifest.ParsePriority(manifest.FormatPriority(got)); err != nil || back != want {
			t.Errorf("%s is shown as %s", text, manifest.FormatPriority(got))
		}
	}
	if _, err := manifest.ParsePriority("nomal"); err == nil || !strings.Contains(err.Error(), "did you mean normal?") {
		t.Errorf("got %v", err)
	}
}

func TestScrapersThatStandAlone(t *testing.T) {
	for _, text := range []string{
		"name: a\nhandler: mine\nversion: 7\nnext_at: null\norigin: b.yaml:1\nruns: [{job: b}]\n",
		`[{"name": "a", "handler": "mine", "rate": {}, "limit_key": "", "limit": 0}]`,
		"scrapers: [{name: a, handler: mine}]\n",
	} {
		got, err := manifest.ParseScrapers("a.yaml", []byte(text), manifest.Options{Handlers: []string{"mine"}})
		if err != nil || len(got) != 1 || got[0].ID != "a" || got[0].Origin != "" || got[0].Job.RateKey != "" {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"":                                "a.yaml:1:1: there is no scraper in it",
		"5":                               "a.yaml:1:1: scrapers[0]: want a map with name and handler, not a value",
		"name: a\nhandler: mine\nevry: 5": "a.yaml:3:1: scrapers[0]: unknown key evry",
	} {
		_, err := manifest.ParseScrapers("a.yaml", []byte(text), manifest.Options{Handlers: []string{"mine"}})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}
