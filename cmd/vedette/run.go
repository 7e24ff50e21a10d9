package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/app"
	"github.com/vedettehq/vedette/manifest"
	"github.com/vedettehq/vedette/rule"
)

const runHelp = `Asks for a run of a scraper, which a worker then does; its id goes to stdout. The
run obeys the scraper's overlap policy: where the run before still lives and there
may be no other beside it, it is refused. --params replaces keys of the scraper's
params.

With --wait it waits for the end and prints the result. With --local no queue and
no worker are asked: the handler runs in this process, its log goes to stderr and
what it finds to stdout, and nothing is kept, not even what it remembers.

Exit code with --wait and --local: 0 it succeeded, 1 it did not.`

// A runFlags is what `vedette run` is told.
type runFlags struct {
	deskFlags
	params, priority string
	local, wait      bool
}

func newRun(s streams) *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use: "run SCRAPER", Short: "Run a scraper now", Long: runHelp,
		Example: "  vedette run prices --wait\n  vedette run prices --local --params '{\"page\": 2}'",
		Args:    one("scraper"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := f.request()
			if err != nil {
				return err
			}
			if f.local {
				return f.here(cmd.Context(), s, args[0], r)
			}
			return f.open(cmd.Context(), true, func(d *app.Desk) error { return f.push(cmd.Context(), s, d, args[0], r) })
		},
	}
	f.add(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.local, "local", false, "run it in this process, and keep nothing")
	flags.BoolVar(&f.wait, "wait", false, "wait for the end, and print the result")
	flags.StringVar(&f.params, "params", "", "JSON object with params that replace the scraper's")
	flags.StringVar(&f.priority, "priority", "", "utmost, high, normal or a number (default the scraper's)")
	cmd.ValidArgsFunction = f.complete
	return cmd
}

func (f *runFlags) request() (r app.RunRequest, err error) {
	if f.local && (f.wait || f.priority != "") {
		return r, usagef("--local waits for the end by itself, and nothing goes before it: leave out --wait and --priority")
	}
	if f.params != "" {
		var keys map[string]json.RawMessage
		switch err := json.Unmarshal([]byte(f.params), &keys); {
		case errors.As(err, new(*json.UnmarshalTypeError)), err == nil && keys == nil:
			return r, usagef("--params is JSON, but no object: write it as {\"page\": 2}")
		case err != nil:
			return r, usagef("--params is no JSON: %v", err)
		}
		r.Params = vedette.Raw(f.params)
	}
	if f.priority != "" {
		n, err := manifest.ParsePriority(f.priority)
		if err != nil {
			return r, usagef("--priority: %v", err)
		}
		r.Priority = &n
	}
	return r, nil
}

// push asks for a run.
func (f *runFlags) push(ctx context.Context, s streams, d *app.Desk, name string, r app.RunRequest) error {
	line, err := d.Run(ctx, name, r)
	if err != nil {
		return err
	}
	if idle := whyIdle(ctx, d, line.Queue); idle != "" {
		words(s, "job %s waits: %s", line.ID, idle)
	}
	if !f.wait {
		return asked(s, f.format, line)
	}
	if line, err = d.Await(ctx, line.ID); err != nil {
		return err
	}
	if f.format != "table" {
		err = writeOne(s.out, f.format, line)
	} else {
		err = ended(s, line)
	}
	if err == nil && line.State != vedette.JobSucceeded {
		return exitCode(exitFailed)
	}
	return err
}

// whyIdle says why nobody begins a job of a queue now, or "".
func whyIdle(ctx context.Context, d *app.Desk, queue string) string {
	if alive, err := d.Members(ctx); err == nil && alive["work"] == 0 {
		return "no process works, vedette up does"
	}
	queues, err := d.Queues(ctx)
	if err == nil && slices.ContainsFunc(queues, func(l app.QueueLine) bool { return l.Name == queue && l.Paused }) {
		return fmt.Sprintf("its queue is paused, vedette queues resume %s lets it go on", queue)
	}
	return ""
}

// ended prints the result of a job, or what went wrong.
func ended(s streams, l app.JobLine) error {
	if l.State != vedette.JobSucceeded {
		words(s, "job %s is %s: %s", l.ID, l.State, jobSays(l))
		return nil
	}
	_, err := fmt.Fprintln(s.out, l.Result)
	return err
}

