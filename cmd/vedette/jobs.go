package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/app"
	"github.com/vedettehq/vedette/rule"
)

func newJobs(s streams) *cobra.Command {
	return noun("jobs", "Show runs of scrapers, cancel them and run them again",
		newJobsList(s), newJobsGet(s), newJobsLogs(s), newJobsItems(s), newJobsCancel(s), newJobsRetry(s))
}

func newJobsList(s streams) *cobra.Command {
	var f deskFlags
	var like vedette.Job
	var scraper, state string
	var n int
	cmd := &cobra.Command{
		Use: "list", Short: "List jobs, newest first",
		Example: "  vedette jobs list --scraper prices\n  vedette jobs list --state dead -o json",
		Args:    noArgs("list takes no names: use --scraper NAME"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(checkLimit(n), checkJobState(state)); err != nil {
				return err
			}
			return f.open(cmd.Context(), false, func(d *app.Desk) (err error) {
				like.State = vedette.JobState(state)
				if like.Scraper, err = scraperID(cmd.Context(), d, scraper); err != nil {
					return err
				}
				return listJobs(cmd.Context(), s, d, f.format, like, n)
			})
		},
	}
	f.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&scraper, "scraper", "", "only runs of this scraper, by id or name")
	flags.StringVar(&state, "state", "", "only jobs in this state: "+strings.Join(jobStates(), ", "))
	flags.StringVar(&like.Queue, "queue", "", "only jobs of this queue")
	flags.StringVar(&like.Handler, "handler", "", "only jobs of this handler")
	limitFlag(cmd, &n, 50, "how many; 0 is all")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(jobStates(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("scraper", f.complete)
	return cmd
}

func jobStates() []string {
	return []string{"scheduled", "pending", "started", "retrying", "succeeded", "failed", "dead", "cancelled"}
}

func checkJobState(state string) error {
	if state == "" || slices.Contains(jobStates(), state) {
		return nil
	}
	return usagef("--state %q: %s", state, rule.DidYouMean(state, jobStates()))
}

// scraperID returns the id of a scraper by id or name. One that is gone may have left jobs under its id.
func scraperID(ctx context.Context, d *app.Desk, name string) (vedette.ScraperID, error) {
	if name == "" {
		return "", nil
	}
	s, err := d.Scraper(ctx, name)
	if !errors.Is(err, vedette.ErrNotFound) {
		return s.ID, err
	}
	id := vedette.ScraperID(name)
	if d.Jobs(ctx, vedette.Job{Scraper: id}, 1, func(app.JobLine) error { err = nil; return nil }) != nil || err != nil {
		return "", err
	}
	return id, nil
}

func listJobs(ctx context.Context, s streams, d *app.Desk, format string, like vedette.Job, n int) error {
	var lines []app.JobLine
	e := json.NewEncoder(s.out)
	err := d.Jobs(ctx, like, n, func(l app.JobLine) error {
		if format == "jsonl" {
			return e.Encode(l)
		}
		lines = append(lines, l)
		return nil
	})
	switch {
	case err != nil || format == "jsonl":
		return err
	case format == "table" && len(lines) == 0:
		words(s, "no jobs")
		return nil
	}
	return write(s.out, format, lines, jobColumns())
}

func jobColumns() []column[app.JobLine] {
	return []column[app.JobLine]{
		{"job", func(l app.JobLine) string { return l.ID.String() }},
		{"scraper", func(l app.JobLine) string { return cmp.Or(string(l.Scraper), "-") }},
		{"state", func(l app.JobLine) string { return jobStateCell(l.State) }},
		{"when", jobWhen},
		{"took", jobTook},
		{"result", jobSays},
	}
}

func jobStateCell(s vedette.JobState) string {
	color := map[vedette.JobState]text.Color{
		vedette.JobSucceeded: text.FgGreen, vedette.JobStarted: text.FgCyan, vedette.JobRetrying: text.FgYellow,
		vedette.JobFailed: text.FgRed, vedette.JobDead: text.FgRed, vedette.JobCancelled: text.FgHiBlack,
	}[s]
	if color == 0 {
		return string(s)
	}
	return color.Sprint(string(s))
}

// jobWhen says how long ago a job began, or in how long it may.
func jobWhen(l app.JobLine) string {
	switch {
	case l.State == vedette.JobScheduled || l.State == vedette.JobRetrying:
		return until(l.RunAt)
	case l.StartedAt != nil:
		return ago(l.StartedAt)
	}
	return ago(l.CreatedAt)
}

func jobTook(l app.JobLine) string {
	switch {
	case l.StartedAt == nil:
		return "-"
	case l.FinishedAt != nil:
		return took(l.FinishedAt.Sub(*l.StartedAt))
	case l.State == vedette.JobStarted:
		return took(time.Since(*l.StartedAt).Truncate(time.Second))
	}
	return "-"
}

// jobSays is the result of a job, or what went wrong, and at which attempt.
func jobSays(l app.JobLine) string {
	said := cmp.Or(l.Error, l.Result)
	if l.State == vedette.JobSucceeded {
		said = l.Result
	}
	if l.Cancel != "" && l.State != vedette.JobSucceeded && !strings.Contains(said, l.Cancel) {
		said = strings.TrimSuffix(l.Cancel+"; "+said, "; ")
	}
	if l.Attempt > 1 {
		said = fmt.Sprintf("attempt %d of %d: %s", l.Attempt, l.MaxAttempts, said)
	}
	return said
}

// jobID reads the id of a job.
func jobID(arg string) (vedette.ID, error) {
	id, err := vedette.ParseID(arg)
	if err != nil {
		return id, usagef("%q is no id of a job: vedette jobs list shows them", arg)
	}
	return id, nil
}

// withJob is a command about one job.
func withJob(use, short string, change bool, f *deskFlags, do func(context.Context, *app.Desk, vedette.ID) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: one("job"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := jobID(args[0])
			if err != nil {
				return err
			}
			return f.open(cmd.Context(), change, func(d *app.Desk) error { return do(cmd.Context(), d, id) })
		},
	}
	f.add(cmd)
	return cmd
}

