package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vedettehq/vedette/manifest"
)

func newInit(s streams) *cobra.Command {
	return &cobra.Command{
		Use: "init URL...", Short: "Print a commented configuration for these sites",
		Example: "  vedette init https://example.com/ tcp://db.internal:5432 > vedette.yaml",
		Args:    someURLs,
		RunE: func(_ *cobra.Command, urls []string) error {
			text := manifest.Init(urls)
			if _, err := parse("command line", text); err != nil {
				return err
			}
			_, err := s.out.Write(text)
			return err
		},
	}
}

// someURLs wants at least one URL and nothing else.
func someURLs(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("which sites? give URLs: https://…, tcp://HOST:PORT, tls://HOST:PORT, dns://SERVER/NAME")
	}
	for _, a := range args {
		if !strings.Contains(a, "://") {
			return usagef("%q is not a URL: did you mean https://%s?", a, a)
		}
	}
	return nil
}

func parse(name string, text []byte) (*manifest.File, error) {
	checker, err := newChecker()
	if err != nil {
		return nil, err
	}
	return manifest.Parse(name, text, manifest.Options{Env: lookupEnv, Checker: checker})
}

func newValidate(s streams) *cobra.Command {
	var config string
	var handlers []string
	cmd := &cobra.Command{
		Use: "validate [FILE]", Short: "Find all mistakes of a configuration",
		Long: "Finds all mistakes of a configuration, and tells each with its line. Scrapers may name the handlers exec,\nhttp and check, and those of --handler.",
		Args: atMostOne,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				config = args[0]
			}
			f, err := loadWith(config, manifest.Options{Handlers: handlers})
			if err != nil {
				return err
			}
			if err := f.Warnings.Format(s.err, colored(s.err)); err != nil {
				return err
			}
			fmt.Fprintf(s.err, "%s: %s, no mistakes, %s\n", strings.Join(f.Snapshot.Files, ", "), holds(f), count(len(f.Warnings), "warning"))
			return nil
		},
	}
	configFlag(cmd, &config)
	handlerFlag(cmd, &handlers)
	return cmd
}

// holds says what a configuration lists.
func holds(f *manifest.File) string {
	said := count(len(f.Monitors), "monitor")
	if len(f.Scrapers) > 0 {
		said += ", " + count(len(f.Scrapers), "scraper")
	}
	return said
}

func newConfig(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Show the configuration as it is understood", Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var config string
	show := &cobra.Command{
		Use: "show [NAME]", Short: "Print every value and where it comes from",
		Long: "Prints the configuration, or one monitor or scraper of it by name or id, with defaults and groups applied:\neach value with the file and line that it comes from, secrets hidden.",
		Args: atMostOne,
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := load(config)
			if err != nil {
				return err
			}
			return f.Show(s.out, strings.Join(args, ""))
		},
	}
	configFlag(show, &config)
	cmd.AddCommand(show, &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of the configuration, for editors",
		Args: noArgs("config schema takes no arguments"),
		RunE: func(*cobra.Command, []string) error {
			_, err := s.out.Write(manifest.Schema())
			return err
		},
	})
	return cmd
}

func atMostOne(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usagef("%s takes at most one argument, not %d", cmd.Name(), len(args))
	}
	return nil
}

func newVersion(s streams) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs("version takes no arguments"),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(s.out, "vedette %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// version is the module's, or the commit's of a build from a work tree.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "dev"
	}
	return strings.Trim(info.Main.Version, "()")
}
