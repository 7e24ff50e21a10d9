package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/app"
	"github.com/vedettehq/vedette/manifest"
)

func lookupEnv(name string) (string, bool) { return os.LookupEnv(name) }

const upHelp = `Watches and runs what the configuration lists, or watches these URLs, until it is
told to stop. The first look at each comes within its interval, spread evenly.

SIGTERM and SIGINT stop it: no new checks, those in flight end within 10s, and
what they found is written; jobs that run have 10s, too, and then run again later.
A second signal stops it at once. SIGHUP and POST /-/reload read the
configuration again; so does a change of its content.

With -o jsonl each result is a JSON line on stdout once it is kept.

Machines that share a store (postgres://...) share the work: --role watch looks,
--role record keeps what comes through Kafka, --role api serves HTTP, which the
others do as well, --role schedule says which scrapers are due, --role work runs
them. Several are --role watch,record or --role watch --role record.
With several regions each machine that looks says where it is: --region NAME.`

// An upFlags is what `vedette up` is told.
type upFlags struct {
	config, listen, store, queue, output, region string
	roles                                        []string
}

func newUp(s streams) *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use: "up [URL...]", Short: "Watch sites, and run scrapers", Long: upHelp,
		Example: "  vedette up -c vedette.yaml\n  vedette up https://example.com/ tcp://db.internal:5432",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			if f.config != "" {
				return usagef("either -c FILE or URLs")
			}
			return someURLs(cmd, args)
		},
		RunE: func(cmd *cobra.Command, urls []string) error { return up(cmd.Context(), s, f, urls) },
	}
	f.add(cmd)
	cmd.Flags().StringSliceVar(&f.roles, "role", nil, "parts to run, one or several: "+strings.Join(app.Roles(), ", ")+" (default all)")
	return cmd
}

// add adds the flags that all commands have which go on until they are stopped.
func (f *upFlags) add(cmd *cobra.Command) {
	configFlag(cmd, &f.config)
	cmd.Flags().StringVar(&f.region, "region", "", "where this process looks from, instead of the file's region")
	cmd.Flags().StringVar(&f.listen, "listen", "", "address to serve HTTP on instead of the file's http.listen; none for none")
	cmd.Flags().StringVar(&f.store, "store", "", "store instead of the file's: sqlite:PATH, postgres://USER:PASSWORD@HOST:PORT/DATABASE or memory")
	cmd.Flags().StringVar(&f.queue, "queue", "", "where jobs are, instead of the file's queue or the store: as --store, or redis://HOST:PORT")
	cmd.Flags().StringVarP(&f.output, "output", "o", "", "jsonl: each result on stdout once it is kept")
}

// gcPercent trades a little CPU for memory: most of it lives as long as its monitor.
const gcPercent = 50

func up(ctx context.Context, s streams, f upFlags, urls []string) error {
	if f.output != "" && f.output != "jsonl" {
		return usagef("output %q: want jsonl", f.output)
	}
	log := newLogs(s.err)
	cfg := app.Config{
		Store: f.store, Queue: f.queue, Region: f.region, Roles: f.roles, Env: os.LookupEnv, Version: version(), Log: slog.New(log),
		Applied: func(f *manifest.File) {
			log.use(f.Log)
			debug.FreeOSMemory() // reading a large file leaves much behind
		},
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	where := "on the command line"
	if len(urls) > 0 {
		cfg.File, cfg.Manifest = "command line", manifest.Init(urls)
	} else {
		path, err := find(f.config)
		if err != nil {
			return err
		}
		cfg.File, where = path, "in "+path
	}
	a, err := app.New(cfg)
	if err != nil {
		return f.allMistakes(cfg.File, err)
	}
	a.Listen(address(f.listen, a.File()))
	if f.output == "jsonl" {
		a.OnKept(printer(s.out, a))
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	go obey(ctx, stop, signals, a, cfg.Log)
	fmt.Fprintf(s.err, "vedette: %s%s %s, %s; stop with Ctrl-C\n", f.who(a.File()), holds(a.File()), where, way(a))
	return a.Run(ctx)
}

// allMistakes is err, or with the mistakes of a file also the handlers in it that nobody has: New
// leaves those to Run, since a program may make some known in between.
func (f *upFlags) allMistakes(path string, err error) error {
	if _, ok := errors.AsType[manifest.Errors](err); !ok {
		return err
	}
	opt := manifest.Options{AnyHandler: len(f.roles) > 0 && !slices.Contains(f.roles, "work")}
	if _, all := loadWith(path, opt); all != nil {
		return all
	}
	return err
}

// address is where to serve: the flag beats the file, so that processes can share one.
func address(flag string, f *manifest.File) string {
	switch flag {
	case "":
		return f.HTTP.Listen
	case "none":
		return ""
	}
	return flag
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// printer prints each result that is on disk as a JSON line. Whoever reads them and goes away
// does not stop the watch.
func printer(w io.Writer, a *app.App) func([]vedette.Result) {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	return func(results []vedette.Result) {
		buf.Reset()
		for _, r := range results {
			_ = e.Encode(app.NewResultLine(r, a.URL(r.Monitor))) // a buffer takes all
		}
		_, _ = w.Write(buf.Bytes())
	}
}

// again is how soon a second signal is not the echo of the first: some send one to the process and
// to its group.
const again = 300 * time.Millisecond

// obey does what signals say, until ctx ends.
func obey(ctx context.Context, stop func(), signals <-chan os.Signal, a *app.App, log *slog.Logger) {
	var stopping time.Time
	for {
		var s os.Signal
		select {
		case s = <-signals:
		case <-ctx.Done():
			if stopping.IsZero() {
				return
			}
			s = <-signals
		}
		switch {
		case s == syscall.SIGHUP:
			_ = a.Reload(ctx) // said in the log
		case !stopping.IsZero() && time.Since(stopping) < again:
		case !stopping.IsZero():
			log.Error("stopped at once by a second signal")
			os.Exit(exitFailed)
		default:
			stopping = time.Now()
			log.Info("stopping", "signal", s.String())
			stop()
		}
	}
}
