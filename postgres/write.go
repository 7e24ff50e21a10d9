package postgres

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/vedettehq/vedette"
)

// copyFrom is how many results are worth a COPY, which costs two round trips more than an
// insert.
const copyFrom = 300

// ahead is how far in the future a result may lie.
const ahead = 24 * time.Hour

const (
	resultColumns = `id, monitor_id, region, state, checked_at, due_at, cert_not_after, token, revision, seq, code,
		dns, connect, tls, request, ttfb, transfer, maintenance, kind, phase, message, evidence, hops`

	copyResults = "copy results (" + resultColumns + ") from stdin (format binary)"

	addResults = "insert into results (" + resultColumns + `)
		select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[],
			$7::timestamptz[], $8::int8[], $9::int8[], $10::int8[], $11::int4[],
			$12::int4[], $13::int4[], $14::int4[], $15::int4[], $16::int4[], $17::int4[], $18::bool[],
			$19::text[], $20::text[], $21::text[], $22::jsonb[], $23::jsonb[])`

	// The slots of what was not kept before.
	addNewResults = "with added as (" + addResults + `
			on conflict do nothing
			returning monitor_id, checked_at)
		select distinct monitor_id, (extract(epoch from checked_at) / 3600)::bigint from added order by 1, 2`

	// A status that is inserted must be the first of its monitor; xmax is 0 where one was inserted.
	putStatuses = `with put as (
			insert into statuses as s
			select * from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[],
				$6::uuid[], $7::int8[], $8::int8[], $9::bytea[])
			on conflict (monitor_id) do update set
				state = excluded.state, settled = excluded.settled, since = excluded.since,
				checked_at = excluded.checked_at, incident_id = excluded.incident_id,
				seq = excluded.seq, version = excluded.version, body = excluded.body
			where s.version = excluded.version - 1
			returning version, xmax)
		select count(*) from put where version = 1 or xmax <> 0`

	putIncidents = `insert into incidents
		select * from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::int8[],
			$7::text[], $8::text[], $9::text[], $10::jsonb[])
		on conflict (id) do update set
			monitor_id = excluded.monitor_id, opened_at = excluded.opened_at, closed_at = excluded.closed_at,
			reason = excluded.reason, seq = excluded.seq, kind = excluded.kind, phase = excluded.phase,
			message = excluded.message, evidence = excluded.evidence`

	clock = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint"
)

// Write keeps all of b or none of it, as [vedette.Writer] says. Results that lie more than a day
// in the future are refused as out_of_range.
func (s *Store) Write(ctx context.Context, b vedette.Batch) error {
	err := ctx.Err()
	if err == nil {
		err = check(&b)
	}
	if err == nil {
		err = s.write(ctx, &b)
	}
	if err != nil {
		return fmt.Errorf("write batch: %w", err)
	}
	return nil
}

// write tries the fast way, and then again with what that one needs.
func (s *Store) write(ctx context.Context, b *vedette.Batch) error {
	w, err := prepare(s, b)
	if err != nil {
		return err
	}
	for tries := 1; ; tries++ {
		err := s.update(ctx, func(c *pgx.Conn) error {
			return s.hurry(ctx, c, writePatience, func() error { return w.run(ctx, c) })
		})
		switch code := codeOf(err); {
		case err == nil:
			s.slots.keep(w.marks)
			return nil
		case tries == 4:
			return refused(err)
		case code == uniqueViolation && !w.resent:
			w.resent = true
		case code == checkViolation:
			if err := s.addDays(ctx, b.Results); err != nil {
				return err
			}
		default:
			return refused(err)
		}
	}
}

// A writing is one batch on its way. All that is locked by it is locked in one order: positions,
// statuses by monitor, incidents and letters by id, results and slots by monitor and time.
type writing struct {
	s       *Store
	batch   *vedette.Batch
	results []*vedette.Result // by monitor and id, which is good for the index too
	resent  bool
	kept    rows // results
	first   []step
	checks  []func(*pgconn.Result) error // of the steps of first
	now     time.Time                    // by the server's clock
	marks   []slot                       // made by this transaction
}

func prepare(s *Store, b *vedette.Batch) (*writing, error) {
	w := &writing{s: s, batch: b, resent: b.Resent, results: make([]*vedette.Result, len(b.Results))}
	for i := range b.Results {
		w.results[i] = &b.Results[i]
	}
	slices.SortFunc(w.results, func(x, y *vedette.Result) int {
		// Of copies the one that advanced the status comes first, and is kept.
		return cmp.Or(strings.Compare(string(x.Monitor), string(y.Monitor)), bytes.Compare(x.ID[:], y.ID[:]), cmp.Compare(y.Seq, x.Seq))
	})
	var err error
	if w.kept, err = resultRows(w.results); err != nil {
		return nil, err
	}
	w.step(step{doing: "begin", sql: "begin"}, nil)
	w.step(s.slots.share(w.results), nil)
	w.step(step{doing: "read the clock", sql: clock}, w.tellTime)
	for _, one := range moves(slices.SortedFunc(slices.Values(b.Positions), byPlace)) {
		w.step(one, w.moved)
	}
	if len(b.Statuses) > 0 {
		r, err := statusRows(b.Statuses)
		if err != nil {
			return nil, err
		}
		w.step(over("write statuses", putStatuses, r), w.putAll)
	}
	return w, w.rest()
}

