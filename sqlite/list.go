package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

// Get returns a job, as [vedette.Jobs] says.
func (q queue) Get(ctx context.Context, id vedette.ID) (j vedette.Job, err error) {
	err = q.s.read(ctx, func(c *conn) (err error) {
		j, err = c.job(id)
		return err
	})
	if err != nil {
		return vedette.Job{}, fmt.Errorf("get job %s: %w", id, err)
	}
	return j, nil
}

// job returns a job, live or not, with its attempts.
func (c *conn) job(id vedette.ID) (vedette.Job, error) {
	r, err := c.row(id)
	if err != nil {
		return vedette.Job{}, err
	}
	if r != nil {
		var last tail
		j, err := newViewer(c).show(r)
		if err == nil {
			last, err = tailOf(r.tail)
		}
		if err == nil {
			j.Attempts, err = pack.Attempts(last.attempts)
		}
		return j, err
	}
	p, err := c.past(id)
	if err != nil {
		return vedette.Job{}, err
	}
	if p == nil {
		return vedette.Job{}, vedette.ErrNotFound
	}
	return p.job()
}

// A viewer shows live jobs as they are at one time.
type viewer struct {
	*conn
	now    int64
	owners map[int64]owner
}

func newViewer(c *conn) *viewer {
	return &viewer{c, time.Now().UnixMicro(), map[int64]owner{}}
}

// show returns r as callers see it.
func (v *viewer) show(r *row) (vedette.Job, error) {
	j, err := r.job()
	switch {
	case err != nil:
	case r.state == started:
		o, known := v.owners[r.owner]
		if !known {
			o, err = v.owner(r.owner)
			v.owners[r.owner] = o
		}
		j.Owner, j.BeatAt = o.name, pack.TimeOf(max(o.beat, r.started))
	case r.runAt <= v.now:
		j.State = vedette.JobPending
	}
	return j, err
}

// errEnough ends a query of which enough was seen.
var errEnough = errors.New("enough")

// List returns jobs, as [vedette.Jobs] says. By scraper it seeks, and by a state that tells live
// jobs or those that ended badly; else it looks at all of them.
func (q queue) List(ctx context.Context, like vedette.Job, before vedette.ID, n int) (page []vedette.Job, err error) {
	if before.IsZero() {
		for i := range before {
			before[i] = math.MaxUint8
		}
	}
	err = q.s.read(ctx, func(c *conn) error {
		if like.State == "" || like.State.Live() {
			if page, err = c.live(like, before, n); err != nil {
				return err
			}
		}
		if like.State == "" || !like.State.Live() {
			ended, err := c.ended(like, before, n)
			page = append(page, ended...)
			return err
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	slices.SortFunc(page, func(a, b vedette.Job) int { return bytes.Compare(b.ID[:], a.ID[:]) })
	return page[:min(n, len(page))], nil
}

func agrees(j, like *vedette.Job) bool {
	return (like.Scraper == "" || j.Scraper == like.Scraper) &&
		(like.Handler == "" || j.Handler == like.Handler) &&
		(like.Queue == "" || j.Queue == like.Queue) &&
		(like.State == "" || j.State == like.State) &&
		(like.Owner == "" || j.Owner == like.Owner)
}

// live returns live jobs that agree with like.
func (c *conn) live(like vedette.Job, before vedette.ID, n int) ([]vedette.Job, error) {
	text, order, args := "select "+rowColumns+" from jobs where jobs.id < ?", " order by jobs.id desc", []any{before[:]}
	switch {
	case like.Scraper != "":
		text = "select " + rowColumns + " from live cross join jobs on jobs.id = job where job < ? and scraper = ?"
		order = " order by job desc"
		args = append(args, string(like.Scraper))
	case like.Owner != "":
		text, args = text+" and state = 3 and owner = (select num from owners where name = ?)", append(args, like.Owner)
	}
	v := newViewer(c)
	return c.page(pager{&like, n, func(from []driver.Value) (vedette.Job, error) {
		var r row
		if err := scanRow(from, &r); err != nil {
			return vedette.Job{}, err
		}
		return v.show(&r)
	}}, text+order, args...)
}

// ended returns history that agrees with like.
func (c *conn) ended(like vedette.Job, before vedette.ID, n int) ([]vedette.Job, error) {
	text, args := "select "+pastColumns+" from past where id < ?", []any{before[:]}
	switch state := pack.JobStateNum(like.State); {
	case like.Scraper != "":
		text, args = text+" and scraper = ? and scraper > ''", append(args, string(like.Scraper))
	case state > pack.JobStateNum(vedette.JobSucceeded):
		text, args = text+" and state = ? and state > 5", append(args, state)
	}
	return c.page(pager{&like, n, func(from []driver.Value) (vedette.Job, error) {
		var p past
		scanPast(from, &p)
		j, err := p.job()
		j.Attempts = nil
		return j, err
	}}, text+" order by id desc", args...)
}

// A pager picks the first n jobs that agree with like.
type pager struct {
	like *vedette.Job
	n    int
	scan func([]driver.Value) (vedette.Job, error)
}

// page returns what p picks of the rows of a statement.
func (c *conn) page(p pager, text string, args ...any) (page []vedette.Job, err error) {
	err = c.query(func(from []driver.Value) error {
		if len(page) >= p.n {
			return errEnough
		}
		j, err := p.scan(from)
		if err == nil && agrees(&j, p.like) {
			page = append(page, j)
		}
		return err
	}, text, args...)
	if errors.Is(err, errEnough) {
		err = nil
	}
	return page, err
}
