package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/app"
	"github.com/vedettehq/vedette/rule"
)

// A question is what the commands that read a store have in common.
type question struct {
	config, store, format string
	filter                app.Filter
}

func (q *question) flags(cmd *cobra.Command) {
	configFlag(cmd, &q.config)
	outputFlag(cmd, &q.format)
	cmd.Flags().StringVar(&q.store, "store", "", "store to read instead of the file's: sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE")
	cmd.Flags().StringVar(&q.filter.Group, "group", "", "only monitors of this group")
}

// listFlags adds what the commands that list many things of a monitor take besides.
func (q *question) listFlags(cmd *cobra.Command, limit *int, about string) {
	cmd.Flags().StringSliceVar(&q.filter.Names, "monitor", nil, "only this monitor, by name or id; may be repeated")
	cmd.Flags().IntVar(limit, "limit", 50, about)
}

// ask opens the store and calls f with it.
func (q *question) ask(ctx context.Context, f func(*app.View) error) (err error) {
	if err := checkFormat(q.format); err != nil {
		return err
	}
	url := q.store
	if url == "" {
		var err error
		if url, err = storeOf(q.config); err != nil {
			return err
		}
	}
	v, err := app.OpenView(ctx, url, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() {
		if e := v.Close(); err == nil {
			err = e
		}
	}()
	return f(v)
}

// storeOf is the store that the configuration names. Where there is none at all it is the one
// that `vedette up URL...` made here.
func storeOf(config string) (string, error) {
	path, err := find(config)
	if err != nil {
		if _, e := os.Stat("vedette.db"); config == "" && e == nil {
			return "sqlite:vedette.db", nil
		}
		return "", err
	}
	file, err := load(path)
	if err != nil {
		return "", err
	}
	return file.Store, nil
}

func newStatus(s streams) *cobra.Command {
	var q question
	var state string
	cmd := &cobra.Command{
		Use: "status [NAME...]", Short: "Show how the monitors do",
		Long: "Shows the verdict on each monitor, from the store that the configuration names, or\nwithout one from ./vedette.db, where `vedette up URL...` keeps it. A process that\nwatches may be running or not. A monitor is unknown until it was looked at. Where\nsites are seen from several regions, it shows what each of them says; silent is one\nthat has not looked for two intervals and a time-out.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkState(state); err != nil {
				return err
			}
			q.filter.Names, q.filter.State = args, vedette.State(state)
			return q.ask(cmd.Context(), func(v *app.View) error {
				lines, err := v.Status(cmd.Context(), q.filter)
				if err != nil {
					return err
				}
				if q.format == "table" {
					defer summary(s, lines)
				}
				return write(s.out, q.format, lines, statusColumns(lines))
			})
		},
	}
	q.flags(cmd)
	cmd.Flags().StringVar(&state, "state", "", "only monitors in this state: up, degraded, down, unknown, maintenance, paused")
	return cmd
}

func lastFailure(m app.MonitorStatus) string {
	if m.Failure == "" {
		return ""
	}
	said := fmt.Sprintf("%s: %s", m.FailureKind, m.Failure)
	if m.Muted != "" {
		return fmt.Sprintf("(hidden by %s) %s", m.Muted, said)
	}
	return said
}

