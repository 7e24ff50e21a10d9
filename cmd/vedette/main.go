// Command vedette watches websites: it looks at each on time, decides what is up and what is
// down, and keeps all of it. Run `vedette help`.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/vedettehq/vedette/app"
	"github.com/vedettehq/vedette/manifest"
	"github.com/vedettehq/vedette/rule"
)

// The exit codes, documented in `vedette help`.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitDown   = 3
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// streams are where a command reads and writes: data on out, words on err.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// run runs one command line and returns its exit code.
func run(ctx context.Context, args []string, s streams) int {
	root := newRoot(s)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	var code exitCode
	var mistakes manifest.Errors
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &mistakes):
		_ = mistakes.Format(s.err, colored(s.err)) // nothing is left to say it with
		return exitFailed
	case errors.As(err, &usage):
		fmt.Fprintf(s.err, "vedette: %v\nSee '%s --help'.\n", err, cmd.CommandPath())
		return exitUsage
	case errors.Is(err, app.ErrRole), errors.Is(err, app.ErrRegion):
		fmt.Fprintf(s.err, "vedette: %v\n", err)
		return exitUsage
	}
	fmt.Fprintf(s.err, "vedette: %v\n", err)
	return exitFailed
}

// An exitCode ends the command with that code and no further words.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit %d", int(c)) }

// A usageError is a command line that means nothing.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

const rootHelp = `Vedette watches websites: it looks at each on time, decides what is up and what
is down, and keeps all of it in one file, or in a Postgres for many machines. It
runs scrapers, too: programs and requests, on schedules, each run kept.

  vedette demo                         see it work, on this machine alone
  vedette check https://example.com/   look once
  vedette init https://example.com/ > vedette.yaml
  vedette up                           watch and run what vedette.yaml lists
  vedette jobs list                    show the runs of its scrapers

Without -c a configuration is looked for in ./vedette.yaml, $VEDETTE_CONFIG and
/etc/vedette/vedette.yaml, in this order. Data goes to stdout, words to stderr.
NO_COLOR is honoured. Exit codes: 0 all is well, 1 failed, 2 wrong usage, 3 a
site is down.`

func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use: "vedette", Short: "Watch websites", Long: rootHelp,
		SilenceErrors: true, SilenceUsage: true, Version: version(),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && strings.Contains(args[0], "://") {
				return usagef("unknown command %q: did you mean vedette check %s?", args[0], args[0])
			}
			return noCommand(cmd, args)
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usageError{ofFlag(cmd, err)} })
	root.AddCommand(
		newUp(s), newCheck(s), newInit(s), newValidate(s), newConfig(s),
		newStatus(s), newResults(s), newIncidents(s), newDemo(s), newVersion(s),
		newImport(s), newProducer(s), newConsumer(s),
		newScrapers(s), newRun(s), newBackfill(s), newJobs(s), newQueues(s), newSchedules(s),
	)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			cmd.Args, cmd.RunE = noCommand, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
	return root
}

// noCommand refuses the name of a command that there is not.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usagef("unknown command %q: did you mean %s?", args[0], near[0])
	}
	return usagef("unknown command %q", args[0])
}

// ofFlag says what is wrong with a flag in the words of the other mistakes.
func ofFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var value *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
		if near := rule.DidYouMean("--"+unknown.GetSpecifiedName(), names); strings.HasPrefix(near, "did") {
			return fmt.Errorf("%w: %s", err, near)
		}
	case errors.As(err, &value) && value.GetFlag().Value.Type() == "int":
		return fmt.Errorf("--%s: %q is no whole number", value.GetFlag().Name, value.GetValue())
	}
	return err
}
