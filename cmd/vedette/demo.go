package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/vedettehq/vedette/demo"
	"github.com/vedettehq/vedette/when"
)

const demoHelp = `Serves a small web of misbehaving sites on the loopback interface, watches it once
a second, and shows what is seen. Nothing leaves this machine; ports are free ones,
the store is temporary.

On a terminal it is a live table: edit the configuration whose path it shows, and the
change is live within a second; k kills the watcher with SIGKILL and starts it again, to
show that every result that was acknowledged is stored; q ends it. Elsewhere each event
is a JSON line.

With --for it ends by itself, prints for each site what was wanted and what was seen, and
exits 1 where they differ.`

func newDemo(s streams) *cobra.Command {
	var length, output string
	cmd := &cobra.Command{
		Use: "demo", Short: "See it work, on this machine alone", Long: demoHelp, Args: noArgs("demo takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var d time.Duration
			if length != "" {
				var err error
				if d, err = when.ParseDuration(length); err != nil {
					return usagef("--for: %v", err)
				}
			}
			if output != "" && output != "json" {
				return usagef("output %q: want json", output)
			}
			return runDemo(cmd.Context(), s, d, output)
		},
	}
	cmd.Flags().StringVar(&length, "for", "", "end after this long and say what was wanted and seen, e.g. 15s")
	cmd.Flags().StringVarP(&output, "output", "o", "", "json: no live table; at the end of --for one JSON object")
	return cmd
}

func runDemo(ctx context.Context, s streams, length time.Duration, output string) (err error) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, length)
		defer cancel()
	}
	serving, endServing := context.WithCancel(context.WithoutCancel(ctx)) // the sites outlive the watcher
	web, err := demo.Serve(serving)
	if err != nil {
		endServing()
		return err
	}
	defer func() {
		endServing()
		web.Wait()
	}()
	dir, err := os.MkdirTemp("", "vedette-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder, which the system clears
	st, err := newStage(dir, web)
	if err != nil {
		return err
	}
	defer st.end()
	switch {
	case output == "json" && length > 0:
		err = st.selfTest(ctx, s.out)
	case output == "" && terminalWidth(s.out) > 0 && terminalWidth(s.in) > 0:
		err = st.live(ctx, s)
	default:
		err = st.tell(ctx, s.out)
		if length > 0 && err == nil {
			err = st.judge(nil)
		}
	}
	return err
}

// A stage is the demo's folder and what is in it.
type stage struct {
	web     *demo.Web
	config  string // path of the configuration
	store   string // its URL
	listen  string
	watcher *watcher
	scene   *scene
}

func newStage(dir string, web *demo.Web) (*stage, error) {
	listen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	st := &stage{web: web, config: filepath.Join(dir, "vedette.yaml"), store: "sqlite:" + filepath.Join(dir, "demo.db"), listen: listen}
	if err := os.WriteFile(st.config, web.Manifest(st.store, listen), 0o600); err != nil {
		return nil, fmt.Errorf("write the demo's configuration: %w", err)
	}
	st.scene = newScene(web)
	st.watcher = newWatcher(st.config, filepath.Join(dir, "vedette.log"), st.scene.kept)
	return st, st.watcher.start()
}

// freeAddress finds a port that is free now.
func freeAddress() (string, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

func (st *stage) end() {
	st.scene.close()
	st.watcher.stop()
}

// selfTest watches until ctx ends and prints wanted against seen.
func (st *stage) selfTest(ctx context.Context, out io.Writer) error {
	st.follow(ctx, nil)
	st.watcher.stop()
	if err := st.scene.look(context.WithoutCancel(ctx), st.store, st.listen); err != nil {
		return err
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return st.judge(e)
}

// judge compares what was seen with what was wanted, and prints it if e is not nil.
func (st *stage) judge(e *json.Encoder) error {
	report := st.scene.report()
	if e != nil {
		if err := e.Encode(report); err != nil {
			return err
		}
	}
	if !report.OK {
		return exitCode(exitFailed)
	}
	return nil
}

// follow looks at the store again and again until ctx ends, and calls f after each look.
func (st *stage) follow(ctx context.Context, f func()) {
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := st.scene.look(ctx, st.store, st.listen); err == nil && f != nil {
			f()
		}
	}
}

// tell prints each event as a JSON line until ctx ends.
func (st *stage) tell(ctx context.Context, out io.Writer) error {
	e := json.NewEncoder(out)
	if err := e.Encode(event{At: time.Now(), Event: "started", Config: st.config, Listen: st.listen}); err != nil {
		return err
	}
	var err error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st.follow(ctx, func() {
		for _, ev := range st.scene.events() {
			if err = e.Encode(ev); err != nil {
				cancel()
				return
			}
		}
	})
	return err
}

// live shows the table until ctx ends or q is pressed.
func (st *stage) live(ctx context.Context, s streams) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out, in := s.out.(*os.File), s.in.(*os.File) //nolint:forcetypeassert // both have a width: they are terminals
	old, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	defer func() {
		fmt.Fprint(out, demo.LeaveScreen)
		_ = term.Restore(int(in.Fd()), old)
		st.watcher.stop()
		if err := st.scene.look(context.WithoutCancel(ctx), st.store, st.listen); err == nil {
			fmt.Fprintln(out, st.scene.lastWords())
		}
	}()
	fmt.Fprint(out, demo.EnterScreen)
	go st.keys(cancel, in)
	paint := func() {
		width, height, err := term.GetSize(int(out.Fd()))
		if err != nil {
			width, height = 80, 24
		}
		fmt.Fprint(out, demo.Paint(demo.Detect(os.Getenv, width, height).Lines(st.scene.view(st.config))))
	}
	paint()
	st.follow(ctx, paint)
	return nil
}

// keys obeys keys until the program ends: a read of a terminal cannot be broken off.
func (st *stage) keys(quit func(), in *os.File) {
	key := make([]byte, 1)
	for {
		if _, err := in.Read(key); err != nil {
			return
		}
		switch key[0] {
		case 'q', 'Q', 3: // Ctrl-C arrives as a key
			quit()
			return
		case 'k', 'K':
			st.scene.killed(time.Now())
			if err := st.watcher.kill(); err != nil {
				st.scene.say(err.Error())
			}
		}
	}
}
