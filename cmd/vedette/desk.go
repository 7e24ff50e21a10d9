package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/vedettehq/vedette/app"
	"github.com/vedettehq/vedette/manifest"
)

// deskFlags are what the commands have in common that look at scrapers and jobs.
type deskFlags struct {
	config, store, format string
}

func (f *deskFlags) add(cmd *cobra.Command) {
	configFlag(cmd, &f.config)
	outputFlag(cmd, &f.format)
	cmd.Flags().StringVar(&f.store, "store", "", "store instead of the file's: sqlite:PATH, postgres://USER:PASSWORD@HOST:PORT/DATABASE or redis://HOST:PORT")
}

// places says what to open, and who says that nothing is to be changed there.
func (f *deskFlags) places() (app.DeskConfig, error) {
	c := app.DeskConfig{Store: f.store, Log: slog.New(slog.DiscardHandler)}
	if f.store != "" && f.config == "" {
		return c, nil
	}
	path, err := find(f.config)
	if err != nil {
		if _, e := os.Stat("vedette.db"); f.config == "" && e == nil {
			c.Store = "sqlite:vedette.db"
			return c, nil
		}
		return c, err
	}
	file, err := load(path)
	if err != nil {
		return c, err
	}
	if file.ReadOnly {
		c.ReadOnly = path
	}
	c.Store, c.Queue = cmp.Or(f.store, file.Store), file.Queue
	return c, nil
}

// open opens the desk and calls f with it, to read or to change.
func (f *deskFlags) open(ctx context.Context, change bool, do func(*app.Desk) error) (err error) {
	if err := checkFormat(f.format); err != nil {
		return err
	}
	c, err := f.places()
	if err != nil {
		return err
	}
	c.Change = change
	d, err := app.OpenDesk(ctx, c)
	if err != nil {
		return err
	}
	defer func() {
		if e := d.Close(); err == nil {
			err = e
		}
	}()
	return do(d)
}

// writeOne prints one thing; for people it is YAML.
func writeOne[T any](w io.Writer, format string, v T) error {
	switch format {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(v)
	case "table", "yaml":
		return manifest.Encode(w, v)
	}
	return write(w, format, []T{v}, nil)
}

// noun is a command that only has commands.
func noun(use, short string, of ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(of...)
	return cmd
}

// some wants at least one argument.
func some(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef("which %s?", what)
		}
		return nil
	}
}

// one wants exactly one argument.
func one(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return usagef("which %s?", what)
		case 1:
			return nil
		}
		return usagef("%s takes one %s, not %d", cmd.Name(), what, len(args))
	}
}

// limitFlag adds -n to a command.
func limitFlag(cmd *cobra.Command, n *int, preset int, about string) {
	cmd.Flags().IntVarP(n, "limit", "n", preset, about)
}

func checkLimit(n int) error {
	if n < 0 {
		return usagef("--limit %d: want 0 for all, or more", n)
	}
	return nil
}

// until says in how long t is.
func until(t *time.Time) string {
	switch {
	case t == nil:
		return "-"
	case time.Until(*t) < time.Second:
		return "now"
	}
	return "in " + short(time.Until(*t))
}

// words says something to people, on stderr.
func words(s streams, format string, args ...any) {
	fmt.Fprintf(s.err, format+"\n", args...)
}
