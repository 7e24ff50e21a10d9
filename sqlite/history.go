package sqlite

import (
	"bytes"
	"cmp"
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

// pageSize is what a Span without N asks for.
const pageSize = 1000

// A window is a range of ids, and the minutes that they lie in.
type window struct {
	from, to    vedette.ID // to is not included
	first, last int64      // minutes; none if first > last
	n           int64
	newest      bool
}

// History returns results by ID, as [vedette.Reader] says. Pages of all monitors cost a look at
// whole minutes: long ones are cheaper than many.
func (s *Store) History(ctx context.Context, id vedette.MonitorID, span vedette.Span) (found []vedette.Result, err error) {
	err = s.read(ctx, func(c *conn) error {
		w, err := c.window(span)
		if err != nil {
			return err
		}
		if id == "" {
			found, err = c.historyOfAll(w)
			return err
		}
		num, known, err := c.monitor(id)
		if err != nil || !known {
			return err
		}
		found, err = c.historyOf(num, w)
		for i := range found {
			found[i].Monitor = id
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return found, nil
}

// window cuts the span to where there are results.
func (c *conn) window(span vedette.Span) (w window, err error) {
	w = window{n: int64(cmp.Or(span.N, pageSize)), newest: span.Newest}
	for i := range w.to {
		w.to[i] = math.MaxUint8
	}
	if !span.From.IsZero() {
		w.from = vedette.FirstID(span.From)
	}
	if !span.To.IsZero() {
		w.to = vedette.FirstID(span.To)
	}
	switch after := span.After; {
	case after.IsZero():
	case span.Newest && bytes.Compare(after[:], w.to[:]) < 0:
		w.to = after
	case !span.Newest && bytes.Compare(after[:], w.from[:]) >= 0:
		w.from = next(after)
	}
	w.first, w.last = w.from.Time().Unix()/60, w.to.Time().Unix()/60
	return w, c.query(func(row []driver.Value) error {
		if row[0] == nil {
			w.last = w.first - 1
			return nil
		}
		w.first, w.last = max(w.first, row[0].(int64)), min(w.last, row[1].(int64))
		return nil
	}, `select min(lo), max(hi) from (
			select min(minute) as lo, null as hi from results union all select null, max(minute) from results
			union all select min(minute), null from failures union all select null, max(minute) from failures)`)
}

// next returns the ID behind id.
func next(id vedette.ID) vedette.ID {
	for i := len(id) - 1; i >= 0; i-- {
		id[i]++
		if id[i] != 0 {
			break
		}
	}
	return id
}

// In the statements below, %s is asc or desc. A look at one monitor seeks its slots, and in
// their hours its rows of each minute, by the primary keys.
const (
	oneMonitor = `with recursive
		h(hour) as (select ?1 / 60 union all select hour + 1 from h where hour < ?2 / 60),
		k(n) as (select 0 union all select n + 1 from k where n < 59),
		m(minute) as materialized (
			select hour * 60 + n from h cross join slots using (hour) cross join k
			where num = ?3 and hour * 60 + n between ?1 and ?2)
		select id, state, code, body, null, null, null, null from m cross join results using (minute)
			where num = ?3 and id >= ?4 and id < ?5
		union all
		select id, state, code, body, kind, phase, message, evidence from m cross join failures using (minute)
			where num = ?3 and id >= ?4 and id < ?5
		order by 1 %s limit ?6`

	allMonitors = `select r.*, names.id from (
			select id, state, code, body, null, null, null, null, num from results
				where minute = ?1 and id >= ?2 and id < ?3
			union all
			select id, state, code, body, kind, phase, message, null, num from failures
				where minute = ?1 and id >= ?2 and id < ?3
			order by 1 %s limit ?4) as r
		join names using (num) order by 1 %[1]s`

	minuteAfter = `select min(minute) from (
		select min(minute) as minute from results where minute >= ?1
		union all select min(minute) from failures where minute >= ?1)`

	minuteBefore = `select max(minute) from (
		select max(minute) as minute from results where minute <= ?1
		union all select max(minute) from failures where minute <= ?1)`
)

func (w window) direction() string {
	if w.newest {
		return "desc"
	}
	return "asc"
}

// historyOf reads some minutes, and then as many as the rest should lie in by what it found, so
// that the last results of a busy monitor cost little and those of a quiet one few statements.
func (c *conn) historyOf(num int64, w window) (found []vedette.Result, err error) {
	text := fmt.Sprintf(oneMonitor, w.direction())
	for size := int64(16); w.first <= w.last && int64(len(found)) < w.n; {
		from, to := w.first, min(w.last, w.first+size-1)
		if w.newest {
			from, to = max(w.first, w.last-size+1), w.last
			w.last = from - 1
		} else {
			w.first = to + 1
		}
		before, left := int64(len(found)), w.n-int64(len(found))
		err := c.query(func(row []driver.Value) error {
			r, err := scanResult(row)
			found = append(found, r)
			return err
		}, text, from, to, num, w.from[:], w.to[:], left)
		if err != nil {
			return nil, err
		}
		if got := int64(len(found)) - before; got > 0 {
			size = min(size*4, size*(left-got)/got+2)
		} else {
			size *= 4
		}
	}
	return found, nil
}

// historyOfAll reads minute by minute, since rows of one minute are not in the order of ids.
func (c *conn) historyOfAll(w window) (found []vedette.Result, err error) {
	text := fmt.Sprintf(allMonitors, w.direction())
	seek, minute, step := minuteAfter, w.first, int64(1)
	if w.newest {
		seek, minute, step = minuteBefore, w.last, -1
	}
	for int64(len(found)) < w.n {
		at, some, err := c.find(seek, minute)
		if err != nil {
			return nil, err
		}
		if !some || at < w.first || at > w.last {
			break
		}
		err = c.query(func(row []driver.Value) error {
			r, err := scanResult(row)
			r.Monitor = vedette.MonitorID(row[len(row)-1].(string))
			found = append(found, r)
			return err
		}, text, at, w.from[:], w.to[:], w.n-int64(len(found)))
		if err != nil {
			return nil, err
		}
		minute = at + step
	}
	return slices.Clip(found), nil
}

// scanResult reads (id, state, code, body, kind, phase, message, evidence).
func scanResult(row []driver.Value) (r vedette.Result, err error) {
	copy(r.ID[:], row[0].([]byte))
	r.State, r.Code = pack.StateOf(row[1].(int64)), int(row[2].(int64))
	if err = pack.Result(row[3].([]byte), &r); err == nil {
		r.Failure, err = scanFailure(row[4:])
	}
	if err != nil {
		return r, fmt.Errorf("result %s: %w", r.ID, err)
	}
	return r, nil
}

// scanFailure reads (kind, phase, message, evidence), where null is none.
func scanFailure(row []driver.Value) (*vedette.Failure, error) {
	kind, failed := row[0].(string)
	if !failed {
		return nil, nil
	}
	f := &vedette.Failure{Kind: vedette.Kind(kind), Phase: row[1].(string), Message: row[2].(string)}
	if text, ok := row[3].(string); ok {
		f.Evidence = &vedette.Evidence{}
		if err := json.Unmarshal([]byte(text), f.Evidence); err != nil {
			return nil, fmt.Errorf("stored evidence: %w", err)
		}
	}
	return f, nil
}
