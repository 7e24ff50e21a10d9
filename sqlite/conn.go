package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"
)

// A conn is one connection and its prepared statements, for one goroutine at a time. It talks
// to the driver without database/sql, whose locks and conversions cost as much as the driver's
// own work on a row. Statements run to their end: a context that can end makes the driver
// start a goroutine for each.
//
// SQLite looks at what is bound to a limit, and to what an order begins behind, when it prepares a
// statement, and prepares it anew whenever something else is bound. Statements that are run for each
// call write ? + 0 and +? there, to be prepared once.
type conn struct {
	driver.Conn
	stmts map[string]driver.StmtExecContext
	args  []driver.NamedValue
}

// connect opens a connection and sets it up with pragmas.
func connect(path, mode string, pragmas ...string) (*conn, error) {
	name := filepath.ToSlash(path)
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	dsn := url.URL{Scheme: "file", Path: name, RawQuery: "mode=" + mode}
	connector, err := sqlite.NewConnector(dsn.String())
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	opened, err := connector.Connect(context.Background())
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	c := &conn{Conn: opened, stmts: map[string]driver.StmtExecContext{}}
	for _, p := range append([]string{"busy_timeout = 5000"}, pragmas...) {
		if err := c.script("pragma " + p); err != nil {
			_ = opened.Close()
			return nil, fmt.Errorf("set %s: %w", p, err)
		}
	}
	return c, nil
}

// script runs statements without parameters.
func (c *conn) script(text string) error {
	s, err := c.Prepare(text)
	if err != nil {
		return err
	}
	_, err = s.(driver.StmtExecContext).ExecContext(context.Background(), nil)
	return errors.Join(err, s.Close())
}

// prepare returns the statement of text, prepared once.
func (c *conn) prepare(text string) (driver.StmtExecContext, error) {
	if s := c.stmts[text]; s != nil {
		return s, nil
	}
	s, err := c.Prepare(text)
	if err != nil {
		return nil, err
	}
	c.stmts[text] = s.(driver.StmtExecContext)
	return c.stmts[text], nil
}

// bind numbers args, which are int64, string, []byte or nil.
func (c *conn) bind(args []any) []driver.NamedValue {
	c.args = c.args[:0]
	for i, a := range args {
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return c.args
}

// exec runs a statement and returns how many rows it changed.
func (c *conn) exec(text string, args ...any) (int64, error) {
	s, err := c.prepare(text)
	if err != nil {
		return 0, err
	}
	done, err := s.ExecContext(context.Background(), c.bind(args))
	if err != nil {
		return 0, err
	}
	return done.RowsAffected()
}

// query runs a statement and hands each row to f, which may keep what it gets but for the
// slice. f must not run the same statement.
func (c *conn) query(f func(row []driver.Value) error, text string, args ...any) (err error) {
	s, err := c.prepare(text)
	if err != nil {
		return err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(context.Background(), c.bind(args))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	row := make([]driver.Value, len(rows.Columns()))
	for {
		switch err := rows.Next(row); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := f(row); err != nil {
			return err
		}
	}
}

// int returns the one number that a statement gives, or 0 if it gives none.
func (c *conn) int(text string, args ...any) (n int64, err error) {
	n, _, err = c.find(text, args...)
	return n, err
}

// find returns the one number that a statement gives, and whether it gives one.
func (c *conn) find(text string, args ...any) (n int64, found bool, err error) {
	err = c.query(func(row []driver.Value) error {
		n, found = row[0].(int64)
		return nil
	}, text, args...)
	return n, found, err
}
