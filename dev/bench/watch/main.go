//go:build linux

// Command watch measures what watching costs: a bare loop of net/http as the floor and Vedette
// with its SQLite store, one after the other, against the same target on the loopback interface.
// Each is a process of its own. See README.md for what the columns mean.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "watch:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to undo
	}
}

// run is the bench, or, when it started itself for it, one of its processes.
func run(ctx context.Context, args []string) error {
	if len(args) == 2 && (args[0] == "target" || args[0] == "floor") {
		spec, err := readSpec(args[1])
		if err != nil {
			return err
		}
		if args[0] == "target" {
			return runTarget(ctx, spec)
		}
		return runFloor(ctx, spec)
	}
	b, err := parse(args)
	if err != nil {
		return err
	}
	if b.keep {
		fmt.Fprintln(os.Stderr, "keeping", b.dir)
	} else {
		defer func() { _ = os.RemoveAll(b.dir) }()
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	return b.runRows(ctx)
}

// A bench holds the settings of one run.
type bench struct {
	rows    []row
	vedette string // path of the binary; "" runs the floor alone
	window  time.Duration
	repeat  int
	dir     string
	keep    bool
}

func parse(args []string) (*bench, error) {
	flags := flag.NewFlagSet("watch", flag.ContinueOnError)
	names := flags.String("rows", "plain,many,tls,names,gzip,timeouts,accuracy,memory", "rows to measure, separated by commas")
	window := flags.Duration("window", 20*time.Second, "how long to measure, after everything has started")
	repeat := flags.Int("repeat", 2, "how often to measure each, floor and Vedette in turn")
	quick := flags.Bool("quick", false, "a short look: one pass of 5s over rows of a tenth of the monitors")
	vedette := flags.String("vedette", "", "path of the vedette binary; empty builds it")
	alone := flags.Bool("floor-only", false, "measure the floor alone")
	keep := flags.Bool("keep", false, "keep the directory with configurations, stores and logs")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	b := &bench{vedette: *vedette, window: *window, repeat: *repeat, keep: *keep}
	if *quick {
		b.window, b.repeat = min(b.window, 5*time.Second), 1
	}
	for name := range strings.SplitSeq(*names, ",") {
		i := slices.IndexFunc(rows(), func(r row) bool { return r.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("no row is called %q", name)
		}
		r := rows()[i]
		if *quick {
			r.Monitors /= 10
		}
		b.rows = append(b.rows, r)
	}
	var err error
	if b.dir, err = os.MkdirTemp("", "vedette-bench-"); err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	if *alone {
		b.vedette = none
	}
	return b, nil
}

// none in the place of the binary's path stands for no binary.
const none = "-"

// prepare builds Vedette and makes the certificates.
func (b *bench) prepare(ctx context.Context) error {
	if err := makeCertificates(b.dir); err != nil {
		return err
	}
	if b.vedette != "" {
		return nil
	}
	b.vedette = filepath.Join(b.dir, "vedette")
	build := exec.CommandContext(ctx, "go", "build", "-o", b.vedette, "github.com/vedettehq/vedette/cmd/vedette")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build vedette: %w\n%s", err, out)
	}
	return nil
}

// runRows measures row after row and prints each as it comes.
func (b *bench) runRows(ctx context.Context) error {
	printHead(os.Stdout, b.window, b.repeat)
	for _, r := range b.rows {
		if err := b.runRow(ctx, r); err != nil {
			return fmt.Errorf("row %s: %w", r.Name, err)
		}
	}
	return ctx.Err()
}

func (b *bench) runRow(ctx context.Context, r row) error {
	t, err := startTarget(ctx, b.dir, r)
	if err != nil {
		return err
	}
	defer t.stop() //nolint:errcheck // it is killed with the run at the latest
	var floors, ours []measured
	for range b.repeat {
		if !r.NoFloor {
			m, err := b.measure(ctx, t, floorSubject(b.dir, t.spec))
			if err != nil {
				return fmt.Errorf("floor: %w", err)
			}
			floors = append(floors, m)
		}
		if b.vedette == none {
			continue
		}
		m, err := b.measure(ctx, t, vedetteSubject(b.dir, b.vedette, t.spec))
		if err != nil {
			return fmt.Errorf("vedette: %w", err)
		}
		ours = append(ours, m)
	}
	printRow(os.Stdout, r, floors, ours)
	return nil
}
