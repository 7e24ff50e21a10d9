package app_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/app"
	"github.com/vedettehq/vedette/manifest"
	"github.com/vedettehq/vedette/postgres/pgtest"
)

// asProgram makes the test binary a program that scrapers run.
const asProgram = "VEDETTE_TEST_SCRAPER"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		fmt.Fprintln(os.Stderr, "looking around")
		fmt.Fprintln(os.Stdout, `{"price": 5}`)
		fmt.Fprintln(os.Stdout, `{"$result": "one price"}`)
		return
	}
	os.Exit(m.Run())
}

// ticking is a file with a scraper that runs each second, and one by hand that waits.
func ticking(store string) []byte {
	return []byte(fmt.Sprintf(`store: %q
scrapers:
  - name: ticks
    handler: exec
    schedule: every_second
    params: {argv: [%q], env: {%s: "1", TOKEN: hunter2}, items: stdout}
  - {name: by hand, handler: wait, retries: 0}
  - {name: fails, handler: fail, retries: 0}
`, store, os.Args[0], asProgram))
}

// wait is a handler that runs until it is told to end.
func wait(ctx context.Context, t *vedette.Task) (string, error) {
	t.Log.Info("waiting", "for", "the end")
	<-ctx.Done()
	return "", context.Cause(ctx)
}

// scraping runs an app with the handlers wait and fail on a store.
func scraping(t *testing.T, store string) *app.App {
	t.Helper()
	a := newApp(t, app.Config{File: "vedette.yaml", Manifest: ticking(store), Grace: 100 * time.Millisecond})
	a.Handle("wait", vedette.HandlerFunc(wait))
	a.Handle("fail", vedette.HandlerFunc(func(context.Context, *vedette.Task) (string, error) { return "", errors.New("no luck") }))
	run(t, a)
	return a
}

// jobs returns the jobs that agree with like.
func jobs(t *testing.T, d *app.Desk, like vedette.Job) (lines []app.JobLine) {
	t.Helper()
	if err := d.Jobs(t.Context(), like, 0, func(l app.JobLine) error { lines = append(lines, l); return nil }); err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestScraperOfAFileRunsAndIsKept(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]func(*testing.T) string{
		"memory":   func(*testing.T) string { return "memory:" },
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "a.db") },
		"postgres": func(t *testing.T) string { return pgtest.Schema(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, ctx := scraping(t, store(t)).Desk(), t.Context()
			var done []app.JobLine
			await(t, "two runs that succeeded", func() bool {
				done = jobs(t, d, vedette.Job{Scraper: "ticks", State: vedette.JobSucceeded})
				return len(done) > 1
			})
			j, err := d.Job(ctx, done[0].ID)
			if err != nil || j.Result != "one price" || j.Handler != "exec" || j.Attempt != 1 || len(j.Attempts) != 1 || j.FinishedAt == nil {
				t.Errorf("got %+v, %v", j, err)
			}
			if apart := done[0].FireAt.Sub(*done[1].FireAt); apart <= 0 || apart%time.Second != 0 {
				t.Errorf("runs are %v apart", apart)
			}
			if strings.Contains(string(j.Params), "hunter2") {
				t.Errorf("params show a secret: %s", j.Params)
			}
			var said, found []string
			if err := d.Logs(ctx, j.ID, true, func(l app.LogLine) error { said = append(said, l.Msg); return nil }); err != nil {
				t.Error(err)
			}
			if err := d.Items(ctx, j.ID, app.ItemFilter{}, func(l app.ItemLine) error { found = append(found, string(l.Item)); return nil }); err != nil {
				t.Error(err)
			}
			if fmt.Sprint(said) != "[looking around]" || len(found) != 1 || !strings.Contains(found[0], "5") {
				t.Errorf("log %q, items %q", said, found)
			}
			lines, err := d.Scrapers(ctx, app.Filter{Names: []string{"ticks"}})
			if err != nil || len(lines) != 1 || lines[0].NextAt == nil || lines[0].LastAt == nil || lines[0].Origin != "vedette.yaml:3" {
				t.Errorf("got %+v, %v", lines, err)
			}
		})
	}
}

