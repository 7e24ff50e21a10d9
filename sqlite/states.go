package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

// Queues counts the live jobs, as [vedette.Jobs] says.
func (q queue) Queues(ctx context.Context) (all []vedette.QueueState, err error) {
	if err = q.s.promote(ctx); err == nil {
		err = q.s.read(ctx, func(c *conn) (err error) {
			all, err = c.queueStates(time.Now().UnixMicro())
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("count jobs: %w", err)
	}
	return all, nil
}

// promote makes ready what is due, if something is: else nobody could say whether it is held.
func (s *Store) promote(ctx context.Context) error {
	for !s.readOnly {
		var some int64
		err := s.read(ctx, func(c *conn) (err error) {
			some, err = c.int("select count(*) from (select 1 from jobs where state in (1, 4) and run_at <= ? limit 1)", time.Now().UnixMicro())
			return err
		})
		if err != nil || some == 0 {
			return err
		}
		if err := s.update(ctx, (*tx).promote); err != nil {
			return err
		}
	}
	return nil
}

// queueStates counts over indexes. What is due and was not promoted counts as ready.
func (c *conn) queueStates(now int64) ([]vedette.QueueState, error) {
	n := census{states: map[int64]*vedette.QueueState{}, lanes: map[int64]laneState{}}
	for _, count := range []struct {
		row  func([]driver.Value) error
		text string
		args []any
	}{
		{n.queue, "select num, name, paused from queues", nil},
		{n.lane, "select -num, queue, held = 1 or held = 2 and at > ? from lanes", []any{now}},
		{n.ready, "select lane, priority, count(*), min(run_at) from jobs where state = 2 group by lane, priority", nil},
		{n.ready, "select lane, priority, count(*), min(run_at) from jobs where state in (1, 4) and run_at <= ? group by lane, priority", []any{now}},
		{n.scheduled, "select lane, count(*) from jobs where state in (1, 4) and run_at > ? group by lane", []any{now}},
		{n.started, "select lane, count(*) from jobs where state = 3 group by lane", nil},
	} {
		if err := c.query(count.row, count.text, count.args...); err != nil {
			return nil, err
		}
	}
	return n.all(), nil
}

// A census counts jobs by the numbers of queues and lanes.
type census struct {
	states map[int64]*vedette.QueueState
	lanes  map[int64]laneState
}

type laneState struct {
	queue int64
	held  bool
}

func (n *census) queue(row []driver.Value) error {
	n.states[row[0].(int64)] = &vedette.QueueState{Name: row[1].(string), Paused: row[2].(int64) == 1, Ready: map[int]int{}}
	return nil
}

func (n *census) lane(row []driver.Value) error {
	n.lanes[row[0].(int64)] = laneState{row[1].(int64), row[2].(int64) == 1}
	return nil
}

func (n *census) ready(row []driver.Value) error {
	num, count := row[0].(int64), int(row[2].(int64))
	lane := laneState{queue: num}
	if num < 0 {
		lane = n.lanes[num]
	}
	s := n.states[lane.queue]
	if lane.held {
		s.Held += count
		return nil
	}
	s.Ready[int(row[1].(int64))] += count
	if at := pack.TimeOf(row[3].(int64)); s.Oldest.IsZero() || at.Before(s.Oldest) {
		s.Oldest = at
	}
	return nil
}

func (n *census) scheduled(row []driver.Value) error {
	n.states[row[0].(int64)].Scheduled = int(row[1].(int64))
	return nil
}

func (n *census) started(row []driver.Value) error {
	n.states[row[0].(int64)].Started = int(row[1].(int64))
	return nil
}

// all returns the queues that hold a live job or are paused, by name.
func (n *census) all() (all []vedette.QueueState) {
	for s := range maps.Values(n.states) {
		if s.Paused || len(s.Ready)+s.Held+s.Scheduled+s.Started > 0 {
			all = append(all, *s)
		}
	}
	slices.SortFunc(all, func(a, b vedette.QueueState) int { return strings.Compare(a.Name, b.Name) })
	return all
}
