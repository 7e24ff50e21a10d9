package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
)

// A Local says how to run a scraper in this process, without a queue.
type Local struct {
	Monitors []vedette.Monitor // that the handler check may look at
	Handlers map[string]vedette.Handler
	Env      func(name string) (string, bool)
	Version  string
	Log      *slog.Logger            // what the run logs
	Item     func(vedette.Raw) error // is called with what it finds
}

// Run runs a scraper once. Nothing is kept: not what a monitor that was looked at says, nor
// what the scraper remembers, which it begins without.
func (l Local) Run(ctx context.Context, s vedette.Scraper) (result string, err error) {
	a, err := New(Config{Store: "memory:", Env: l.Env, Version: l.Version})
	if err != nil {
		return "", err
	}
	if err := a.Watch(ctx, l.Monitors...); err != nil {
		return "", err
	}
	for name, h := range l.Handlers {
		a.Handle(name, h)
	}
	h := a.allHandlers(nowhere{})[s.Job.Handler]
	if h == nil {
		return "", fmt.Errorf("handler %q: %w: this program has exec, http and check", s.Job.Handler, vedette.ErrNotFound)
	}
	if d := s.Job.Timeout; d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	now := time.Now()
	j := s.Job
	j.ID, j.Scraper, j.State, j.Attempt, j.Epoch, j.CreatedAt, j.StartedAt = vedette.NewID(now), s.ID, vedette.JobStarted, 1, 1, now, now
	return h.Run(ctx, &vedette.Task{Job: j, Log: l.Log, KV: memory.New().KV(), Emit: l.emit})
}

func (l Local) emit(_ context.Context, items ...vedette.Raw) error {
	for _, item := range items {
		if err := l.Item(item); err != nil {
			return err
		}
	}
	return nil
}

// nowhere is a sink of looks that are not to be kept.
type nowhere struct{}

func (nowhere) Send(context.Context, vedette.Found) error { return nil }
