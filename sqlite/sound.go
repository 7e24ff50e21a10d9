package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

// Sound reads the whole file and returns an error that names what SQLite finds wrong with it, if
// anything. It takes its time; writing goes on meanwhile.
func (s *Store) Sound(ctx context.Context) error {
	return s.read(ctx, func(c *conn) error {
		var wrong []error
		err := c.query(func(row []driver.Value) error {
			if text := fmt.Sprint(row[0]); text != "ok" {
				wrong = append(wrong, errors.New(text))
			}
			return nil
		}, "pragma integrity_check")
		return errors.Join(append(wrong, err)...)
	})
}
