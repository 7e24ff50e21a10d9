package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

var _ vedette.KV = kv{}

// kv is the small values. Versions are counted over all keys, so that a key whose value is gone
// leaves nothing behind and still gets none of its old versions again.
type kv struct{ s *Store }

// KV returns the small values.
func (s *Store) KV() vedette.KV { return kv{s} }

func scanValue(row []driver.Value) vedette.Value {
	v := vedette.Value{Key: row[0].(string), Version: row[1].(int64), Expires: pack.TimeOf(row[2].(int64))}
	v.Data, _ = row[3].([]byte)
	return v
}

func (k kv) Get(ctx context.Context, key string) (v vedette.Value, err error) {
	err = k.s.read(ctx, func(c *conn) error {
		found := false
		err := c.query(func(row []driver.Value) error {
			v, found = scanValue(row), true
			return nil
		}, "select key, version, expires, data from kv where key = ? and (expires = 0 or expires > ?)", key, time.Now().UnixMicro())
		if err == nil && !found {
			err = vedette.ErrNotFound
		}
		return err
	})
	if err != nil {
		return vedette.Value{}, fmt.Errorf("key %q: %w", key, err)
	}
	return v, nil
}

func (k kv) Put(ctx context.Context, values ...vedette.Value) error {
	return k.change(ctx, values, (*tx).putValue)
}

func (k kv) Delete(ctx context.Context, values ...vedette.Value) error {
	return k.change(ctx, values, (*tx).dropValue)
}

// change does one thing to all values, or none.
func (k kv) change(ctx context.Context, values []vedette.Value, do func(*tx, *vedette.Value) error) error {
	err := k.s.update(ctx, func(t *tx) error {
		_, err := t.exec("delete from kv where key in (select key from kv where expires > 0 and expires <= ? limit 100)", t.now)
		if err != nil {
			return err
		}
		for i := range values {
			if err := do(t, &values[i]); err != nil {
				return fmt.Errorf("key %q: %w", values[i].Key, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("change values: %w", err)
	}
	return nil
}

func (t *tx) putValue(v *vedette.Value) error {
	old, err := t.version(v.Key)
	if err == nil && old != v.Version {
		err = vedette.ErrConflict
	}
	if err != nil {
		return err
	}
	next, err := t.int("update counts set n = n + 1 where name = 'version' returning n")
	if err == nil {
		_, err = t.exec("insert or replace into kv values (?, ?, ?, ?)", v.Key, next, pack.Micros(v.Expires), v.Data)
	}
	return err
}

func (t *tx) dropValue(v *vedette.Value) error {
	old, err := t.version(v.Key)
	if err != nil || old == 0 {
		return err
	}
	if old != v.Version {
		return vedette.ErrConflict
	}
	_, err = t.exec("delete from kv where key = ?", v.Key)
	return err
}

// version returns that of a key, 0 if it has no value.
func (t *tx) version(key string) (int64, error) {
	return t.int("select version from kv where key = ? and (expires = 0 or expires > ?)", key, t.now)
}

func (k kv) List(ctx context.Context, prefix, after string, n int) (page []vedette.Value, err error) {
	err = k.s.read(ctx, func(c *conn) error {
		return c.query(func(row []driver.Value) error {
			v := scanValue(row)
			if !strings.HasPrefix(v.Key, prefix) {
				return errEnough
			}
			page = append(page, v)
			return nil
		}, `select key, version, expires, data from kv
			where key > ? and key >= ? and (expires = 0 or expires > ?) order by key limit ?`,
			after, prefix, time.Now().UnixMicro(), int64(n))
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("list values: %w", err)
	}
	return page, nil
}