// here runs a scraper in this process.
func (f *runFlags) here(ctx context.Context, s streams, name string, r app.RunRequest) error {
	if err := checkFormat(f.format); err != nil {
		return err
	}
	one, monitors, err := f.find(ctx, name)
	if err != nil {
		return err
	}
	if one.Job, err = r.Job(one.Job); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	local := app.Local{
		Monitors: monitors, Env: lookupEnv, Version: version(),
		Log: slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Item: func(item vedette.Raw) error {
			_, err := fmt.Fprintf(s.out, "%s\n", item)
			return err
		},
	}
	began := time.Now()
	result, err := local.Run(ctx, one)
	if err != nil {
		return fmt.Errorf("%s failed after %s: %w", one.ID, took(time.Since(began)), err)
	}
	words(s, "%s succeeded in %s: %s", one.ID, took(time.Since(began)), result)
	return nil
}

// find returns a scraper of the configuration, or else of the store, with the monitors beside it.
func (f *runFlags) find(ctx context.Context, name string) (one vedette.Scraper, all []vedette.Monitor, err error) {
	var names []string
	if f.store == "" {
		file, err := load(f.config)
		if err != nil {
			return one, nil, err
		}
		i := slices.IndexFunc(file.Scrapers, func(s vedette.Scraper) bool { return string(s.ID) == name })
		if i < 0 {
			i = slices.IndexFunc(file.Scrapers, func(s vedette.Scraper) bool { return s.Name == name })
		}
		if i >= 0 {
			return file.Scrapers[i], file.Monitors, nil
		}
		all = file.Monitors
		for _, s := range file.Scrapers {
			names = append(names, string(s.ID))
		}
	}
	err = f.open(ctx, false, func(d *app.Desk) (err error) {
		one, err = d.Scraper(ctx, name)
		return err
	})
	if err != nil && f.store == "" && !errors.Is(err, vedette.ErrNotFound) {
		err = fmt.Errorf("the configuration has no scraper %q (%s), and the store cannot be asked: %w",
			name, cmp.Or(rule.DidYouMean(name, names), "it has none"), err)
	}
	return one, all, err
}

func newBackfill(s streams) *cobra.Command {
	var f deskFlags
	var from, to, overlap string
	cmd := &cobra.Command{
		Use: "backfill SCRAPER --from TIME [--to TIME]", Short: "Run a scraper for due times of the past",
		Long: `Asks for a run for each due time of the scraper's schedule in a span, whether it
was run for it or not. The runs obey the overlap policy: with skip, for one, only
the first of them runs, and none if one lives. --overlap buffer_all lets them run one
after the other, --overlap allow_all side by side.`,
		Example: "  vedette backfill report --from 2026-03-01 --to 2026-04-01 --overlap buffer_all",
		Args:    one("scraper"),
		RunE: func(cmd *cobra.Command, args []string) error {
			begin, end, err := backfillSpan(from, to)
			if err != nil {
				return err
			}
			if overlap != "" && !slices.Contains(overlaps(), overlap) {
				return usagef("--overlap %q: %s", overlap, rule.DidYouMean(overlap, overlaps()))
			}
			return f.open(cmd.Context(), true, func(d *app.Desk) error {
				done, err := d.Backfill(cmd.Context(), args[0], begin, end, vedette.Overlap(overlap))
				if err != nil {
					return err
				}
				if f.format != "table" {
					return writeOne(s.out, f.format, done)
				}
				words(s, "%s: %s, %d skipped by the overlap policy", done.Scraper, count(done.Pushed, "run"), done.Skipped)
				return nil
			})
		},
	}
	f.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&from, "from", "", "begin of the span: 2026-03-01, 2026-03-01 22:00 (UTC) or 2026-03-01T22:00:00+01:00")
	flags.StringVar(&to, "to", "", "its end, not included (default now)")
	flags.StringVar(&overlap, "overlap", "", "policy instead of the scraper's: skip, buffer_one, buffer_all, cancel_other, terminate_other, allow_all")
	_ = cmd.RegisterFlagCompletionFunc("overlap", cobra.FixedCompletions(overlaps(), cobra.ShellCompDirectiveNoFileComp))
	cmd.ValidArgsFunction = f.complete
	return cmd
}

func overlaps() []string {
	return []string{"skip", "buffer_one", "buffer_all", "cancel_other", "terminate_other", "allow_all"}
}

// backfillSpan reads --from and --to.
func backfillSpan(from, to string) (begin, end time.Time, err error) {
	if from == "" {
		return begin, end, usagef("from when on? say it with --from 2026-03-01")
	}
	begin, okFrom := manifest.ParseTime(from, time.UTC)
	end, okTo := manifest.ParseTime(cmp.Or(to, time.Now().UTC().Format(time.RFC3339)), time.UTC)
	switch {
	case !okFrom:
		err = usagef("--from %q is no time: write it as 2026-03-01 22:00", from)
	case !okTo:
		err = usagef("--to %q is no time: write it as 2026-03-01 22:00", to)
	case !begin.Before(end):
		err = usagef("--from is not before --to")
	}
	return begin, end, err
}