func TestRunObeysOverlapAndCanBeCancelledAndRetried(t *testing.T) {
	t.Parallel()
	d, ctx := scraping(t, "memory:").Desk(), t.Context()
	var first app.JobLine
	await(t, "the scraper", func() (ok bool) {
		var err error
		first, err = d.Run(ctx, "by hand", app.RunRequest{Params: vedette.Raw(`{"page": 2}`)})
		return err == nil
	})
	if string(first.Params) != `{"page":2}` {
		t.Errorf("params %s", first.Params)
	}
	await(t, "the start", func() bool { return len(jobs(t, d, vedette.Job{Scraper: "by-hand", State: vedette.JobStarted})) == 1 })
	_, err := d.Run(ctx, "by-hand", app.RunRequest{})
	if !errors.Is(err, vedette.ErrExists) || !strings.Contains(err.Error(), first.ID.String()) || !strings.Contains(err.Error(), "overlap is skip") {
		t.Errorf("a second run: %v", err)
	}
	if _, err := d.Retry(ctx, first.ID); !errors.Is(err, vedette.ErrRefused) {
		t.Errorf("retry of one that runs: %v", err)
	}
	if err := d.Cancel(ctx, "enough", first.ID); err != nil {
		t.Error(err)
	}
	ended, err := d.Await(ctx, first.ID)
	if err != nil || ended.State != vedette.JobCancelled || ended.Cancel != "enough" {
		t.Errorf("got %+v, %v", ended, err)
	}
	if err := d.Cancel(ctx, "enough", first.ID); !errors.Is(err, vedette.ErrRefused) {
		t.Errorf("cancel of one that has ended: %v", err)
	}
	again, err := d.Retry(ctx, first.ID)
	if err != nil || again.ID == first.ID || string(again.Params) != `{"page":2}` || !again.FireAt.Equal(*first.FireAt) {
		t.Errorf("got %+v, %v", again, err)
	}
	if err := d.Cancel(ctx, "enough", again.ID); err != nil {
		t.Error(err)
	}
}

func TestRetryOfAFailedJobIsANewOne(t *testing.T) {
	t.Parallel()
	d, ctx := scraping(t, "memory:").Desk(), t.Context()
	var j app.JobLine
	await(t, "the scraper", func() (ok bool) {
		var err error
		j, err = d.Run(ctx, "fails", app.RunRequest{})
		return err == nil
	})
	j, err := d.Await(ctx, j.ID)
	if err != nil || j.State != vedette.JobDead || j.Error != "no luck" {
		t.Fatalf("got %+v, %v", j, err)
	}
	again, err := d.Retry(ctx, j.ID)
	if err != nil || again.ID == j.ID || again.Attempt > 1 || again.Scraper != "fails" {
		t.Errorf("got %+v, %v", again, err)
	}
	if _, err := d.Job(ctx, vedette.NewID(time.Now())); !errors.Is(err, vedette.ErrNotFound) {
		t.Errorf("a job that there is not: %v", err)
	}
}

func TestQueuesArePausedAndDrained(t *testing.T) {
	t.Parallel()
	d, ctx := scraping(t, "memory:").Desk(), t.Context()
	var j app.JobLine
	await(t, "the scraper", func() (ok bool) {
		var err error
		j, err = d.Run(ctx, "by hand", app.RunRequest{})
		return err == nil
	})
	await(t, "the start", func() bool { return len(jobs(t, d, vedette.Job{Scraper: "by-hand", State: vedette.JobStarted})) == 1 })
	soon, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if err := d.Drain(soon, "default"); err == nil || !strings.Contains(err.Error(), "1 have not ended") {
		t.Errorf("drained while a job ran: %v", err)
	}
	if err := d.Cancel(ctx, "enough", j.ID); err != nil {
		t.Error(err)
	}
	if err := d.Drain(ctx, "default"); err != nil {
		t.Error(err)
	}
	queues, err := d.Queues(ctx)
	if err != nil || len(queues) != 1 || !queues[0].Paused || queues[0].Started != 0 {
		t.Errorf("got %+v, %v", queues, err)
	}
	before := len(jobs(t, d, vedette.Job{Scraper: "ticks", State: vedette.JobSucceeded}))
	if err := d.Resume(ctx, "default"); err != nil {
		t.Error(err)
	}
	await(t, "a run after the pause", func() bool {
		return len(jobs(t, d, vedette.Job{Scraper: "ticks", State: vedette.JobSucceeded})) > before
	})
}

