package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vedettehq/vedette/manifest"
)

// What people know who come from sitemon: its two commands, and the way from its files to ours.

func newProducer(s streams) *cobra.Command {
	return newRole(s, "producer", "watch", "Look only: up --role watch, by its name in sitemon")
}

func newConsumer(s streams) *cobra.Command {
	return newRole(s, "consumer", "record", "Keep results only: up --role record, by its name in sitemon")
}

// newRole is `vedette up` with one role, under another name.
func newRole(s streams, name, role, short string) *cobra.Command {
	f := upFlags{roles: []string{role}}
	cmd := &cobra.Command{
		Use: name, Short: short,
		Long: fmt.Sprintf("Is `vedette up --role %s`, by the name that it has in sitemon. A file of sitemon is made\nours by `vedette import sitemon FILE`.", role),
		Args: noArgs(name + " takes no arguments: sites stand in the configuration"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := notOfSitemon(f.config); err != nil {
				return err
			}
			return up(cmd.Context(), s, f, nil)
		},
	}
	f.add(cmd)
	return cmd
}

// notOfSitemon refuses sitemon's own files. What else is wrong with a file is told by who reads
// it.
func notOfSitemon(config string) error {
	path, err := find(config)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(path)
	if err == nil && manifest.IsSitemon(data) {
		return fmt.Errorf("%s is a configuration of sitemon: make ours of it with `vedette import sitemon %s`", path, path)
	}
	return nil
}

func newImport(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use: "import", Short: "Make a configuration of another tool's files", Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newImportSitemon(s))
	return cmd
}

func newImportSitemon(s streams) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "sitemon FILE...", Short: "Make a configuration of the files of sitemon's producer, consumer or both",
		Long: `Prints a configuration that does what these files of sitemon did, and on stderr,
a line each, what could not be carried over or is different from now on.`,
		Example: "  vedette import sitemon producer.yaml consumer.yaml -o vedette.yaml",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("which files? give those of sitemon's producer and consumer")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, files []string) error {
			checker, err := newChecker()
			if err != nil {
				return err
			}
			got, err := manifest.ImportSitemon(manifest.Options{Checker: checker}, files...)
			if err != nil {
				return err
			}
			if err := keep(s, out, got.Text); err != nil {
				return err
			}
			_, err = fmt.Fprintln(s.err, strings.Join(got.Notes, "\n"))
			return err
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "file to write, which must not be there yet (default stdout)")
	_ = cmd.MarkFlagFilename("output", "yaml", "yml") // completion only
	return cmd
}

// keep writes a new file, for its owner alone since it may hold a password, or to stdout.
func keep(s streams, path string, text []byte) error {
	if path == "" {
		_, err := s.out.Write(text)
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: remove it, or choose another name with -o", path)
	}
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}
