package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/vedettehq/vedette/app"
	"github.com/vedettehq/vedette/manifest"
)

func newScrapers(s streams) *cobra.Command {
	return noun("scrapers", "Show and change scrapers",
		newScrapersList(s), newScrapersGet(s), newScrapersPut(s), newScrapersDelete(s),
		newScrapersEnable(s, true), newScrapersEnable(s, false))
}

func newScrapersList(s streams) *cobra.Command {
	var f deskFlags
	var filter app.Filter
	cmd := &cobra.Command{
		Use: "list [NAME...]", Short: "List scrapers, and when each is due",
		Long: "Lists scrapers of the store that the configuration names. One is held when a run of it failed and\nits schedule says pause_on_failure; skipped runs are those that its overlap policy left out.",
		RunE: func(cmd *cobra.Command, args []string) error {
			filter.Names = args
			return f.open(cmd.Context(), false, func(d *app.Desk) error {
				lines, err := d.Scrapers(cmd.Context(), filter)
				if err != nil {
					return err
				}
				if f.format == "table" && len(lines) == 0 {
					words(s, "no scrapers")
					return nil
				}
				return write(s.out, f.format, lines, scraperColumns())
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&filter.Group, "group", "", "only scrapers of this group")
	cmd.ValidArgsFunction = f.complete
	return cmd
}

func scraperColumns() []column[app.ScraperLine] {
	return []column[app.ScraperLine]{
		{"scraper", func(l app.ScraperLine) string { return string(l.ID) }},
		{"state", scraperState},
		{"next", func(l app.ScraperLine) string { return until(l.NextAt) }},
		{"last", func(l app.ScraperLine) string { return ago(l.LastAt) }},
		{"skipped", func(l app.ScraperLine) string { return number(int(l.Skipped)) }},
		{"handler", func(l app.ScraperLine) string { return l.Handler }},
		{"schedule", func(l app.ScraperLine) string { return scheduleText(l.Schedule) }},
	}
}

func scraperState(l app.ScraperLine) string {
	switch {
	case !l.Enabled:
		return text.FgHiBlack.Sprint("disabled")
	case l.Held != nil:
		return text.FgRed.Sprint("held")
	}
	return text.FgGreen.Sprint("enabled")
}

// scheduleText says a schedule in a few words.
func scheduleText(l app.ScheduleLine) string {
	said := "by hand"
	switch {
	case l.Every != "":
		said = "every " + l.Every
	case l.Cron != "":
		said = l.Cron
	case len(l.Calendar) > 0:
		said = "calendar"
	case len(l.At) > 0:
		said = count(len(l.At), "time")
	}
	if l.Zone != "" {
		said += " " + l.Zone
	}
	return said
}

func newScrapersGet(s streams) *cobra.Command {
	var f deskFlags
	var n int
	cmd := &cobra.Command{
		Use: "get SCRAPER", Short: "Show one scraper, its next due times and its last runs",
		Long: "Shows a scraper, by id or name, in the words of a configuration file, its next due times and\nits last ten runs. Secrets in its params are ***.",
		Args: one("scraper"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkLimit(n); err != nil {
				return err
			}
			return f.open(cmd.Context(), false, func(d *app.Desk) error {
				line, err := d.Upcoming(cmd.Context(), args[0], n)
				if err != nil {
					return err
				}
				return writeOne(s.out, f.format, line)
			})
		},
	}
	f.add(cmd)
	limitFlag(cmd, &n, 10, "how many due times")
	cmd.ValidArgsFunction = f.complete
	return cmd
}

func newScrapersPut(s streams) *cobra.Command {
	var f deskFlags
	var handlers []string
	cmd := &cobra.Command{
		Use: "put FILE", Short: "Add scrapers, or replace those of the same id",
		Long: `Keeps scrapers in the store, those of the same id are replaced. FILE, or - for
stdin, is YAML or JSON in the words of the configuration: one scraper, a list, or
a map with the key scrapers. Scrapers that stand in the configuration are
changed there.`,
		Example: "  vedette scrapers put prices.yaml\n  echo '{name: ping, handler: http, schedule: 5m, params: {url: https://example.com/}}' | vedette scrapers put -",
		Args:    one("file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := readInput(s.in, args[0])
			if err != nil {
				return err
			}
			made, err := manifest.ParseScrapers(args[0], data, manifest.Options{Env: lookupEnv, Handlers: handlers})
			if err != nil {
				return err
			}
			return f.open(cmd.Context(), true, func(d *app.Desk) error {
				if err := d.PutScrapers(cmd.Context(), made...); err != nil {
					return err
				}
				for _, one := range made {
					words(s, "scraper %s is kept", one.ID)
				}
				return nil
			})
		},
	}
	f.add(cmd)
	handlerFlag(cmd, &handlers)
	return cmd
}

// handlerFlag adds --handler to a command.
func handlerFlag(cmd *cobra.Command, handlers *[]string) {
	cmd.Flags().StringSliceVar(handlers, "handler", nil, "name of a handler that the program which runs the scrapers has compiled in; may be repeated")
}

func readInput(in io.Reader, path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(in)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read scrapers: %w", err)
	}
	return data, nil
}

func newScrapersDelete(s streams) *cobra.Command {
	return eachScraper(s, "delete SCRAPER...", "Delete scrapers; what runs goes on, and history stays", "deleted",
		func(ctx context.Context, d *app.Desk, name string) error { return d.DeleteScraper(ctx, name) })
}

func newScrapersEnable(s streams, on bool) *cobra.Command {
	use, short, said := "enable SCRAPER...", "Let the schedules of scrapers make runs", "enabled"
	if !on {
		use, short, said = "disable SCRAPER...", "Let the schedules of scrapers make no runs", "disabled"
	}
	return eachScraper(s, use, short, said,
		func(ctx context.Context, d *app.Desk, name string) error { return d.EnableScraper(ctx, name, on) })
}

// eachScraper is a command that does something with each scraper that is named.
func eachScraper(s streams, use, short, said string, do func(context.Context, *app.Desk, string) error) *cobra.Command {
	var f deskFlags
	cmd := &cobra.Command{
		Use: use, Short: short, Args: some("scrapers"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.open(cmd.Context(), true, func(d *app.Desk) error {
				var failed []error
				for _, name := range args {
					if err := do(cmd.Context(), d, name); err != nil {
						failed = append(failed, err)
						continue
					}
					words(s, "scraper %s is %s", name, said)
				}
				return errors.Join(failed...)
			})
		},
	}
	f.add(cmd)
	cmd.ValidArgsFunction = f.complete
	return cmd
}

// complete offers the scrapers of the store to a shell.
func (f *deskFlags) complete(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	var names []string
	f.format = "table"
	_ = f.open(cmd.Context(), false, func(d *app.Desk) error { // a shell has no place for errors
		lines, err := d.Scrapers(cmd.Context(), app.Filter{})
		for _, l := range lines {
			if strings.HasPrefix(string(l.ID), begun) {
				names = append(names, string(l.ID))
			}
		}
		return err
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}
