package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A step is one statement of a pipeline. Values are in binary form.
type step struct {
	doing  string // what it does, for errors
	sql    string
	values [][]byte
	oids   []uint32
}

// over returns a step whose parameters are the columns of r.
func over(doing, sql string, r *rows) step {
	values, oids := r.arrays()
	return step{doing, sql, values, oids}
}

// pipe sends steps in one round trip and returns what each of them gave, in binary form. Outside
// a transaction they are one. The error is that of the first step that failed; those behind it
// were not made.
func pipe(ctx context.Context, c *pgx.Conn, steps ...step) ([]*pgconn.Result, error) {
	p := c.PgConn().StartPipeline(ctx)
	for _, one := range steps {
		p.SendQueryParams(one.sql, one.values, one.oids, []int16{pgx.BinaryFormatCode}, []int16{pgx.BinaryFormatCode})
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
	result := reader.Read()
	return result, result.Err
}