func TestBackfillPushesARunForEachDueTime(t *testing.T) {
	a := newApp(t, app.Config{Roles: []string{"schedule"}})
	run(t, a)
	d, ctx := a.Desk(), t.Context()
	err := a.Scrape(ctx, vedette.Scraper{ID: "hourly", Schedule: vedette.Schedule{Cron: "0 * * * *"}, Job: vedette.Job{Handler: "wait"}})
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	done, err := d.Backfill(ctx, "hourly", from, from.Add(100*24*time.Hour), vedette.BufferAll)
	if err != nil || done.Pushed != 2400 || done.Skipped != 0 {
		t.Errorf("got %+v, %v", done, err)
	}
	if n := len(jobs(t, d, vedette.Job{Scraper: "hourly"})); n != 2400 {
		t.Errorf("%d jobs, want 2400", n)
	}
	_, err = d.Backfill(ctx, "hourly", from, from.Add(time.Hour), "")
	if !errors.Is(err, vedette.ErrExists) || !strings.Contains(err.Error(), "overlap is skip: wait for it, or vedette jobs cancel ") {
		t.Errorf("beside those that live: %v", err)
	}
	if _, err := d.Backfill(ctx, "hourly", from.Add(time.Minute), from.Add(time.Hour), ""); !errors.Is(err, vedette.ErrRefused) {
		t.Errorf("where nothing is due: %v", err)
	}
}

