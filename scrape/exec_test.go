//go:build unix

package scrape_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/scrape"
)

func TestProgramWithoutItems(t *testing.T) {
	d := task(memory.New(), params("say", "one", "2:two", "", `2:{"level":"warning","msg":"three","n":3}`,
		`2:{"level":"error"}`, "four", "  "))
	result, err := d.run(t.Context())
	if result != "four" || err != nil {
		t.Errorf("%q, %v", result, err)
	}
	log := d.log()
	for _, want := range []string{
		"level=INFO msg=one\n", "level=INFO msg=two\n", "level=WARN msg=three n=\"3\"\n", `level=INFO msg="{\"level\":\"error\"}"`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in the log:\n%s", want, log)
		}
	}
	if strings.Contains(log, "four") {
		t.Errorf("the result is in the log too:\n%s", log)
	}
}

func TestProgramKnowsItsRun(t *testing.T) {
	s, dir := memory.New(), t.TempDir()
	if dir, _ = filepath.EvalSymlinks(dir); os.Mkdir(filepath.Join(dir, "sub"), 0o700) != nil {
		t.Fatal("no directory")
	}
	if err := s.KV().Put(t.Context(), vedette.Value{Key: vedette.StateKey("shop"), Data: []byte(`{"page":7}`)}); err != nil {
		t.Fatal(err)
	}
	p := params("environ", "VEDETTE_STATE", "VEDETTE_JOB", "VEDETTE_SCRAPER", "VEDETTE_ATTEMPT", "VEDETTE_PARAMS", "PORT", "HOME")
	d := task(s, with(with(with(p, "env", map[string]any{"PORT": 8080}), "dir", "sub"), "own", "é"))
	result, err := scrape.Exec(scrape.ExecOptions{Dir: dir}).Run(t.Context(), d.Task)
	if err != nil || result != filepath.Join(dir, "sub") {
		t.Errorf("ran in %q, %v", result, err)
	}
	for _, want := range []string{
		`VEDETTE_STATE={\"page\":7}"`, "VEDETTE_JOB=" + d.Job.ID.String(), "VEDETTE_SCRAPER=shop", "VEDETTE_ATTEMPT=2",
		`\"own\":\"é\"`, "PORT=8080", "HOME=" + os.Getenv("HOME"),
	} {
		if !strings.Contains(d.log(), want) {
			t.Errorf("no %q in:\n%s", want, d.log())
		}
	}
}

// A program may read its state as JSON with a default, as in get("VEDETTE_STATE") or "{}".
func TestProgramHasNoStateAtFirst(t *testing.T) {
	t.Setenv("VEDETTE_STATE", "a worker's own")
	for state, want := range map[string]string{"": "(unset)", "null": "(unset)", "0": "0"} {
		s := memory.New()
		if state != "" {
			if err := s.KV().Put(t.Context(), vedette.Value{Key: vedette.StateKey("shop"), Data: []byte(state)}); err != nil {
				t.Fatal(err)
			}
		}
		d := task(s, params("environ", "VEDETTE_STATE"))
		if _, err := d.run(t.Context()); err != nil || !strings.Contains(d.log(), `"VEDETTE_STATE=`+want+`"`) {
			t.Errorf("state %q: want %s in %s, %v", state, want, d.log(), err)
		}
	}
}

func TestHowAProgramEnded(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string
		want  string
		after time.Duration
	}{
		"its status and last words":      {[]string{"exit", "3", "1\n2\n3\n4\n5\n6\nno such page"}, "exit status 3: 3\n4\n5\n6\nno such page", 0},
		"75 is later":                    {[]string{"exit", "75", "busy"}, "exit status 75: busy", time.Hour},
		"a signal by name":               {[]string{"killed"}, "killed by signal SIGKILL", 0},
		"a program that cannot be begun": {nil, "begin /nonexistent/program: ", 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := params(c.args...)
			if c.args == nil {
				p = map[string]any{"argv": []string{"/nonexistent/program"}}
			}
			_, err := task(memory.New(), p).run(t.Context())
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			again, ok := errors.AsType[*vedette.RetryError](err)
			if ok != (c.after > 0) || ok && again.After != c.after {
				t.Errorf("tried again: %+v, want after %v", again, c.after)
			}
		})
	}
}

func TestItemsStateAndResult(t *testing.T) {
	s := memory.New()
	p := with(params("say", `{"a":1}`, "", `{"$state":{"page":1}}`, `[2]`, `{"$id":1,"b":2}`, `{"$state":{"page":2}}`, "2:hello"), "items", "stdout")
	d := task(s, p)
	result, err := d.run(t.Context())
	if result != "3 items" || err != nil {
		t.Errorf("%q, %v", result, err)
	}
	if diff := cmp.Diff([]string{`{"a":1}`, `[2]`, `{"$id":1,"b":2}`}, d.items); diff != "" {
		t.Error(diff)
	}
	if state := remembered(t, s); state != `{"page":2}` {
		t.Errorf("state %s", state)
	}
	for line, want := range map[string]string{`{"$result":"all of it"}`: "all of it", `{}`: "1 item", ``: "0 items"} {
		d = task(s, with(params("say", `{"$state":3}`, line), "items", "stdout"))
		if result, err := d.run(t.Context()); result != want || err != nil {
			t.Errorf("%q, %v, want %s", result, err, want)
		}
	}
}

