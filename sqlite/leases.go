package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

// leases are granted by this host's wall clock, read once a transaction.
type leases struct{ s *Store }

func (l leases) Acquire(ctx context.Context, owner string, ttl time.Duration, names ...string) (held []vedette.Lease, err error) {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	err = l.s.update(ctx, func(tx *tx) error {
		now := time.Now().UnixMicro()
		for _, name := range names {
			lease, err := tx.acquire(name, owner, now, now+ttl.Microseconds())
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if lease.Owner == owner {
				held = append(held, lease)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("acquire lease: %w", err)
	}
	return held, nil
}

// acquire takes or renews one lease unless another holds it, and returns it as it is then.
func (t *tx) acquire(name, owner string, now, expires int64) (lease vedette.Lease, err error) {
	err = t.query(func(row []driver.Value) error {
		lease = scanLease(row, now)
		return nil
	}, "select name, owner, token, expires from leases where name = ?", name)
	if err != nil {
		return lease, err
	}
	live := lease.Expires.UnixMicro() > now
	if live && lease.Owner != owner {
		return lease, nil
	}
	if !live {
		lease.Token = max(lease.Token+1, now)
	}
	lease.Name, lease.Owner, lease.Expires, lease.At = name, owner, pack.TimeOf(expires), pack.TimeOf(now)
	_, err = t.exec("insert or replace into leases values (?, ?, ?, ?)", name, owner, lease.Token, expires)
	return lease, err
}

// scanLease reads (name, owner, token, expires).
func scanLease(row []driver.Value, now int64) vedette.Lease {
	return vedette.Lease{
		Name: row[0].(string), Owner: row[1].(string), Token: row[2].(int64),
		Expires: pack.TimeOf(row[3].(int64)), At: pack.TimeOf(now),
	}
}

func (l leases) Release(ctx context.Context, leases ...vedette.Lease) error {
	err := l.s.update(ctx, func(tx *tx) error {
		now := time.Now().UnixMicro()
		for _, lease := range leases {
			_, err := tx.exec(`update leases set expires = ?1
				where name = ?2 and owner = ?3 and token = ?4 and expires > ?1`,
				now, lease.Name, lease.Owner, lease.Token)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("release lease: %w", err)
	}
	return nil
}

func (l leases) List(ctx context.Context, prefix string) (live []vedette.Lease, err error) {
	err = l.s.read(ctx, func(c *conn) error {
		now := time.Now().UnixMicro()
		return c.query(func(row []driver.Value) error {
			live = append(live, scanLease(row, now))
			return nil
		}, `select name, owner, token, expires from leases
			where name >= ?1 and substr(name, 1, length(?1)) = ?1 and expires > ?2
			order by name`, prefix, now)
	})
	if err != nil {
		return nil, fmt.Errorf("list leases: %w", err)
	}
	return live, nil
}