func TestScrapersOfAFileAreChangedThere(t *testing.T) {
	t.Parallel()
	d, ctx := scraping(t, "memory:").Desk(), t.Context()
	await(t, "the scraper", func() bool { _, err := d.Scraper(ctx, "ticks"); return err == nil })
	own := vedette.Scraper{ID: "own", Meta: vedette.Meta{Name: "Own"}, Job: vedette.Job{Handler: "wait"}}
	if err := d.PutScrapers(ctx, own); err != nil {
		t.Fatal(err)
	}
	theirs := own
	theirs.ID = "ticks"
	for what, err := range map[string]error{
		"put":     d.PutScrapers(ctx, theirs),
		"delete":  d.DeleteScraper(ctx, "ticks"),
		"enable":  d.EnableScraper(ctx, "ticks", true),
		"disable": d.EnableScraper(ctx, "ticks", false),
	} {
		if !errors.Is(err, vedette.ErrReadOnly) || !strings.Contains(err.Error(), "vedette.yaml:3") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := d.EnableScraper(ctx, "Own", false); err != nil {
		t.Error(err)
	}
	if line, err := d.Upcoming(ctx, "own", 3); err != nil || line.Enabled || len(line.Next) != 0 {
		t.Errorf("got %+v, %v", line, err)
	}
	if err := d.DeleteScraper(ctx, "own"); err != nil {
		t.Error(err)
	}
	if _, err := d.Scraper(ctx, "tickz"); !errors.Is(err, vedette.ErrNotFound) || !strings.Contains(err.Error(), "did you mean ticks?") {
		t.Errorf("got %v", err)
	}
	hidden := own
	hidden.Job.Params = vedette.Raw(`{"token":"***"}`)
	if err := d.PutScrapers(ctx, hidden); !errors.Is(err, vedette.ErrRefused) {
		t.Errorf("put with a secret as it was shown: %v", err)
	}
	var wrong vedette.Mistakes
	if err := d.PutScrapers(ctx, vedette.Scraper{ID: "bad"}); !errors.As(err, &wrong) {
		t.Errorf("put of one without a handler: %v", err)
	}
}

func TestReadOnlyFileLetsPeopleLookAndChangeNothing(t *testing.T) {
	t.Parallel()
	a := newApp(t, app.Config{File: "vedette.yaml", Manifest: []byte("read_only: true\n" + strings.ReplaceAll(string(ticking("memory:")), "handler: fail", "handler: wait"))})
	a.Handle("wait", vedette.HandlerFunc(wait))
	run(t, a)
	d, ctx := a.Desk(), t.Context()
	var j app.JobLine
	await(t, "a run", func() bool {
		for _, one := range jobs(t, d, vedette.Job{Scraper: "ticks", State: vedette.JobSucceeded}) {
			j = one
		}
		return j.Scraper != ""
	})
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, errRun := d.Run(ctx, "by hand", app.RunRequest{})
	for what, err := range map[string]error{
		"run": errRun, "pause": d.Pause(ctx, "default"), "resume": d.Resume(ctx, "default"), "drain": d.Drain(ctx, "default"),
		"put": d.PutScrapers(ctx, vedette.Scraper{ID: "own", Meta: vedette.Meta{Name: "own"}, Job: vedette.Job{Handler: "wait"}}),
	} {
		if !errors.Is(err, vedette.ErrReadOnly) || !strings.Contains(err.Error(), "read_only") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestHandlerThatNobodyMadeKnownIsAMistakeWithItsPlace(t *testing.T) {
	a := newApp(t, app.Config{File: "vedette.yaml", Manifest: []byte("scrapers:\n- {name: a, handler: wiat}\n"), Store: "memory:"})
	a.Handle("wait", vedette.HandlerFunc(wait))
	var wrong manifest.Errors
	if err := a.Run(t.Context()); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "vedette.yaml:2:22: scrapers[0].handler") || !strings.Contains(err.Error(), "did you mean wait?") {
		t.Errorf("got %v", err)
	}
}

func TestScrapeRefusesWhatABuiltInHandlerWillNotTake(t *testing.T) {
	a := newApp(t, app.Config{Store: "memory:"})
	bad := vedette.Job{Handler: "http", Params: vedette.Raw(`{"url":"example.org","headers":{"A":{"token":"hunter2"}}}`)}
	err := a.Scrape(t.Context(), vedette.Scraper{ID: "a", Job: bad}, vedette.Scraper{ID: "b", Job: vedette.Job{Handler: "exec", Params: vedette.Raw(`[]`)}})
	want := `a: params.headers.A: {"token":"***"} is no text (write a text)
a: params.url: "example.org" is no http or https URL (write it whole, as in https://example.org/)
b: params: params are no object (write key: value)
b: params.argv: is required (name the program and its arguments, as in ["python3", "shop.py"])`
	if _, ok := errors.AsType[vedette.Mistakes](err); !ok || err.Error() != want {
		t.Errorf("got %v, want\n%s", err, want)
	}
	if _, err := a.Desk().Scraper(t.Context(), "a"); !errors.Is(err, vedette.ErrNotFound) {
		t.Errorf("what was refused: %v", err)
	}
	a.Handle("http", vedette.HandlerFunc(wait))
	if err := a.Scrape(t.Context(), vedette.Scraper{ID: "a", Job: bad}); err != nil {
		t.Errorf("with a handler of the program's own: %v", err)
	}
}

func TestOnlyThoseThatWorkNeedTheHandlersOfAFile(t *testing.T) {
	a := newApp(t, app.Config{File: "vedette.yaml", Manifest: ticking("memory:"), Roles: []string{"schedule"}})
	run(t, a)
	d := a.Desk()
	await(t, "the scrapers", func() bool { _, err := d.Scraper(t.Context(), "by-hand"); return err == nil })
}

func TestReloadChangesScrapersToo(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "vedette.yaml")
	const text = "store: memory\nscrapers:\n- {name: a, handler: wait, enabled: false}\n- {name: b, handler: wait}\n"
	write(t, path, text)
	a := newApp(t, app.Config{File: path, Grace: 100 * time.Millisecond})
	a.Handle("wait", vedette.HandlerFunc(wait))
	run(t, a)
	d, ctx := a.Desk(), t.Context()
	if err := a.Scrape(ctx, vedette.Scraper{ID: "own", Job: vedette.Job{Handler: "wait"}}); err != nil {
		t.Fatal(err)
	}
	await(t, "both scrapers", func() bool { _, err := d.Scraper(ctx, "b"); return err == nil })
	before, err := d.Scraper(ctx, "b")
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, "store: memory\nscrapers:\n- {name: b, handler: wait}\n- {name: c, handler: wait, schedule: every_second}\n")
	await(t, "a run of the new one", func() bool { return len(jobs(t, d, vedette.Job{Scraper: "c"})) > 0 })
	if _, err := d.Scraper(ctx, "a"); !errors.Is(err, vedette.ErrNotFound) {
		t.Errorf("the one that the file no longer names: %v", err)
	}
	if _, err := d.Scraper(ctx, "own"); err != nil {
		t.Errorf("the one that no file owns: %v", err)
	}
	after, err := d.Scraper(ctx, "b")
	if err != nil || after.Origin != path+":3" || before.Origin != path+":4" {
		t.Errorf("moved from %s to %s, %v", before.Origin, after.Origin, err)
	}
	write(t, path, "store: memory\nscrapers:\n- {name: b, handler: wiat}\n")
	if err := a.Reload(ctx); err == nil || !strings.Contains(err.Error(), "did you mean wait?") {
		t.Errorf("a handler that nobody made known: %v", err)
	}
}

func TestMembersOfRolesCanBeCounted(t *testing.T) {
	store := "sqlite:" + filepath.Join(t.TempDir(), "a.db")
	a := newApp(t, app.Config{Store: store})
	run(t, a)
	await(t, "both members", func() bool {
		members, err := a.Desk().Members(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return members["work"] == 1 && members["schedule"] == 1
	})
}