func TestOutputThatIsNoItemFailsTheRun(t *testing.T) {
	for line, want := range map[string]string{
		"fetching page 2": "line 2 of the standard output is not JSON: fetching page 2",
		`{"$stat":1}`:     `line 2 of the standard output: want {"$state": …} or {"$result": "…"}: {"$stat":1}`,
		`{"$result":7}`:   `line 2 of the standard output: want`,
		`{"$state":"` + strings.Repeat("x", 70e3) + `"}`: "line 2 of the standard output: a state of 70002 bytes",
	} {
		s := memory.New()
		d := task(s, with(params("say", `{"$state":1}`, line, `{"c":1}`), "items", "stdout"))
		if _, err := d.run(t.Context()); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
		if _, err := s.KV().Get(t.Context(), vedette.StateKey("shop")); !errors.Is(err, vedette.ErrNotFound) {
			t.Errorf("a failed run has set the state: %v", err)
		}
	}
}

func TestManyItemsAreEmittedInBatches(t *testing.T) {
	const n = 20_000
	d := task(memory.New(), with(params("count", strconv.Itoa(n)), "items", "stdout"))
	result, err := d.run(t.Context())
	if err != nil || result != "20000 items" || len(d.items) != n {
		t.Fatalf("%q, %v, %d items", result, err, len(d.items))
	}
	if d.calls > n/10 {
		t.Errorf("%d calls of Emit", d.calls)
	}
	if !slices.IsSortedFunc(d.items, func(a, b string) int { return len(a) - len(b) }) {
		t.Error("items are out of order")
	}
}

// The program has long ended when the last of what it wrote is read.
func TestSlowStoreLosesNoItems(t *testing.T) {
	d := task(memory.New(), with(params("count", "1000"), "items", "stdout"))
	emit := d.Emit
	d.Emit = func(ctx context.Context, items ...vedette.Raw) error {
		time.Sleep(700 * time.Millisecond)
		return emit(ctx, items...)
	}
	if result, err := d.run(t.Context()); err != nil || result != "1000 items" || len(d.items) != 1000 {
		t.Errorf("%q, %v, %d items", result, err, len(d.items))
	}
}

func TestRunFailsIfItemsAreNotKept(t *testing.T) {
	d := task(memory.New(), with(params("count", "100000"), "items", "stdout"))
	d.Emit = func(context.Context, ...vedette.Raw) error { return vedette.ErrLeaseLost }
	began := time.Now()
	if _, err := d.run(t.Context()); !errors.Is(err, vedette.ErrLeaseLost) || time.Since(began) > 8*time.Second {
		t.Errorf("error %v after %v", err, time.Since(began))
	}
}

func TestProgramIsAskedToEnd(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	d := task(memory.New(), params("polite"))
	go func() {
		d.await(t, "ready")
		cancel(errors.New("not today"))
	}()
	_, err := d.run(ctx)
	if err == nil || err.Error() != "not today" {
		t.Errorf("error %v, want the cause, although it ended with 0", err)
	}
	if !strings.Contains(d.log(), "bye") {
		t.Errorf("what it said at the end is lost:\n%s", d.log())
	}
}

func TestDeafProgramIsKilledAfterTheGrace(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	d := task(memory.New(), with(params("deaf"), "grace", "300ms"))
	var began time.Time
	go func() {
		d.await(t, "ready")
		began = time.Now()
		cancel(errors.New("not today"))
	}()
	_, err := d.run(ctx)
	if err == nil || err.Error() != "not today (the program was told to end: killed by signal SIGKILL)" {
		t.Errorf("error %v", err)
	}
	if took := time.Since(began); took < 300*time.Millisecond || took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestNothingIsLeftOfTheGroup(t *testing.T) {
	d := task(memory.New(), params("parent", "left"))
	began := time.Now()
	result, err := d.run(t.Context())
	if err != nil || time.Since(began) > 5*time.Second {
		t.Fatalf("%q, %v after %v", result, err, time.Since(began))
	}
	gone(t, result)
}

// gone waits until there is no process of this number, but for one that nobody has buried.
func gone(t *testing.T, pid string) {
	t.Helper()
	for range 500 {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %s still lives", pid)
}

func TestRunEndsAlthoughOthersHoldItsPipes(t *testing.T) {
	d := task(memory.New(), params("parent", "escaped"))
	began := time.Now()
	result, err := d.run(t.Context())
	if err != nil || time.Since(began) > 5*time.Second {
		t.Fatalf("%q, %v after %v", result, err, time.Since(began))
	}
	if pid, _ := strconv.Atoi(result); pid > 0 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func TestWrongParamsAreNotTriedAgain(t *testing.T) {
	d := task(memory.New(), map[string]any{"command": "ls"})
	if _, err := d.run(t.Context()); !errors.Is(err, vedette.ErrPermanent) || !strings.Contains(err.Error(), "did you mean argv?") {
		t.Errorf("error %v", err)
	}
}

func TestLongLinesAreCut(t *testing.T) {
	d := task(memory.New(), params("long"))
	result, err := d.run(t.Context())
	if err != nil || len(result) > 4<<10+3 {
		t.Errorf("%d bytes of result, %v", len(result), err)
	}
	if len(d.log()) > 20_000 || !strings.Contains(d.log(), "cut=true") || !strings.Contains(d.log(), "msg=next") {
		t.Errorf("%d bytes of log", len(d.log()))
	}
}