// rest prepares what nobody else writes at the same time.
func (w *writing) rest() error {
	if len(w.batch.Incidents) > 0 {
		r, err := incidentRows(w.batch.Incidents)
		if err != nil {
			return err
		}
		w.step(over("write incidents", putIncidents, r), nil)
	}
	if len(w.batch.Dead) > 0 {
		r, err := letterRows(slices.SortedFunc(slices.Values(w.batch.Dead), func(x, y vedette.DeadLetter) int {
			return bytes.Compare(x.ID[:], y.ID[:])
		}))
		if err != nil {
			return err
		}
		w.step(over("write dead letters", addLetters, r), nil)
	}
	return nil
}

func (w *writing) step(one step, check func(*pgconn.Result) error) {
	w.first = append(w.first, one)
	w.checks = append(w.checks, check)
}

// run is one try: all but the results of a long batch in one round trip, then those, then what
// depends on the server's clock and the commit.
func (w *writing) run(ctx context.Context, c *pgx.Conn) error {
	steps, long := w.first, !w.resent && len(w.results) > copyFrom
	if !long && len(w.results) > 0 {
		sql := addResults
		if w.resent {
			sql = addNewResults
		}
		steps = append(slices.Clip(steps), over("write results", sql, &w.kept))
	}
	got, err := pipe(ctx, c, steps...)
	if err != nil {
		return err
	}
	for i, check := range w.checks {
		if check != nil {
			if err := check(got[i]); err != nil {
				return err
			}
		}
	}
	if err := w.inTime(); err != nil {
		return err
	}
	if long {
		if _, err := c.PgConn().CopyFrom(ctx, bytes.NewReader(w.kept.copied()), copyResults); err != nil {
			return fmt.Errorf("copy results: %w", err)
		}
	}
	if w.resent && len(w.results) > 0 {
		w.marks = addedSlots(got[len(got)-1])
	} else {
		w.marks = w.s.slots.dirtied(w.results, w.now)
	}
	return w.commit(ctx, c)
}

func (w *writing) commit(ctx context.Context, c *pgx.Conn) error {
	var steps []step
	if len(w.marks) > 0 {
		steps = append(steps, over("mark slots", markSlots, slotRows(w.marks)))
	}
	got, err := pipe(ctx, c, append(steps, step{doing: "commit", sql: "commit"})...)
	if err == nil && got[len(got)-1].CommandTag.String() != "COMMIT" {
		err = errors.New("commit: the server rolled back")
	}
	return err
}

func (w *writing) tellTime(r *pgconn.Result) error {
	n, err := number(r)
	w.now = time.UnixMicro(n)
	return err
}

// number returns the one number that a statement gave.
func number(r *pgconn.Result) (int64, error) {
	if len(r.Rows) != 1 || len(r.Rows[0]) != 1 || len(r.Rows[0][0]) != 8 {
		return 0, errors.New("the server gave no number")
	}
	return int64(binary.BigEndian.Uint64(r.Rows[0][0])), nil //nolint:gosec // the bits
}

// moved checks both steps of moves.
func (w *writing) moved(r *pgconn.Result) error {
	if r.CommandTag.RowsAffected() == int64(len(w.batch.Positions)) {
		return nil
	}
	return fmt.Errorf("positions of %s are another's, or elsewhere: %w", w.batch.Positions[0].Group, vedette.ErrLeaseLost)
}

func (w *writing) putAll(r *pgconn.Result) error {
	n, err := number(r)
	if want := int64(len(w.batch.Statuses)); err == nil && n != want {
		err = fmt.Errorf("%d of %d statuses: %w", want-n, want, vedette.ErrConflict)
	}
	return err
}

// inTime refuses results that lie too far in the future.
func (w *writing) inTime() error {
	for _, r := range w.results {
		if err := inTime(r, w.now); err != nil {
			return err
		}
	}
	return nil
}

func inTime(r *vedette.Result, now time.Time) error {
	if r.StartedAt.Sub(now) <= ahead {
		return nil
	}
	return refusal{fmt.Sprintf("out_of_range: result %s of monitor %q lies %s in the future",
		r.ID, r.Monitor, r.StartedAt.Sub(now).Round(time.Second))}
}

// A refusal is an ErrRefused that begins with its class.
type refusal struct{ text string }

func (r refusal) Error() string { return r.text }
func (r refusal) Unwrap() error { return vedette.ErrRefused }
