package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
)

// pageSize is what a Span without N asks for.
const pageSize = 1000

// A result's place is (checked_at, id), which is the order of ids and that of the index. %s is
// the order and the comparison of it. Evidence is read by the first of the two.
const (
	oneMonitor = `select ` + readColumns + `, evidence from results
		where monitor_id = $1 and checked_at >= $2 and checked_at < $3 %s
		order by checked_at %s, id %[2]s limit $4`

	allMonitors = `select ` + readColumns + `, null::jsonb from results
		where checked_at >= $1 and checked_at < $2 %s
		order by checked_at %s, id %[2]s limit $3`

	readColumns = `id, monitor_id, region, state, checked_at, due_at, cert_not_after, token, revision, seq, code,
		dns, connect, tls, request, ttfb, transfer, maintenance, kind, phase, message, hops`
)

// A window is a range of times and places.
type window struct {
	from, to time.Time // to is not included
	after    vedette.ID
	n        int
	newest   bool
}

// History returns results by ID, as [vedette.Reader] says. A page of all monitors costs a look at
// some seconds of all, in which there are that many results.
func (s *Store) History(ctx context.Context, id vedette.MonitorID, span vedette.Span) (found []vedette.Result, err error) {
	w := windowOf(span)
	err = s.use(ctx, func(c *pgx.Conn) (err error) {
		if id == "" {
			found, err = historyOfAll(ctx, c, w)
		} else {
			found, err = w.read(ctx, c, oneMonitor, clean(string(id)))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return found, nil
}

func windowOf(span vedette.Span) window {
	w := window{
		from: time.Unix(0, 0), to: time.Date(20_000, 1, 1, 0, 0, 0, 0, time.UTC),
		after: span.After, n: cmp.Or(span.N, pageSize), newest: span.Newest,
	}
	if !span.From.IsZero() {
		w.from = ceil(span.From)
	}
	if !span.To.IsZero() {
		w.to = ceil(span.To)
	}
	if at := span.After.Time(); !span.After.IsZero() {
		if w.newest && at.Before(w.to) {
			w.to = at.Add(time.Microsecond)
		} else if !w.newest && at.After(w.from) {
			w.from = at
		}
	}
	return w
}

// ceil returns the first microsecond that is not before t.
func ceil(t time.Time) time.Time { return t.Add(time.Microsecond - 1).Truncate(time.Microsecond) }

// read returns the first results of w by a statement whose other arguments are args.
func (w window) read(ctx context.Context, c *pgx.Conn, sql string, args ...any) ([]vedette.Result, error) {
	order, than := "asc", ">"
	if w.newest {
		order, than = "desc", "<"
	}
	args = append(args, w.from, w.to, w.n)
	beyond := ""
	if !w.after.IsZero() {
		beyond = fmt.Sprintf("and (checked_at, id) %s ($%d, $%d)", than, len(args)+1, len(args)+2)
		args = append(args, w.after.Time(), [16]byte(w.after))
	}
	kept, err := c.Query(ctx, fmt.Sprintf(sql, beyond, order), args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(kept, scanResult)
}

// historyOfAll reads window by window within each day, each of them longer than the last until
// enough is found: no index has the order of times.
func historyOfAll(ctx context.Context, c *pgx.Conn, w window) (found []vedette.Result, err error) {
	all, err := results.days(ctx, c)
	if w.newest {
		slices.Reverse(all)
	}
	size := time.Second
	for _, d := range all {
		rest := w
		rest.from, rest.to = later(w.from, d.begins()), earlier(w.to, d.ends())
		for err == nil && d.attached && rest.from.Before(rest.to) && len(found) < w.n {
			part := rest
			if w.newest {
				part.from = later(rest.from, rest.to.Add(-size))
				rest.to = part.from
			} else {
				part.to = earlier(rest.to, rest.from.Add(size))
				rest.from = part.to
			}
			part.n = w.n - len(found)
			var got []vedette.Result
			got, err = part.read(ctx, c, allMonitors)
			found = append(found, got...)
			if 4*len(got) < part.n {
				size = min(8*size, 24*time.Hour)
			}
		}
	}
	return found, err
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// scanResult reads readColumns and evidence.
func scanResult(row pgx.CollectableRow) (r vedette.Result, err error) {
	var due, cert *time.Time
	var dns, connect, tls, request, ttfb, transfer int64
	var hops, evidence []byte
	var kind, phase, message *string
	err = row.Scan((*[16]byte)(&r.ID), &r.Monitor, &r.Region, &r.State, &r.StartedAt, &due, &cert,
		&r.Token, &r.Revision, &r.Seq, &r.Code, &dns, &connect, &tls, &request, &ttfb, &transfer, &r.Maintenance,
		&kind, &phase, &message, &hops, &evidence)
	if err != nil {
		return r, err
	}
	r.StartedAt, r.DueAt, r.CertNotAfter = r.StartedAt.UTC(), timeOf(due), timeOf(cert)
	r.Phases = vedette.Phases{
		DNS: micros(dns), Connect: micros(connect), TLS: micros(tls),
		Request: micros(request), TTFB: micros(ttfb), Transfer: micros(transfer),
	}
	if hops != nil {
		if err := json.Unmarshal(hops, &r.Hops); err != nil {
			return r, fmt.Errorf("result %s: stored hops: %w", r.ID, err)
		}
	}
	if kind != nil {
		r.Failure = &vedette.Failure{Kind: vedette.Kind(*kind), Phase: *phase, Message: *message}
		if r.Failure.Evidence, err = evidenceOf(evidence); err != nil {
			return r, fmt.Errorf("result %s: %w", r.ID, err)
		}
	}
	return r, nil
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

func evidenceOf(text []byte) (*vedette.Evidence, error) {
	if text == nil {
		return nil, nil
	}
	e := &vedette.Evidence{}
	if err := json.Unmarshal(text, e); err != nil {
		return nil, fmt.Errorf("stored evidence: %w", err)
	}
	return e, nil
}
