package scrape

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
)

// CheckOptions say what Check knows beside the monitors.
type CheckOptions struct {
	// Reader tells what is known of a monitor. It is required for the look to count: without it
	// the look is history.
	Reader vedette.Reader
	Region string // where we look from
}

func parseLook(raw vedette.Raw) (vedette.MonitorID, vedette.Mistakes) {
	in := readParams(raw)
	id := in.required("monitor", "name the id of a monitor")
	in.only("monitor")
	return vedette.MonitorID(id), in.wrong
}

// Check returns the handler "check", which looks at one monitor now and sends what it saw to
// sink. Its one param is monitor, the id. The result says how the site does; that it is down is
// no failure of the run.
//
// The look counts like one that a watcher made at that moment. It needs no lease for that: it
// carries the token of the newest look from its region, so that the two are ordered by when they
// were made, and a watcher that has taken over since counts for more. The time is that of the
// store, as the claim of the job told it.
func Check(monitors vedette.Monitors, checker vedette.Checker, sink vedette.Sink, o CheckOptions) vedette.Handler {
	c := &looker{o, monitors, checker, sink}
	return vedette.HandlerFunc(func(ctx context.Context, t *vedette.Task) (string, error) {
		began := time.Now()
		at := t.Job.StartedAt
		if at.IsZero() { // no queue has given out the job
			at = began
		}
		id, wrong := parseLook(t.Job.Params)
		if err := wrong.Err(); err != nil {
			return "", vedette.Permanent(fmt.Errorf("params of check: %w", err))
		}
		return c.run(ctx, id, func() time.Time { return at.Add(time.Since(began)) })
	})
}

type looker struct {
	CheckOptions
	monitors vedette.Monitors
	checker  vedette.Checker
	sink     vedette.Sink
}

func (c *looker) run(ctx context.Context, id vedette.MonitorID, now func() time.Time) (string, error) {
	m, err := c.monitors.Get(ctx, id)
	if errors.Is(err, vedette.ErrNotFound) {
		return "", vedette.Permanent(fmt.Errorf("monitor %q: %w", id, err))
	}
	if err != nil {
		return "", fmt.Errorf("read monitor %q: %w", id, err)
	}
	check, err := c.checker.Compile(m)
	if err != nil {
		return "", vedette.Permanent(fmt.Errorf("monitor %q cannot be checked: %w", id, err))
	}
	r, err := look(ctx, m, check, now)
	if err != nil {
		return "", err
	}
	if r.Token, err = c.token(ctx, id); err != nil {
		return "", err
	}
	r.Region = c.Region
	if err := c.send(ctx, r); err != nil {
		return "", err
	}
	return words(r), nil
}

// overrun is by how much a look may outlast its time-out. A longer one was made by a process
// that did not run meanwhile, and says nothing about the site.
const overrun = time.Second

// look looks once. It returns an error if the run was to end before the site had answered well.
func look(ctx context.Context, m vedette.Monitor, check vedette.Check, now func() time.Time) (vedette.Result, error) {
	timeout := cmp.Or(max(m.Timeout, 0), 10*time.Second)
	looking, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began, at := time.Now(), now().UTC().Truncate(time.Microsecond)
	r := check(looking)
	if well := r.State == vedette.Up || r.State == vedette.Degraded; !well {
		if cause := context.Cause(ctx); cause != nil {
			return r, cause
		}
		if time.Since(began) > timeout+overrun {
			r = vedette.Result{State: vedette.Unknown, Failure: &vedette.Failure{
				Kind: vedette.KindMissed, Message: "this process did not run while the site answered or not",
			}}
		}
	}
	r.ID, r.Monitor, r.Revision = vedette.NewID(at), m.ID, m.Version
	r.DueAt, r.StartedAt = at, at
	return r, nil
}

// token returns that of the newest look at a monitor from our region, 0 if there is none.
func (c *looker) token(ctx context.Context, id vedette.MonitorID) (int64, error) {
	if c.Reader == nil {
		return 0, nil
	}
	statuses, err := c.Reader.Latest(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("read what is known of monitor %q: %w", id, err)
	}
	for _, s := range statuses {
		for _, v := range s.Votes {
			if v.Region == c.Region {
				return v.Last.Token, nil
			}
		}
	}
	return 0, nil
}

// send sends a result until the sink has it.
func (c *looker) send(ctx context.Context, r vedette.Result) error {
	found := vedette.Found{Results: []vedette.Result{r}}
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := c.sink.Send(ctx, found)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, vedette.ErrRefused):
			return vedette.Permanent(fmt.Errorf("send result: %w", err))
		}
		found.Resent = true
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("send result: %w", errors.Join(context.Cause(ctx), err))
		}
	}
}

// words says what a look saw.
func words(r vedette.Result) string {
	s := string(r.State)
	if r.Code != 0 {
		s += fmt.Sprintf(", %d", r.Code)
	}
	s += fmt.Sprintf(" in %v", r.Phases.Total().Round(time.Millisecond))
	if r.Failure == nil {
		return s
	}
	s += ": " + string(r.Failure.Kind)
	if r.Failure.Phase != "" {
		s += " in " + r.Failure.Phase
	}
	return s + ": " + r.Failure.Message
}
