package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vedettehq/vedette"
)

// A QueueLine is a line of `vedette queues list`.
type QueueLine struct {
	Name      string      `json:"name"`
	Paused    bool        `json:"paused"`
	Ready     int         `json:"ready"` // pending, with neither limit nor rate against it
	ByLevel   map[int]int `json:"ready_by_priority"`
	Held      int         `json:"held"`      // pending, and their limit or rate is reached
	Scheduled int         `json:"scheduled"` // retrying included
	Started   int         `json:"started"`
	OldestAt  *time.Time  `json:"oldest_at"` // since when the one that is ready for longest could run
}

// Queues returns every queue that holds a live job or is paused, by name.
func (d *Desk) Queues(ctx context.Context) ([]QueueLine, error) {
	states, err := d.jobs.Queues(ctx)
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	lines := make([]QueueLine, len(states))
	for i, s := range states {
		lines[i] = QueueLine{
			Name: s.Name, Paused: s.Paused, ByLevel: s.Ready, Held: s.Held, Scheduled: s.Scheduled, Started: s.Started, OldestAt: timeOrNil(s.Oldest),
		}
		for _, n := range s.Ready {
			lines[i].Ready += n
		}
	}
	return lines, nil
}

// Pause stops workers from taking jobs of these queues. What runs goes on.
func (d *Desk) Pause(ctx context.Context, queues ...string) error {
	if err := d.queues.Pause(ctx, queues...); err != nil {
		return fmt.Errorf("pause %s: %w", strings.Join(queues, ", "), err)
	}
	return nil
}

// Resume lets them go on.
func (d *Desk) Resume(ctx context.Context, queues ...string) error {
	if err := d.queues.Resume(ctx, queues...); err != nil {
		return fmt.Errorf("resume %s: %w", strings.Join(queues, ", "), err)
	}
	return nil
}

// Drain pauses queues and waits until what runs of them has ended. When ctx ends first it says
// how many still run; the queues stay paused.
func (d *Desk) Drain(ctx context.Context, queues ...string) error {
	if err := d.Pause(ctx, queues...); err != nil {
		return err
	}
	running := -1
	for {
		states, err := d.jobs.Queues(ctx)
		if ctx.Err() != nil {
			return drained(ctx, queues, running)
		}
		if err != nil {
			return fmt.Errorf("list queues: %w", err)
		}
		if running = started(states, queues); running == 0 {
			return nil
		}
		if pause(ctx, lookAgain) != nil {
			return drained(ctx, queues, running)
		}
	}
}

func drained(ctx context.Context, queues []string, running int) error {
	return fmt.Errorf("%s paused, and of the jobs that run %d have not ended (vedette jobs list --state started shows them): %w", strings.Join(queues, ", "), running, ctx.Err())
}

// started counts the jobs of some queues that run.
func started(states []vedette.QueueState, queues []string) (n int) {
	for _, s := range states {
		if slices.Contains(queues, s.Name) {
			n += s.Started
		}
	}
	return n
}

// Members counts the live processes by role, those that schedule and those that work.
func (d *Desk) Members(ctx context.Context) (map[string]int, error) {
	by := map[string]int{}
	for _, role := range []string{"schedule", "work"} {
		leases, err := d.store.queue.leases.List(ctx, memberPrefix+role+"/")
		if err != nil {
			return nil, fmt.Errorf("list members: %w", err)
		}
		by[role] = len(leases)
	}
	return by, nil
}
