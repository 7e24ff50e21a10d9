package sqlite

import (
	"cmp"
	"context"
	"database/sql/driver"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

const (
	statusColumns   = "select names.id, version, state, body from statuses join names using (num)"
	incidentColumns = `select i.id, names.id, opened, closed, reason, seq, kind, phase, message, evidence
		from incidents as i join names using (num)`
	rollupColumns = "select names.id, period, at, checks, failed, spent, latency from rollups join names using (num)"
)

// Latest returns statuses by monitor, as [vedette.Reader] says.
func (s *Store) Latest(ctx context.Context, ids ...vedette.MonitorID) (found []vedette.Status, err error) {
	err = s.read(ctx, func(c *conn) (err error) {
		found, err = c.statuses(ids)
		for i := range found {
			if err == nil && found[i].Incident != nil {
				found[i].Incident, err = c.incident(found[i].Incident)
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read statuses: %w", err)
	}
	slices.SortFunc(found, func(a, b vedette.Status) int { return cmp.Compare(a.Monitor, b.Monitor) })
	return found, nil
}

func (c *conn) statuses(ids []vedette.MonitorID) (found []vedette.Status, err error) {
	scan := func(row []driver.Value) error {
		st := vedette.Status{
			Monitor: vedette.MonitorID(row[0].(string)), Version: row[1].(int64), State: pack.StateOf(row[2].(int64)),
		}
		err := pack.Status(row[3].([]byte), &st)
		found = append(found, st)
		if err != nil {
			return fmt.Errorf("status of monitor %q: %w", st.Monitor, err)
		}
		return nil
	}
	if len(ids) == 0 {
		return found, c.query(scan, statusColumns)
	}
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		if err := c.query(scan, statusColumns+" where names.id = ?", string(id)); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// incident returns what is kept of the incident that a status names, or that which is known if
// nothing is.
func (c *conn) incident(known *vedette.Incident) (*vedette.Incident, error) {
	found := known
	err := c.query(func(row []driver.Value) error {
		in, err := scanIncident(row)
		found = &in
		return err
	}, incidentColumns+" where i.id = ?", known.ID[:])
	return found, err
}

// scanIncident reads incidentColumns.
func scanIncident(row []driver.Value) (in vedette.Incident, err error) {
	copy(in.ID[:], row[0].([]byte))
	in.Monitor = vedette.MonitorID(row[1].(string))
	in.Opened, in.Closed = pack.TimeOf(row[2].(int64)), pack.TimeOf(row[3].(int64))
	in.Reason, in.Seq = row[4].(string), row[5].(int64)
	cause, err := scanFailure(row[6:])
	if err != nil {
		return in, fmt.Errorf("incident %s: %w", in.ID, err)
	}
	in.Cause = *cause
	return in, nil
}

// Incidents returns incidents by ID, as [vedette.Reader] says.
func (s *Store) Incidents(ctx context.Context, id vedette.MonitorID, span vedette.Span) (found []vedette.Incident, err error) {
	where, order := " where i.id > ?1", "asc"
	if span.Newest {
		where, order = " where (i.id < ?1 or length(?1) = 0)", "desc"
	}
	after := []byte{}
	if !span.After.IsZero() {
		after = span.After[:]
	}
	from, to := pack.Micros(span.From), int64(math.MaxInt64)
	if !span.To.IsZero() {
		to = span.To.UnixMicro()
	}
	where += " and opened < ?2 and (closed = 0 or closed > ?3)"
	args := []any{after, to, from, int64(cmp.Or(span.N, pageSize))}
	if id != "" {
		where += " and num = (select num from names where id = ?5)"
		args = append(args, string(id))
	}
	err = s.read(ctx, func(c *conn) error {
		return c.query(func(row []driver.Value) error {
			in, err := scanIncident(row)
			found = append(found, in)
			return err
		}, incidentColumns+where+" order by i.id "+order+" limit ?4", args...)
	})
	if err != nil {
		return nil, fmt.Errorf("read incidents: %w", err)
	}
	return found, nil
}

// Rollups returns rollups by monitor and time, as [vedette.Reader] says.
func (s *Store) Rollups(ctx context.Context, p vedette.Period, from, to time.Time, ids ...vedette.MonitorID) (found []vedette.Rollup, err error) {
	err = s.read(ctx, func(c *conn) (err error) {
		found, err = c.rollups(int64(time.Duration(p)/time.Second), from, to, ids)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read rollups: %w", err)
	}
	slices.SortFunc(found, func(a, b vedette.Rollup) int {
		return cmp.Or(cmp.Compare(a.Monitor, b.Monitor), a.At.Compare(b.At))
	})
	return found, nil
}

// rollups seeks the rows of a few monitors period by period, and else reads all in between.
func (c *conn) rollups(period int64, from, to time.Time, ids []vedette.MonitorID) (found []vedette.Rollup, err error) {
	scan := func(row []driver.Value) error {
		r, err := scanRollup(row)
		found = append(found, r)
		return err
	}
	first, last, some, err := c.rolled(period, from, to)
	if err != nil || !some {
		return nil, err
	}
	if len(ids) == 0 {
		return found, c.query(scan, rollupColumns+" where period = ? and at between ? and ?", period, first, last)
	}
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		num, known, err := c.monitor(id)
		if err == nil && known {
			err = c.query(scan, `with recursive t(at) as (select ?2 union all select at + ?1 from t where at + ?1 <= ?3)
				select names.id, period, at, checks, failed, spent, latency
				from t cross join rollups using (at) join names using (num)
				where period = ?1 and num = ?4`, period, first, last, num)
		}
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// rolled returns the first and the last time in [from, to) that has a rollup.
func (c *conn) rolled(period int64, from, to time.Time) (first, last int64, some bool, err error) {
	low, high := int64(math.MinInt64), int64(math.MaxInt64)
	if !from.IsZero() {
		low = from.Add(time.Second - 1).Unix()
	}
	if !to.IsZero() {
		high = to.Add(-1).Unix()
	}
	first, some, err = c.find("select min(at) from rollups where period = ? and at between ? and ?", period, low, high)
	if err == nil && some {
		last, err = c.int("select max(at) from rollups where period = ? and at between ? and ?", period, low, high)
	}
	return first, last, some, err
}

// scanRollup reads rollupColumns.
func scanRollup(row []driver.Value) (vedette.Rollup, error) {
	r := vedette.Rollup{
		Monitor: vedette.MonitorID(row[0].(string)), Period: vedette.Period(row[1].(int64) * int64(time.Second)),
		At: time.Unix(row[2].(int64), 0).UTC(), Checks: row[3].(int64), Failed: row[4].(int64),
	}
	var err error
	if r.Spent, err = pack.Spent(row[5].([]byte)); err != nil {
		return r, fmt.Errorf("rollup of monitor %q: %w", r.Monitor, err)
	}
	r.Latency, _ = row[6].([]byte)
	return r, nil
}
