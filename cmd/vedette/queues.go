package main

import (
	"context"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/vedettehq/vedette/app"
	"github.com/vedettehq/vedette/rule"
	"github.com/vedettehq/vedette/when"
)

func newQueues(s streams) *cobra.Command {
	return noun("queues", "Show queues, and stop them",
		newQueuesList(s),
		eachQueue(s, "pause QUEUE...", "Let no worker take jobs of a queue; what runs goes on", "paused",
			func(ctx context.Context, d *app.Desk, names []string) error { return d.Pause(ctx, names...) }),
		eachQueue(s, "resume QUEUE...", "Let workers take jobs of a queue again", "open",
			func(ctx context.Context, d *app.Desk, names []string) error { return d.Resume(ctx, names...) }),
		newQueuesDrain(s))
}

func newQueuesList(s streams) *cobra.Command {
	var f deskFlags
	cmd := &cobra.Command{
		Use: "list", Short: "List the queues that hold a job or are paused",
		Long: "Lists the queues that hold a live job or are paused: how many jobs are ready to run, held back by a\nlimit or a rate, scheduled for later, and started, and for how long the oldest is ready.",
		Args: noArgs("list takes no names"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.open(cmd.Context(), false, func(d *app.Desk) error {
				lines, err := d.Queues(cmd.Context())
				if err != nil {
					return err
				}
				if f.format == "table" && len(lines) == 0 {
					words(s, "no queue holds a job")
					return nil
				}
				return write(s.out, f.format, lines, queueColumns())
			})
		},
	}
	f.add(cmd)
	return cmd
}

func queueColumns() []column[app.QueueLine] {
	return []column[app.QueueLine]{
		{"queue", func(l app.QueueLine) string { return l.Name }},
		{"state", func(l app.QueueLine) string {
			if l.Paused {
				return text.FgYellow.Sprint("paused")
			}
			return text.FgGreen.Sprint("open")
		}},
		{"ready", func(l app.QueueLine) string { return number(l.Ready) }},
		{"held", func(l app.QueueLine) string { return number(l.Held) }},
		{"scheduled", func(l app.QueueLine) string { return number(l.Scheduled) }},
		{"started", func(l app.QueueLine) string { return number(l.Started) }},
		{"oldest", func(l app.QueueLine) string { return ago(l.OldestAt) }},
	}
}

// eachQueue is a command that does something with the queues that are named.
func eachQueue(s streams, use, short, said string, do func(context.Context, *app.Desk, []string) error) *cobra.Command {
	var f deskFlags
	cmd := &cobra.Command{
		Use: use, Short: short, Args: some("queues"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.open(cmd.Context(), true, func(d *app.Desk) error {
				if err := do(cmd.Context(), d, args); err != nil {
					return err
				}
				words(s, "%s: %s", strings.Join(args, ", "), said)
				return tellEmpty(cmd.Context(), s, d, args)
			})
		},
	}
	f.add(cmd)
	return cmd
}

// tellEmpty says of which queues there is no job, since a name may be misspelled.
func tellEmpty(ctx context.Context, s streams, d *app.Desk, names []string) error {
	lines, err := d.Queues(ctx)
	if err != nil {
		return err
	}
	var others []string
	busy := map[string]bool{}
	for _, l := range lines {
		if busy[l.Name] = l.Ready+l.Held+l.Scheduled+l.Started > 0; busy[l.Name] && !slices.Contains(names, l.Name) {
			others = append(others, l.Name)
		}
	}
	for _, name := range names {
		if near := rule.DidYouMean(name, others); !busy[name] && strings.HasPrefix(near, "did") {
			words(s, "there is no job in %s: %s", name, near)
		}
	}
	return nil
}

func newQueuesDrain(s streams) *cobra.Command {
	var timeout string
	cmd := eachQueue(s, "drain QUEUE...", "Pause queues, and wait until what runs has ended", "paused, and nothing runs",
		func(ctx context.Context, d *app.Desk, names []string) error {
			within, err := when.ParseDuration(timeout)
			if err != nil {
				return usagef("--timeout: %v", err)
			}
			if within > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, within)
				defer cancel()
			}
			return d.Drain(ctx, names...)
		})
	cmd.Long = "Pauses queues and waits until what runs of them has ended. They stay paused: vedette queues resume\nlets them go on."
	cmd.Flags().StringVar(&timeout, "timeout", "5m", "when to give up waiting; 0 is never")
	return cmd
}
