package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
)

// leases are granted by the server's clock, which is read behind the lock of each row.
type leases struct{ s *Store }

// Leases returns the leases.
func (s *Store) Leases() vedette.Leaser { return leases{s} }

const (
	acquire = `insert into leases as l
		select name, $1, (extract(epoch from clock_timestamp()) * 1000000)::bigint, clock_timestamp() + $2::interval
		from unnest($3::text[]) as name
		on conflict (name) do update set
			owner = excluded.owner,
			token = case
				when l.owner = excluded.owner and l.expires_at > clock_timestamp() then l.token
				else greatest(l.token + 1, (extract(epoch from clock_timestamp()) * 1000000)::bigint)
			end,
			expires_at = clock_timestamp() + $2::interval
		where l.owner = excluded.owner or l.expires_at <= clock_timestamp()
		returning name, token, expires_at`

	release = `update leases as l set expires_at = clock_timestamp()
		from unnest($1::text[], $2::text[], $3::bigint[]) as u(name, owner, token)
		where l.name = u.name and l.owner = u.owner and l.token = u.token and l.expires_at > clock_timestamp()`

	listLeases = `select name, owner, token, expires_at, now() from leases
		where name >= $1 and starts_with(name, $1) and expires_at > now()
		order by name`
)

func (l leases) Acquire(ctx context.Context, owner string, ttl time.Duration, names ...string) (held []vedette.Lease, err error) {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	err = l.s.update(ctx, func(c *pgx.Conn) error {
		return l.s.hurry(ctx, c, patience, func() error {
			found, err := c.Query(ctx, acquire, owner, ttl, names)
			if err != nil {
				return err
			}
			held, err = pgx.CollectRows(found, func(row pgx.CollectableRow) (vedette.Lease, error) {
				lease := vedette.Lease{Owner: owner}
				err := row.Scan(&lease.Name, &lease.Token, &lease.Expires)
				lease.Expires = lease.Expires.UTC()
				lease.At = lease.Expires.Add(-ttl.Truncate(time.Microsecond))
				return lease, err
			})
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("acquire lease: %w", refused(err))
	}
	return held, nil
}

func (l leases) Release(ctx context.Context, leases ...vedette.Lease) error {
	names, owners, tokens := make([]string, len(leases)), make([]string, len(leases)), make([]int64, len(leases))
	for i, lease := range leases {
		names[i], owners[i], tokens[i] = lease.Name, lease.Owner, lease.Token
	}
	err := l.s.update(ctx, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, release, names, owners, tokens)
		return err
	})
	if err != nil {
		return fmt.Errorf("release lease: %w", err)
	}
	return nil
}

func (l leases) List(ctx context.Context, prefix string) (live []vedette.Lease, err error) {
	err = l.s.use(ctx, func(c *pgx.Conn) error {
		found, err := c.Query(ctx, listLeases, prefix)
		if err != nil {
			return err
		}
		live, err = pgx.CollectRows(found, func(row pgx.CollectableRow) (vedette.Lease, error) {
			var lease vedette.Lease
			err := row.Scan(&lease.Name, &lease.Owner, &lease.Token, &lease.Expires, &lease.At)
			lease.Expires, lease.At = lease.Expires.UTC(), lease.At.UTC()
			return lease, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list leases: %w", err)
	}
	return live, nil
}
