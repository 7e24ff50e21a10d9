package sqlite

import (
	"context"
	"database/sql/driver"
	"time"
)

// What is written goes to a log beside the file first (SQLite's WAL), which grows until it is copied into
// the file, and is written over from its start then. A sync of what is written over takes about half as
// long as one of a file that grows, and a copy two syncs and more: so the log is copied early, and when
// nobody waits. Under load without a pause it is copied by the commit that finds wal_autocheckpoint pages
// in it, which bounds it.

const (
	// pause is how long nothing is committed before the log is copied.
	pause = 10 * time.Millisecond
	// worth is how many pages it must hold for that.
	worth = 500
)

// tire lets the store rest after a pause. Whoever holds the connection that writes may call it.
func (s *Store) tire() {
	switch {
	case s.guest:
	case s.pause == nil:
		s.pause = time.AfterFunc(pause, s.rest)
	default:
		s.pause.Reset(pause)
	}
}

// rest copies the log into the file, if it is worth it. Others may write meanwhile.
func (s *Store) rest() {
	c, err := s.take(context.Background(), s.copier)
	if err != nil {
		return
	}
	defer func() { s.copier <- c }()
	if c == nil {
		c, err = connect(s.path, "rw", "synchronous = full")
	}
	var left int64
	if err == nil {
		left, err = c.log("pragma wal_checkpoint(noop)")
	}
	if err == nil && left >= worth {
		_, err = c.log("pragma wal_checkpoint(passive)")
	}
	if err != nil {
		s.log.Warn("cannot copy the log into the file before a commit has to", "err", err)
	}
}

// log returns how many pages of the log are still to be copied, when a checkpoint has been made.
func (c *conn) log(checkpoint string) (left int64, err error) {
	err = c.query(func(row []driver.Value) error {
		left = row[1].(int64) - row[2].(int64)
		return nil
	}, checkpoint)
	return left, err
}
