package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
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
	states, held := map[int64]*vedette.QueueState{}, map[int64]bool{}
	var used []int64
	of := func(num driver.Value) *vedette.QueueState {
		used = append(used, num.(int64))
		return states[num.(int64)]
	}
	ready := func(row []driver.Value) error {
		s, n := of(row[0]), int(row[3].(int64))
		if held[row[1].(int64)] {
			s.Held += n
			return nil
		}
		s.Ready[int(row[2].(int64))] += n
		if at := pack.TimeOf(row[4].(int64)); s.Oldest.IsZero() || at.Before(s.Oldest) {
			s.Oldest = at
		}
		return nil
	}
	for _, count := range []struct {
		row  func([]driver.Value) error
		text string
		args []any
	}{
		{func(row []driver.Value) error {
			num, paused := row[0].(int64), row[2].(int64) == 1
			states[num] = &vedette.QueueState{Name: row[1].(string), Paused: paused, Ready: map[int]int{}}
			if paused {
				used = append(used, num)
			}
			return nil
		}, "select num, name, paused from queues", nil},
		{func(row []driver.Value) error {
			held[row[0].(int64)] = true
			return nil
		}, "select num from lanes where held = 1 or held = 2 and at > ?", []any{now}},
		{ready, "select queue, lane, priority, count(*), min(run_at) from jobs where state = 2 group by queue, lane, priority", nil},
		{ready, "select queue, 0, priority, count(*), min(run_at) from jobs where state in (1, 4) and run_at <= ? group by queue, priority", []any{now}},
		{func(row []driver.Value) error {
			of(row[0]).Scheduled = int(row[1].(int64))
			return nil
		}, "select queue, count(*) from jobs where state in (1, 4) and run_at > ? group by queue", []any{now}},
		{func(row []driver.Value) error {
			of(row[0]).Started = int(row[1].(int64))
			return nil
		}, "select queue, count(*) from jobs where state = 3 group by queue", nil},
	} {
		if err := c.query(count.row, count.text, count.args...); err != nil {
			return nil, err
		}
	}
	slices.Sort(used)
	var all []vedette.QueueState
	for _, num := range slices.Compact(used) {
		all = append(all, *states[num])
	}
	slices.SortFunc(all, func(a, b vedette.QueueState) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}
