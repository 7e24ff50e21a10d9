package postgres

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

const (
	incidentColumns = "i.id, i.monitor_id, opened_at, closed_at, reason, i.seq, kind, phase, message, evidence"

	latest = `select s.monitor_id, s.version, s.state, s.body, ` + incidentColumns + `
		from statuses as s left join incidents as i on i.id = s.incident_id
		where $1 or s.monitor_id = any ($2::text[])
		order by s.monitor_id`

	rollups = `select monitor_id, period, at, checks, failed, up, degraded, down, unknown, maintenance, latency
		from rollups
		where period = $1 and at >= $2 and at < $3 and ($4 or monitor_id = any ($5::text[]))
		order by monitor_id, at`
)

// Latest returns statuses by monitor, as [vedette.Reader] says.
func (s *Store) Latest(ctx context.Context, ids ...vedette.MonitorID) (found []vedette.Status, err error) {
	err = s.use(ctx, func(c *pgx.Conn) error {
		kept, err := c.Query(ctx, latest, len(ids) == 0, texts(ids))
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(kept, scanStatus)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read statuses: %w", err)
	}
	return found, nil
}

// scanStatus reads what latest gives. Of an open incident that is not kept it knows the id.
func scanStatus(row pgx.CollectableRow) (st vedette.Status, err error) {
	var body []byte
	var in incident
	if err := row.Scan(append([]any{&st.Monitor, &st.Version, &st.State, &body}, in.columns()...)...); err != nil {
		return st, err
	}
	if err := pack.Status(body, &st); err != nil {
		return st, fmt.Errorf("status of monitor %q: %w", st.Monitor, err)
	}
	if st.Incident != nil && in.id != nil {
		full, err := in.read()
		st.Incident = &full
		return st, err
	}
	return st, nil
}

// An incident is one as it is kept; all is null where none is.
type incident struct {
	id                                    *[16]byte
	monitor, reason, kind, phase, message *string
	opened, closed                        *time.Time
	seq                                   *int64
	evidence                              []byte
}

// columns are places for incidentColumns.
func (in *incident) columns() []any {
	return []any{
		&in.id, &in.monitor, &in.opened, &in.closed, &in.reason, &in.seq, &in.kind, &in.phase, &in.message, &in.evidence,
	}
}

func (in *incident) read() (vedette.Incident, error) {
	evidence, err := evidenceOf(in.evidence)
	if err != nil {
		return vedette.Incident{}, fmt.Errorf("incident %s: %w", vedette.ID(*in.id), err)
	}
	return vedette.Incident{
		ID: *in.id, Monitor: vedette.MonitorID(*in.monitor), Opened: in.opened.UTC(), Closed: timeOf(in.closed),
		Reason: *in.reason, Seq: *in.seq,
		Cause: vedette.Failure{Kind: vedette.Kind(*in.kind), Phase: *in.phase, Message: *in.message, Evidence: evidence},
	}, nil
}

// Incidents returns incidents by ID, as [vedette.Reader] says.
func (s *Store) Incidents(ctx context.Context, id vedette.MonitorID, span vedette.Span) (found []vedette.Incident, err error) {
	sql, args := "select "+incidentColumns+" from incidents as i where true", []any{}
	where := func(text string, arg any) {
		args = append(args, arg)
		sql += fmt.Sprintf(" and "+text, len(args))
	}
	order, than := "asc", ">"
	if span.Newest {
		order, than = "desc", "<"
	}
	if id != "" {
		where("monitor_id = $%d", clean(string(id)))
	}
	if !span.From.IsZero() {
		where("(closed_at is null or closed_at > $%d)", span.From)
	}
	if !span.To.IsZero() {
		where("opened_at < $%d", ceil(span.To))
	}
	if !span.After.IsZero() {
		where("i.id "+than+" $%d", [16]byte(span.After))
	}
	args = append(args, cmp.Or(span.N, pageSize))
	sql += fmt.Sprintf(" order by i.id %s limit $%d", order, len(args))
	err = s.use(ctx, func(c *pgx.Conn) error {
		kept, err := c.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(kept, func(row pgx.CollectableRow) (vedette.Incident, error) {
			var in incident
			if err := row.Scan(in.columns()...); err != nil {
				return vedette.Incident{}, err
			}
			return in.read()
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read incidents: %w", err)
	}
	return found, nil
}

// Rollups returns rollups by monitor and time, as [vedette.Reader] says.
func (s *Store) Rollups(ctx context.Context, p vedette.Period, from, to time.Time, ids ...vedette.MonitorID) (found []vedette.Rollup, err error) {
	w := windowOf(vedette.Span{From: from, To: to})
	err = s.use(ctx, func(c *pgx.Conn) error {
		kept, err := c.Query(ctx, rollups, seconds(p), w.from, w.to, len(ids) == 0, texts(ids))
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(kept, func(row pgx.CollectableRow) (r vedette.Rollup, err error) {
			var period int64
			err = row.Scan(&r.Monitor, &period, &r.At, &r.Checks, &r.Failed,
				&r.Spent.Up, &r.Spent.Degraded, &r.Spent.Down, &r.Spent.Unknown, &r.Spent.Maintenance, &r.Latency)
			r.Period, r.At = vedette.Period(period*int64(time.Second)), r.At.UTC()
			return r, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read rollups: %w", err)
	}
	return found, nil
}
