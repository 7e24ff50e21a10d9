package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
)

// An owner is a worker that has beaten. One whose time ran out stays, so that it is not revived.
type owner struct {
	num   int64
	name  string
	beat  int64 // when it was last
	beats int64
}

func scanOwner(row []driver.Value) owner {
	return owner{row[0].(int64), row[1].(string), row[2].(int64), row[3].(int64)}
}

// lives returns an owner who lives.
func (t *tx) lives(name string) (o owner, err error) {
	err = t.query(func(row []driver.Value) error {
		o = scanOwner(row)
		return nil
	}, "select num, name, beat, beats from owners where name = ? and ends > ?", name, t.now)
	if err == nil && o.num == 0 {
		err = fmt.Errorf("owner %q does not live: %w", name, vedette.ErrLeaseLost)
	}
	return o, err
}

// owner returns the one of a number.
func (c *conn) owner(num int64) (o owner, err error) {
	err = c.query(func(row []driver.Value) error {
		o = scanOwner(row)
		return nil
	}, "select num, name, beat, beats from owners where num = ?", num)
	return o, err
}

// owner returns the one of a number.
func (t *tx) owner(num int64) (o owner, err error) {
	o, known := t.owners[num]
	if known {
		return o, nil
	}
	if t.owners == nil {
		t.owners = map[int64]owner{}
	}
	o, err = t.conn.owner(num)
	t.owners[num] = o
	return o, err
}

// Beat keeps owner alive, as [vedette.Queue] says.
func (q queue) Beat(ctx context.Context, owner string, ttl time.Duration, held ...vedette.Ref) (orders []vedette.Order, err error) {
	err = q.s.update(ctx, func(t *tx) (err error) {
		orders, err = t.beat(owner, ttl, held)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("beat: %w", err)
	}
	return orders, nil
}

func (t *tx) beat(name string, ttl time.Duration, held []vedette.Ref) ([]vedette.Order, error) {
	_, err := t.exec(`insert into owners select max(coalesce(max(num), 0), 16777216) + 1, ?1, ?2 + 1, 0, 0 from owners
		where true on conflict do nothing`, name, t.now)
	if err != nil {
		return nil, err
	}
	o, err := t.lives(name)
	if err != nil {
		return nil, err
	}
	o.beats++
	_, err = t.exec("update owners set ends = ?, beat = ?, beats = ? where num = ?", t.now+ttl.Microseconds(), t.now, o.beats, o.num)
	if err != nil {
		return nil, err
	}
	rows, err := t.rows("select "+rowColumns+" from jobs where owner = ? and state = 3", o.num)
	if err == nil {
		rows, err = t.handBack(rows, held, o.beats)
	}
	if err != nil {
		return nil, err
	}
	return ordersOf(rows, held)
}

// handBack gives back those claims of which their owner has not said in two beats that it holds
// them, since the answer to its Claim never came, and returns the others.
func (t *tx) handBack(rows []*row, held []vedette.Ref, beats int64) (left []*row, err error) {
	known := make(map[vedette.Ref]bool, len(held))
	for _, ref := range held {
		known[ref] = true
	}
	for _, r := range rows {
		if known[vedette.Ref{Job: r.id, Epoch: r.epoch}] || beats-r.beat < 2 {
			left = append(left, r)
			continue
		}
		r.taken = true
		last, err := tailOf(r.tail)
		if err == nil {
			err = t.end(r, vedette.End{State: vedette.JobPending}, &last)
		}
		if err != nil {
			return nil, fmt.Errorf("give back job %s: %w", r.id, err)
		}
	}
	return left, nil
}

func ordersOf(rows []*row, held []vedette.Ref) (orders []vedette.Order, err error) {
	byID := make(map[vedette.ID]*row, len(rows))
	for _, r := range rows {
		byID[r.id] = r
	}
	for _, ref := range held {
		r := byID[ref.Job]
		switch {
		case r == nil || r.epoch != ref.Epoch:
			orders = append(orders, vedette.Order{Ref: ref, Lost: true})
		case r.cancelAt != 0:
			last, err := tailOf(r.tail)
			if err != nil {
				return nil, fmt.Errorf("stored job %s: %w", r.id, err)
			}
			orders = append(orders, vedette.Order{Ref: ref, Reason: last.cancel})
		}
	}
	return orders, nil
}
