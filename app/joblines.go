package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/manifest"
)

// A JobLine is a line of `vedette jobs list`.
type JobLine struct {
	ID          vedette.ID        `json:"id"`
	Scraper     vedette.ScraperID `json:"scraper"`
	Handler     string            `json:"handler"`
	State       vedette.JobState  `json:"state"`
	Queue       string            `json:"queue"`
	Priority    int               `json:"priority"`
	Attempt     int               `json:"attempt"`
	MaxAttempts int               `json:"max_attempts"`
	FireAt      *time.Time        `json:"fire_at"` // the time that it runs for
	RunAt       *time.Time        `json:"run_at"`  // when it may run
	CreatedAt   *time.Time        `json:"created_at"`
	StartedAt   *time.Time        `json:"started_at"`
	HeartbeatAt *time.Time        `json:"heartbeat_at"`
	FinishedAt  *time.Time        `json:"finished_at"`
	Owner       string            `json:"owner"`
	Cancel      string            `json:"cancel"` // why it is to end, or was cancelled
	Result      string            `json:"result"`
	Error       string            `json:"error"`
	Params      vedette.Raw       `json:"params"` // without secrets
	Attempts    []vedette.Attempt `json:"attempts,omitempty"`
}

func newJobLine(j vedette.Job) JobLine {
	return JobLine{
		ID: j.ID, Scraper: j.Scraper, Handler: j.Handler, State: j.State, Queue: j.Queue, Priority: j.Priority,
		Attempt: j.Attempt, MaxAttempts: max(j.MaxAttempts, 1), FireAt: timeOrNil(j.FireAt), RunAt: timeOrNil(j.RunAt),
		CreatedAt: timeOrNil(j.CreatedAt), StartedAt: timeOrNil(j.StartedAt), HeartbeatAt: timeOrNil(j.BeatAt), FinishedAt: timeOrNil(j.FinishedAt),
		Owner: j.Owner, Cancel: j.Cancel, Result: j.Result, Error: j.Error, Params: manifest.HideParams(j.Params), Attempts: j.Attempts,
	}
}

// Jobs calls f with the jobs that agree with like, as [vedette.Jobs.List] says, the newest first,
// until it returns an error. n 0 means all.
func (d *Desk) Jobs(ctx context.Context, like vedette.Job, n int, f func(JobLine) error) error {
	const most = 1000
	for before, left := (vedette.ID{}), n; ; {
		size := most
		if n > 0 {
			size = min(left, most)
		}
		page, err := d.jobs.List(ctx, like, before, size)
		if err != nil {
			return fmt.Errorf("list jobs: %w", err)
		}
		for _, j := range page {
			if err := f(newJobLine(j)); err != nil {
				return err
			}
			before = j.ID
		}
		if left -= len(page); len(page) < size || left == 0 {
			return nil
		}
	}
}

// get returns a job.
func (d *Desk) get(ctx context.Context, id vedette.ID) (vedette.Job, error) {
	j, err := d.jobs.Get(ctx, id)
	if errors.Is(err, vedette.ErrNotFound) {
		return j, fmt.Errorf("job %s: %w", id, vedette.ErrNotFound)
	}
	if err != nil {
		return j, fmt.Errorf("read job: %w", err)
	}
	return j, nil
}

// Job returns one job with its attempts. It reports ErrNotFound.
func (d *Desk) Job(ctx context.Context, id vedette.ID) (JobLine, error) {
	j, err := d.get(ctx, id)
	return newJobLine(j), err
}

// Cancel ends live jobs: those that wait at once, those that run within the time that they are
// given for it. It reports ErrNotFound for a job that there is not, and ErrRefused for one that has ended.
func (d *Desk) Cancel(ctx context.Context, reason string, ids ...vedette.ID) error {
	for _, id := range ids {
		j, err := d.get(ctx, id)
		if err != nil {
			return err
		}
		if !j.State.Live() {
			return fmt.Errorf("job %s has ended: it is %s: %w", id, j.State, vedette.ErrRefused)
		}
	}
	if err := d.jobs.Cancel(ctx, reason, ids...); err != nil {
		return fmt.Errorf("cancel jobs: %w", err)
	}
	return nil
}

// lookAgain is how often a job is looked at that somebody waits for.
const lookAgain = 100 * time.Millisecond

// Await returns a job when it has ended.
func (d *Desk) Await(ctx context.Context, id vedette.ID) (JobLine, error) {
	for {
		j, err := d.Job(ctx, id)
		if err != nil || !j.State.Live() {
			return j, err
		}
		if err := pause(ctx, lookAgain); err != nil {
			return j, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A LogLine is one line of what a job logged.
type LogLine struct {
	Seq     int64          `json:"seq"`
	At      time.Time      `json:"at"`
	Level   slog.Level     `json:"level"`
	Msg     string         `json:"msg"`
	Attempt int            `json:"attempt"`
	Attrs   map[string]any `json:"attrs,omitempty"`
}

func newLogLine(e vedette.Entry) LogLine {
	l := LogLine{Seq: e.Seq, At: e.At.UTC()}
	if json.Unmarshal(e.Data, &l.Attrs) != nil {
		l.Msg = string(e.Data) // nobody but a worker writes there
		return l
	}
	l.Msg, _ = l.Attrs["msg"].(string)
	if level, ok := l.Attrs["level"].(string); ok {
		_ = l.Level.UnmarshalText([]byte(level)) // what is no level is info
	}
	if n, ok := l.Attrs["attempt"].(float64); ok {
		l.Attempt = int(n)
	}
	for _, key := range []string{"msg", "level", "attempt"} {
		delete(l.Attrs, key)
	}
	return l
}

// Logs calls f with what a job has logged, and with follow what it will log until it has ended.
func (d *Desk) Logs(ctx context.Context, id vedette.ID, follow bool, f func(LogLine) error) error {
	return d.topic(ctx, id, vedette.LogTopic(id), follow, func(e vedette.Entry) error { return f(newLogLine(e)) })
}

// topic reads a topic of a job from its begin to its end, which with follow is that of the job.
func (d *Desk) topic(ctx context.Context, id vedette.ID, topic string, follow bool, f func(vedette.Entry) error) error {
	for after := int64(0); ; {
		j, err := d.get(ctx, id)
		if err != nil {
			return err
		}
		last, err := d.store.queue.feed.Last(ctx, topic, 1)
		if err != nil {
			return fmt.Errorf("read what job %s said: %w", id, err)
		}
		if len(last) > 0 && last[0].Seq > after {
			if after, err = d.page(ctx, topic, after, last[0].Seq, f); err != nil {
				return err
			}
		}
		if !follow || !j.State.Live() {
			return nil
		}
		if err := pause(ctx, lookAgain); err != nil {
			return err
		}
	}
}

// readWithin bounds how long to wait for entries that are there, unless they were dropped meanwhile.
const readWithin = 10 * time.Second

// page calls f with the entries of a topic above after, up to last.
func (d *Desk) page(ctx context.Context, topic string, after, last int64, f func(vedette.Entry) error) (int64, error) {
	const n = 1000
	for after < last {
		soon, cancel := context.WithTimeout(ctx, readWithin)
		entries, err := d.store.queue.feed.Read(soon, topic, after, n)
		cancel()
		if err != nil {
			return after, fmt.Errorf("read topic %s: %w", topic, err)
		}
		for _, e := range entries {
			if err := f(e); err != nil {
				return after, err
			}
			after = e.Seq
		}
	}
	return after, nil
}
