package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vedettehq/vedette/check"
	"github.com/vedettehq/vedette/manifest"
)

// configFlag adds -c to a command.
func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "config", "c", "", "configuration file (default ./vedette.yaml, $VEDETTE_CONFIG or /etc/vedette/vedette.yaml)")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml") // completion only
}

// find returns the path of the configuration file.
func find(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	places := []string{"vedette.yaml", os.Getenv("VEDETTE_CONFIG"), "/etc/vedette/vedette.yaml"}
	for _, p := range places {
		if p == "" {
			continue
		}
		if _, err := os.Stat(p); !errors.Is(err, fs.ErrNotExist) {
			return p, nil
		}
	}
	return "", fmt.Errorf("no configuration: give one with -c FILE, or make one with `vedette init URL... > vedette.yaml` (looked in %s)",
		strings.Join(places[:1], "")+", $VEDETTE_CONFIG and "+places[2])
}

// load reads the configuration file, with every monitor compiled. Scrapers may name any handler:
// the program that runs them knows its own.
func load(given string) (*manifest.File, error) {
	return loadWith(given, manifest.Options{AnyHandler: true})
}

func loadWith(given string, opt manifest.Options) (*manifest.File, error) {
	path, err := find(given)
	if err != nil {
		return nil, err
	}
	checker, err := newChecker()
	if err != nil {
		return nil, err
	}
	opt.Env, opt.Checker = os.LookupEnv, checker
	return manifest.Load(path, opt)
}

func newChecker() (*check.Checker, error) {
	return check.New(check.Config{Version: version(), Env: os.LookupEnv})
}