func newJobsGet(s streams) *cobra.Command {
	var f deskFlags
	return withJob("get ID", "Show one job and its attempts", false, &f, func(ctx context.Context, d *app.Desk, id vedette.ID) error {
		line, err := d.Job(ctx, id)
		if err != nil {
			return err
		}
		return writeOne(s.out, f.format, line)
	})
}

func newJobsLogs(s streams) *cobra.Command {
	var f deskFlags
	var follow bool
	cmd := withJob("logs ID", "Show what a job logged", false, &f, func(ctx context.Context, d *app.Desk, id vedette.ID) error {
		show := logLine(s, f.format)
		var lines []app.LogLine
		err := d.Logs(ctx, id, follow, func(l app.LogLine) error {
			if show != nil {
				return show(l)
			}
			lines = append(lines, l)
			return nil
		})
		if err != nil || show != nil {
			return err
		}
		return write(s.out, f.format, lines, nil)
	})
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the job has ended")
	return cmd
}

// logLine prints lines as they come, or is nil for formats that are written as a whole.
func logLine(s streams, format string) func(app.LogLine) error {
	switch format {
	case "jsonl":
		e := json.NewEncoder(s.out)
		return func(l app.LogLine) error { return e.Encode(l) }
	case "table":
		color := colored(s.out)
		return func(l app.LogLine) error {
			level := fmt.Sprintf("%-5s", l.Level)
			if color {
				level = levelColor(l.Level).Sprint(level)
			}
			line := []string{l.At.Local().Format("15:04:05.000"), level, oneLine(l.Msg)}
			if l.Attempt > 1 {
				line = append(line, fmt.Sprintf("attempt=%d", l.Attempt))
			}
			for _, key := range slices.Sorted(maps.Keys(l.Attrs)) {
				line = append(line, oneLine(fmt.Sprintf("%s=%v", key, l.Attrs[key])))
			}
			_, err := fmt.Fprintln(s.out, strings.Join(line, " "))
			return err
		}
	}
	return nil
}

func levelColor(l slog.Level) text.Color {
	switch {
	case l >= slog.LevelError:
		return text.FgRed
	case l >= slog.LevelWarn:
		return text.FgYellow
	case l < slog.LevelInfo:
		return text.FgHiBlack
	}
	return text.FgCyan
}

func newJobsCancel(s streams) *cobra.Command {
	var f deskFlags
	var reason string
	cmd := withJob("cancel ID", "Cancel a job", true, &f, func(ctx context.Context, d *app.Desk, id vedette.ID) error {
		if err := d.Cancel(ctx, reason, id); err != nil {
			return err
		}
		words(s, "job %s is to end", id)
		return nil
	})
	cmd.Long = "Cancels a job: one that waits at once, one that runs is asked to end and has 10s for it."
	cmd.Flags().StringVar(&reason, "reason", "cancelled by hand", "why, for those who read of it")
	return cmd
}

func newJobsRetry(s streams) *cobra.Command {
	var f deskFlags
	cmd := withJob("retry ID", "Run a job again that failed, as a new one", true, &f, func(ctx context.Context, d *app.Desk, id vedette.ID) error {
		line, err := d.Retry(ctx, id)
		if err != nil {
			return err
		}
		return asked(s, f.format, line)
	})
	cmd.Long = "Runs a job again that failed, is dead or was cancelled: a new job with the same params, which\nobeys the overlap policy of its scraper. The new id goes to stdout."
	return cmd
}

// asked prints the job that somebody asked for.
func asked(s streams, format string, line app.JobLine) error {
	if format != "table" {
		return writeOne(s.out, format, line)
	}
	_, err := fmt.Fprintln(s.out, line.ID)
	return err
}
