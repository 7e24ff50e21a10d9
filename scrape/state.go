package scrape

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/vedettehq/vedette"
)

// maxState bounds what a scraper remembers: it must fit into a variable of the environment, of
// which Linux takes 128 KiB.
const maxState = 64 << 10

// A trace is how a state is kept. The run that left it may yet be lost before the queue knows that it
// ended, and then its items do not count. So the state says whose it is, and goes with what was before.
type trace struct {
	Job    *vedette.ID `json:"$job"` // who left State; zero: it counts
	Epoch  int64       `json:"epoch,omitempty"`
	State  vedette.Raw `json:"state"`
	Before vedette.Raw `json:"before,omitempty"` // what counts instead, if that attempt does not
}

// A memory is what a scraper remembers, as a run finds it.
type memory struct {
	jobs  vedette.Jobs // nil: each state counts
	task  *vedette.Task
	kept  vedette.Value
	state vedette.Raw // that counts; nil is none
	void  bool        // what is kept holds one that never will,
	open  bool        // or may yet
}

// recall reads what the scraper of t remembers. A run of no scraper remembers nothing.
func recall(ctx context.Context, t *vedette.Task, jobs vedette.Jobs) (m memory, err error) {
	m = memory{jobs: jobs, task: t}
	if t.Job.Scraper == "" {
		return m, nil
	}
	key := vedette.StateKey(t.Job.Scraper)
	m.kept, err = t.KV.Get(ctx, key)
	if errors.Is(err, vedette.ErrNotFound) {
		m.kept = vedette.Value{Key: key}
		return m, nil
	}
	if err == nil {
		err = m.read(ctx)
	}
	if err != nil {
		return m, fmt.Errorf("read state: %w", err)
	}
	return m, nil
}

// read finds in what is kept the state that counts.
func (m *memory) read(ctx context.Context) error {
	var t trace
	if json.Unmarshal(m.kept.Data, &t) != nil || t.Job == nil { // a state that no run of ours has left
		t = trace{State: m.kept.Data}
	}
	m.state = t.State
	if t.Job != nil && !t.Job.IsZero() && m.jobs != nil {
		counts, settled, err := t.counts(ctx, m.jobs, m.task.Job.Scraper)
		if err != nil {
			return err
		}
		if !counts {
			m.state, m.void, m.open = t.Before, settled, !settled
		}
	}
	if string(m.state) == "null" {
		m.state = nil
	}
	return nil
}

// counts reports whether the attempt that left t counts, and whether that is settled: not while it has
// yet to say that it ended.
func (t trace) counts(ctx context.Context, jobs vedette.Jobs, s vedette.ScraperID) (counts, settled bool, err error) {
	j, err := jobs.Get(ctx, *t.Job)
	if errors.Is(err, vedette.ErrNotFound) {
		// History forgets the oldest first: if an older one is there, the queue has lost this one, as
		// Redis may in a crash. Otherwise it counts: of one that did not, the next run has settled it.
		older, err := jobs.List(ctx, vedette.Job{Scraper: s}, *t.Job, 1)
		return len(older) == 0, true, err
	}
	if err != nil {
		return false, false, err
	}
	epoch, ok := j.Counts()
	mayYet := j.State == vedette.JobStarted && j.Epoch == t.Epoch
	return ok && epoch == t.Epoch, !mayYet, nil
}

// settle keeps for good that a state does not count, since the queue forgets some day whose it was.
func (m *memory) settle(ctx context.Context) error {
	if !m.void {
		return nil
	}
	err := m.put(ctx, trace{Job: &vedette.ID{}, State: m.state})
	if errors.Is(err, vedette.ErrConflict) {
		return nil // another run has done so, or has left a state since
	}
	return err
}

// keep lets the scraper remember state if the run counts, unless another has set it meanwhile.
func (m *memory) keep(ctx context.Context, state vedette.Raw) error {
	if m.kept.Key == "" {
		return errors.New("keep state: a run of no scraper has none")
	}
	now, err := recall(ctx, m.task, m.jobs)
	if err != nil {
		return err
	}
	if now.open || !bytes.Equal(now.state, m.state) {
		return fmt.Errorf("keep state: another run has set it since this one began: %w", vedette.ErrConflict)
	}
	j := m.task.Job
	return now.put(ctx, trace{Job: &j.ID, Epoch: j.Epoch, State: state, Before: now.state})
}

func (m *memory) put(ctx context.Context, t trace) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // the program finds it as it wrote it
	if err := e.Encode(t); err != nil {
		return fmt.Errorf("keep state: %w", err)
	}
	v := m.kept
	v.Data = bytes.TrimSpace(b.Bytes())
	if err := m.task.KV.Put(ctx, v); err != nil {
		return fmt.Errorf("keep state: %w", err)
	}
	return nil
}