func number(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func uptime(share *float64) string {
	if share == nil {
		return "-"
	}
	if *share == 1 {
		return "100%"
	}
	return fmt.Sprintf("%.2f%%", *share*100)
}

func states() []vedette.State {
	return []vedette.State{vedette.Up, vedette.Degraded, vedette.Down, vedette.Unknown, vedette.Maintenance, vedette.Paused}
}

// checkState wants a state, or nothing.
func checkState(s string) error {
	if s == "" || slices.Contains(states(), vedette.State(s)) {
		return nil
	}
	var names []string
	for _, one := range states() {
		names = append(names, string(one))
	}
	return usagef("--state %q: %s", s, rule.DidYouMean(s, names))
}

// summary counts the monitors by state.
func summary(s streams, lines []app.MonitorStatus) {
	by := make(map[vedette.State]int)
	for _, l := range lines {
		by[l.State]++
	}
	parts := []string{count(len(lines), "monitor")}
	for _, state := range states() {
		if n := by[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	fmt.Fprintln(s.err, strings.Join(parts, ", "))
}

func newResults(s streams) *cobra.Command {
	var q question
	var limit int
	cmd := &cobra.Command{
		Use: "results", Short: "Show what checks saw",
		Long: "Shows results from the store that the configuration names: the newest --limit of them.\nA table begins with the newest; the other formats are in the order of time.",
		Args: noArgs("results takes no names: use --monitor NAME"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("limit") && q.format == "jsonl" {
				limit = 0
			}
			if limit < 0 {
				return usagef("--limit %d: want 0 for all, or more", limit)
			}
			return q.ask(cmd.Context(), func(v *app.View) error { return results(cmd.Context(), s, v, q, limit) })
		},
	}
	q.flags(cmd)
	q.listFlags(cmd, &limit, "how many; 0 is all, the default for -o jsonl")
	return cmd
}

func results(ctx context.Context, s streams, v *app.View, q question, limit int) error {
	if q.format == "jsonl" && limit == 0 {
		e := json.NewEncoder(s.out)
		return v.Results(ctx, q.filter, vedette.Span{}, func(r app.ResultLine) error { return e.Encode(r) })
	}
	var lines []app.ResultLine
	err := v.Results(ctx, q.filter, vedette.Span{N: limit, Newest: true}, func(r app.ResultLine) error {
		lines = append(lines, r)
		return nil
	})
	if err != nil {
		return err
	}
	if q.format != "table" {
		slices.Reverse(lines)
	}
	if q.format == "table" && len(lines) == 0 {
		fmt.Fprintln(s.err, "no results yet")
		return nil
	}
	return write(s.out, q.format, lines, resultColumns(lines))
}

// resultColumns has regions where there are some.
func resultColumns(lines []app.ResultLine) []column[app.ResultLine] {
	all := []column[app.ResultLine]{
		{"started", func(r app.ResultLine) string { return r.StartedAt.Local().Format("2006-01-02 15:04:05.000") }},
		{"monitor", func(r app.ResultLine) string { return string(r.Monitor) }},
		{"state", func(r app.ResultLine) string { return stateCell(r.State) }},
		{"code", func(r app.ResultLine) string { return number(r.Code) }},
		{"took", func(r app.ResultLine) string { return milli(r.DurationMS) }},
		{"failure", func(r app.ResultLine) string {
			if r.Failure == "" {
				return ""
			}
			return string(r.FailureKind) + ": " + r.Failure
		}},
	}
	if !slices.ContainsFunc(lines, func(r app.ResultLine) bool { return r.Region != "" }) {
		return all
	}
	return slices.Insert(all, 2, column[app.ResultLine]{"region", func(r app.ResultLine) string { return r.Region }})
}

func newIncidents(s streams) *cobra.Command {
	var q question
	var limit int
	var open bool
	cmd := &cobra.Command{
		Use: "incidents", Short: "Show when sites were down",
		Long: "Shows incidents, newest first, from the store that the configuration names. One runs from\nthe first failure of the checks that confirmed it to the first success of those that ended it.",
		Args: noArgs("incidents takes no names: use --monitor NAME"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return usagef("--limit %d: want 0 for all, or more", limit)
			}
			return q.ask(cmd.Context(), func(v *app.View) error {
				lines, err := v.Incidents(cmd.Context(), q.filter, open, limit)
				if err != nil {
					return err
				}
				if q.format == "table" && len(lines) == 0 {
					fmt.Fprintln(s.err, "no incidents")
					return nil
				}
				return write(s.out, q.format, lines, incidentColumns())
			})
		},
	}
	q.flags(cmd)
	q.listFlags(cmd, &limit, "how many; 0 is all")
	cmd.Flags().BoolVar(&open, "open", false, "only open ones")
	return cmd
}

func incidentColumns() []column[app.IncidentLine] {
	return []column[app.IncidentLine]{
		{"opened", func(i app.IncidentLine) string { return i.OpenedAt.Local().Format("2006-01-02 15:04:05") }},
		{"monitor", func(i app.IncidentLine) string { return string(i.Monitor) }},
		{"lasted", func(i app.IncidentLine) string { return short(time.Duration(i.DurationS * float64(time.Second))) }},
		{"closed", func(i app.IncidentLine) string {
			if i.ClosedAt == nil {
				return "open"
			}
			return i.Reason
		}},
		{"cause", func(i app.IncidentLine) string { return string(i.FailureKind) + ": " + i.Failure }},
	}
}

func noArgs(say string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usagef("%s", say)
		}
		return nil
	}
}
