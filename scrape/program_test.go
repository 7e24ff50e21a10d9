//go:build unix

package scrape_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/scrape"
)

// TestMain is the program that the tests run, if its first argument says so.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "program" {
		program(os.Args[2], os.Args[3:])
		return
	}
	os.Exit(m.Run())
}

// program does what a test wants of a program.
func program(name string, args []string) {
	switch name {
	case "say": // each argument a line: "2:" before it is standard error
		for _, line := range args {
			if text, ok := strings.CutPrefix(line, "2:"); ok {
				fmt.Fprintln(os.Stderr, text)
			} else {
				fmt.Fprintln(os.Stdout, line)
			}
		}
	case "exit":
		fmt.Fprint(os.Stderr, args[1])
		code, _ := strconv.Atoi(args[0])
		os.Exit(code)
	case "environ":
		for _, name := range args {
			value, set := os.LookupEnv(name)
			if !set {
				value = "(unset)"
			}
			fmt.Fprintln(os.Stderr, name+"="+value)
		}
		dir, _ := os.Getwd()
		fmt.Fprintln(os.Stdout, dir)
	case "polite": // ends at SIGTERM
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		fmt.Fprintln(os.Stderr, "ready")
		<-c
		fmt.Fprintln(os.Stderr, "bye")
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		fmt.Fprintln(os.Stderr, "ready", os.Getpid())
		time.Sleep(time.Minute)
	case "parent": // leaves a child behind that holds its pipes
		child := exec.CommandContext(context.Background(), os.Args[0], "program", "deaf") //nolint:gosec // the test itself
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if args[0] == "escaped" {
			child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		}
		if err := child.Start(); err != nil {
			panic(err)
		}
		fmt.Fprintln(os.Stdout, child.Process.Pid)
	case "count": // to its end, whatever it is told
		signal.Ignore(syscall.SIGTERM)
		n, _ := strconv.Atoi(args[0])
		w := bufio.NewWriter(os.Stdout)
		for i := range n {
			fmt.Fprintf(w, `{"i":%d,"x":%q}`+"\n", i, strings.Repeat("x", 100))
		}
		_ = w.Flush()
	case "long":
		long := strings.Repeat("x", 100_000)
		fmt.Fprintln(os.Stderr, long+"\nnext")
		fmt.Fprintln(os.Stdout, long)
	case "spin":
		for {
			runtime.Gosched()
		}
	case "killed":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		time.Sleep(time.Minute)
	case "worker": // runs another as its program, as a worker would
		d := task(memory.New(), params(args...))
		d.Log = slog.New(slog.NewTextHandler(os.Stdout, nil))
		_, err := d.run(context.Background())
		panic(err)
	}
}

// params are those of a run of the test's program with these arguments, and edited.
func params(args ...string) map[string]any {
	return map[string]any{"argv": append([]string{os.Args[0], "program"}, args...)}
}

// with adds a key to params.
func with(p map[string]any, key string, value any) map[string]any {
	p[key] = value
	return p
}

// A desk is a Task that gathers what it is told.
type desk struct {
	*vedette.Task
	mu    sync.Mutex
	lines strings.Builder
	items []string
	calls int
}

func task(s *memory.Store, params map[string]any) *desk {
	raw, err := json.Marshal(params)
	if err != nil {
		panic(err)
	}
	d := &desk{}
	d.Task = &vedette.Task{
		Job: vedette.Job{
			ID: vedette.NewID(time.Now()), Scraper: "shop", Handler: "exec", Params: raw, Attempt: 2, RetryAfter: time.Hour,
		},
		KV: s.KV(),
		Emit: func(_ context.Context, items ...vedette.Raw) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.calls++
			for _, i := range items {
				d.items = append(d.items, string(i))
			}
			return nil
		},
	}
	d.Log = slog.New(slog.NewTextHandler(d, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: untimed}))
	return d
}

func untimed(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
		return slog.Attr{}
	}
	return a
}

func (d *desk) Write(line []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lines.Write(line)
}

func (d *desk) log() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lines.String()
}

// await waits until the log has a line with word in it.
func (d *desk) await(t *testing.T, word string) {
	t.Helper()
	for range 1000 {
		if strings.Contains(d.log(), word) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("no %q in the log:\n%s", word, d.log())
}

func (d *desk) run(ctx context.Context) (string, error) {
	return scrape.Exec(scrape.ExecOptions{}).Run(ctx, d.Task)
}
