package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A step is one statement of a pipeline. Values are in binary form.
type step struct {
	doing  string // what it does, for errors
	sql    string
	values [][]byte
	oids   []uint32
	// name is under which the statement is prepared once a connection, so that it is not planned
	// each time; "" plans it anew. A plan must do for all values.
	name string
}

// over returns a step whose parameters are the columns of r.
func over(doing, sql string, r *rows) step {
	values, oids := r.arrays()
	return step{doing: doing, sql: sql, values: values, oids: oids}
}

// with returns a step whose parameters are the values of one row.
func with(doing, sql string, oids []uint32, values row) step {
	return step{doing: doing, sql: sql, values: values.split(len(oids)), oids: oids}
}

// also returns s with further parameters.
func (s step) also(oids []uint32, values row) step {
	s.values, s.oids = append(s.values, values.split(len(oids))...), append(s.oids, oids...)
	return s
}

// as returns s prepared under a name.
func (s step) as(name string) step {
	s.name = name
	return s
}

// byIndex goes before steps that are prepared: their plans are kept, and one that was made while a
// table was small, sorting or reading all of it, would be kept when it no longer is.
const byIndex = `select set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true)`

// pipe sends steps in one round trip and returns what each of them gave, in binary form. Outside
// a transaction they are one. The error is that of the first step that failed; those behind it
// were not made.
func pipe(ctx context.Context, c *pgx.Conn, steps ...step) ([]*pgconn.Result, error) {
	if slices.ContainsFunc(steps, func(s step) bool { return s.name != "" }) {
		ask := step{doing: "ask for plans by index", sql: byIndex, name: "byindex"}
		got, err := send(ctx, c, append([]step{ask}, steps...))
		if err != nil {
			return nil, err
		}
		return got[1:], nil
	}
	return send(ctx, c, steps)
}

func send(ctx context.Context, c *pgx.Conn, steps []step) ([]*pgconn.Result, error) {
	for _, one := range steps {
		if err := one.prepare(ctx, c.PgConn()); err != nil {
			return nil, fmt.Errorf("%s: %w", one.doing, err)
		}
	}
	binary := []int16{pgx.BinaryFormatCode}
	p := c.PgConn().StartPipeline(ctx)
	for _, one := range steps {
		if one.name == "" {
			p.SendQueryParams(one.sql, one.values, one.oids, binary, binary)
		} else {
			p.SendQueryPrepared(one.name, one.values, binary, binary)
		}
	}
	if err := p.Sync(); err != nil {
		_ = p.Close()
		return nil, fmt.Errorf("%s: %w", steps[0].doing, err)
	}
	all := make([]*pgconn.Result, 0, len(steps))
	for _, one := range steps {
		got, err := next(p)
		if err != nil {
			_ = p.Close()
			return nil, fmt.Errorf("%s: %w", one.doing, err)
		}
		all = append(all, got)
	}
	if err := p.Close(); err != nil {
		return nil, fmt.Errorf("%s: %w", steps[len(steps)-1].doing, err)
	}
	return all, nil
}

// prepare prepares a step that has a name, unless the connection knows it.
func (s step) prepare(ctx context.Context, c *pgconn.PgConn) error {
	key := "prepared " + s.name
	if known := c.CustomData()[key]; s.name == "" || known != nil {
		return nil
	}
	if _, err := c.Prepare(ctx, s.name, s.sql, s.oids); err != nil {
		return err
	}
	c.CustomData()[key] = true
	return nil
}

// next reads the answer of one step.
func next(p *pgconn.Pipeline) (*pgconn.Result, error) {
	got, err := p.GetResults()
	if err != nil {
		return nil, err
	}
	reader, ok := got.(*pgconn.ResultReader)
	if !ok {
		return nil, errors.New("the server's answer ended early")
	}
	return read(reader)
}

// chunk is how many bytes and values of rows share memory.
const chunk = 8 << 10

// read reads all rows as pgconn does, into memory that they share: an allocation a value would cost
// more than all the rest.
func read(r *pgconn.ResultReader) (*pgconn.Result, error) {
	got := &pgconn.Result{}
	buf := []byte{} // what is empty is not null
	var cells [][]byte
	for r.NextRow() {
		values := r.Values()
		if cap(cells)-len(cells) < len(values) {
			cells = make([][]byte, 0, max(len(values), min(chunk/16, 16*cap(cells))))
		}
		first := len(cells)
		for _, v := range values {
			if v == nil {
				cells = append(cells, nil)
				continue
			}
			if cap(buf)-len(buf) < len(v) {
				buf = make([]byte, 0, max(len(v), min(chunk, 16*cap(buf))))
			}
			at := len(buf)
			buf = append(buf, v...)
			cells = append(cells, buf[at:len(buf):len(buf)])
		}
		got.Rows = append(got.Rows, cells[first:len(cells):len(cells)])
	}
	got.CommandTag, got.Err = r.Close()
	return got, got.Err
}
