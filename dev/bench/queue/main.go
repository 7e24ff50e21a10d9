// Command queue measures how fast jobs go through Vedette's stores and through River and Asynq,
// in one run on the same servers. See README.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime/pprof"
	"strings"
	"time"
)

// A size says how much is measured.
type size struct {
	jobs  int // inserted, then worked
	both  int // inserted and worked at the same time
	wakes int // on an idle queue
	ready int // among which claims are timed; 0 leaves that out
}

func main() {
	var s size
	only := flag.String("only", "", "measure the systems with one of these words in their name, separated by commas")
	passes := flag.Int("passes", 2, "how often to measure each system; the best of each figure counts")
	one := flag.String("system", "", "measure this system in this process, and print JSON (the program calls itself so)")
	profile := flag.String("cpuprofile", "", "with -system, write a profile of this process to this file")
	flag.IntVar(&s.jobs, "jobs", 200_000, "jobs to insert, then to work")
	flag.IntVar(&s.both, "both", 1_000_000, "jobs to insert and work at the same time")
	flag.IntVar(&s.wakes, "wakes", 250, "jobs that come to an idle queue, 20 to 180 ms apart")
	flag.IntVar(&s.ready, "ready", 0, "ready jobs among which to time claims (10000000 takes some minutes)")
	flag.Parse()

	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	var err error
	if *one != "" {
		err = profiled(*profile, func() error { return child(ctx, *one, s) })
	} else {
		err = parent(ctx, strings.Split(*only, ","), *passes)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "queue:", err)
		os.Exit(1)
	}
}

// profiled profiles what do does, if there is a path for it.
func profiled(path string, do func() error) error {
	if path == "" {
		return do()
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return errors.Join(err, f.Close())
	}
	err = do()
	pprof.StopCPUProfile()
	return errors.Join(err, f.Close())
}

// child measures one system.
func child(ctx context.Context, name string, s size) error {
	for _, sys := range systems() {
		if sys.name == name {
			f, err := measure(ctx, sys, s)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return json.NewEncoder(os.Stdout).Encode(f)
		}
	}
	return fmt.Errorf("no system %q", name)
}

// parent measures each system in a process of its own, so that none pays for what another left
// behind, and prints what they reached.
func parent(ctx context.Context, words []string, passes int) error {
	report := table{}
	for pass := range passes {
		for _, sys := range systems() {
			if !wanted(sys.name, words) {
				continue
			}
			if why := sys.missing(); why != "" {
				if pass == 0 {
					fmt.Printf("%-28s left out: %s\n", sys.name, why)
				}
				continue
			}
			f, err := run(ctx, sys.name)
			if err != nil {
				return fmt.Errorf("%s: %w", sys.name, err)
			}
			report.add(sys, f)
			fmt.Fprintf(os.Stderr, "%s  pass %d: %s\n", time.Now().Format(time.TimeOnly), pass+1, f.line(sys.name))
		}
	}
	report.print(os.Stdout)
	return nil
}

func wanted(name string, words []string) bool {
	for _, word := range words {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// run calls this program for one system.
func run(ctx context.Context, name string) (figures, error) {
	self, err := os.Executable()
	if err != nil {
		return figures{}, fmt.Errorf("find myself: %w", err)
	}
	args := []string{"-system", name}
	flag.Visit(func(f *flag.Flag) {
		if f.Name != "only" && f.Name != "passes" {
			args = append(args, "-"+f.Name+"="+f.Value.String())
		}
	})
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return figures{}, err
	}
	var f figures
	if err := json.Unmarshal(out, &f); err != nil {
		return figures{}, errors.Join(errors.New("its answer is no JSON"), err)
	}
	return f, nil
}
