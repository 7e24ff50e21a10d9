package scrape

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
)

// retryLater is the exit status of a program that wants to be run again later (EX_TEMPFAIL of
// sysexits.h).
const retryLater = 75

// ExecOptions say how programs are run.
type ExecOptions struct {
	Dir string // where they run, and what a relative dir of theirs is relative to; "" is ours
	// Jobs tells whose state counts: that of an attempt whose end the queue knows. Without it each
	// state counts that was kept.
	Jobs vedette.Jobs
}

// Exec returns the handler "exec", which runs a program and no shell. Its params:
//
//	argv    the program and its arguments; required
//	dir     where it runs
//	env     variables beside those of the worker
//	items   "stdout": each line there is a JSON item
//	cpu     CPU time that each of its processes may use, in whole seconds; Linux only
//	memory  bytes of data that each of its processes may have, as in "512MiB"; Linux only
//	grace   between SIGTERM and SIGKILL when it is to end; 10s unless given
//
// Further keys are the program's own. It finds all params as JSON in VEDETTE_PARAMS, the state
// that the scraper keeps in VEDETTE_STATE (unset while there is none, or null), and who it is in
// VEDETTE_JOB, VEDETTE_SCRAPER and VEDETTE_ATTEMPT. Each line of its standard error is a line of
// the job's log; one that is a JSON object with a msg keeps its level and attributes.
//
// A program inherits the whole environment of the worker, with the secrets in it, such as the
// password of a store's URL; it runs as the worker's user and reads what that may read. Whoever
// may push a job of exec, or change a scraper that uses it, can do what the worker can.
//
// With items, a line {"$state": …} sets the scraper's state and {"$result": "…"} the result; a
// line that is not JSON fails the run. The last state is kept when the program has ended with 0,
// and not before, so that what a failed run passed over is found again; the run fails if
// another has changed the state meanwhile. The state counts if and only if the items of the run do
// (see [vedette.Job.Counts]): one whose worker is lost before the queue knows of the end leaves
// neither, and what it found is found again. Without items the last line of the standard output is
// the result and the others are log.
//
// It has succeeded when it ends with 0. With 75 it is tried again after the job's RetryAfter,
// which does not grow; all else is an attempt that failed. When the run is to end the program's
// process group gets SIGTERM, and SIGKILL after the grace; what is left of the group when the
// program ends is killed. On Linux the program is killed when the worker dies.
func Exec(o ExecOptions) vedette.Handler {
	return vedette.HandlerFunc(func(ctx context.Context, t *vedette.Task) (string, error) {
		p, wrong := parseProgram(t.Job.Params)
		if err := wrong.Err(); err != nil {
			return "", vedette.Permanent(fmt.Errorf("params of exec: %w", err))
		}
		if !filepath.IsAbs(p.dir) {
			p.dir = filepath.Join(o.Dir, p.dir)
		}
		past, err := recall(ctx, t, o.Jobs)
		if err != nil {
			return "", err
		}
		if err := past.settle(ctx); err != nil {
			return "", err
		}
		ctx, fail := context.WithCancelCause(ctx)
		defer fail(nil)
		e := &execution{program: p, task: t, past: past, fail: fail}
		return e.run(ctx)
	})
}

// An execution is one run of a program.
type execution struct {
	program
	task *vedette.Task
	past memory
	fail context.CancelCauseFunc // ends the run for what the program said
	cmd  *exec.Cmd
	told bool // to end, by us
}

func (e *execution) run(ctx context.Context) (string, error) {
	stderr := &tail{task: e.task}
	var stdout output = &chatter{task: e.task}
	if e.items {
		stdout = &harvest{task: e.task}
	}
	if err := e.execute(ctx, stdout, stderr); err != nil {
		return "", err
	}
	if err := e.verdict(ctx, stderr); err != nil {
		return "", err
	}
	result, state := stdout.result()
	if state != nil {
		if err := e.past.keep(ctx, state); err != nil {
			return "", err
		}
	}
	return result, nil
}

// execute runs the program to its end, and reads all that it says.
func (e *execution) execute(ctx context.Context, stdout, stderr output) error {
	// The system kills the program when the thread that began it ends, and lets no other thread
	// set its limits.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out, outEnd, err := newPipe()
	if err != nil {
		return unbegun(e.argv[0], err)
	}
	defer out.close()
	errs, errsEnd, err := newPipe()
	if err != nil {
		_ = outEnd.Close()
		return unbegun(e.argv[0], err)
	}
	defer errs.close()
	e.prepare(ctx, outEnd, errsEnd)
	err = start(e.cmd, e.limits)
	_ = outEnd.Close()
	_ = errsEnd.Close()
	if err != nil {
		return unbegun(e.argv[0], err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { e.read(ctx, out, stdout) })
	reading.Go(func() { e.read(ctx, errs, stderr) })
	e.wait(ctx)
	out.end()
	errs.end()
	reading.Wait()
	return nil
}

func (e *execution) prepare(ctx context.Context, stdout, stderr *os.File) {
	// It is ended by us, group and all, and not by ctx.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), e.argv[0], e.argv[1:]...) //nolint:gosec // running programs is its purpose
	cmd.Dir, cmd.Stdout, cmd.Stderr = e.dir, stdout, stderr
	cmd.Env = os.Environ()
	for _, name := range slices.Sorted(maps.Keys(e.env)) {
		cmd.Env = append(cmd.Env, name+"="+e.env[name])
	}
	j := e.task.Job
	cmd.Env = slices.DeleteFunc(cmd.Env, func(v string) bool { return strings.HasPrefix(v, "VEDETTE_STATE=") })
	if e.past.state != nil {
		cmd.Env = append(cmd.Env, "VEDETTE_STATE="+string(e.past.state))
	}
	cmd.Env = append(cmd.Env,
		"VEDETTE_PARAMS="+string(j.Params),
		"VEDETTE_JOB="+j.ID.String(),
		"VEDETTE_SCRAPER="+string(j.Scraper),
		"VEDETTE_ATTEMPT="+strconv.Itoa(j.Attempt),
	)
	e.cmd = cmd
}

// read hands lines to o until it fails, and then reads on, so that the program can end.
func (e *execution) read(ctx context.Context, p *pipe, o output) {
	if err := scan(ctx, p, o); err != nil {
		e.fail(err)
		p.discard()
	}
}

// wait waits for the end of the program, which it hastens when ctx ends.
func (e *execution) wait(ctx context.Context) {
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-over:
			return
		case <-ctx.Done():
		}
		e.told = true
		terminate(e.cmd.Process)
		timer := time.NewTimer(e.grace)
		defer timer.Stop()
		select {
		case <-over:
		case <-timer.C:
			kill(e.cmd.Process)
		}
	})
	reap(e.cmd, func() {
		close(over)
		watching.Wait()
	})
}

// verdict says why the run failed, or returns nil.
func (e *execution) verdict(ctx context.Context, stderr *tail) error {
	how := ending(e.cmd.ProcessState, e.limits)
	if cause := context.Cause(ctx); cause != nil {
		if e.told && how != "" {
			return fmt.Errorf("%w (the program was told to end: %s)", cause, how)
		}
		return cause
	}
	if how == "" {
		return nil
	}
	err := errors.New(how + stderr.last())
	if e.cmd.ProcessState.ExitCode() == retryLater {
		return vedette.RetryAfter(cmp.Or(e.task.Job.RetryAfter, time.Minute), err)
	}
	return err
}
