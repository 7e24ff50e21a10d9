package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
)

const (
	putRollups = `insert into rollups
		select * from unnest($1::text[], $2::int4[], $3::timestamptz[], $4::int8[], $5::int8[],
			$6::int8[], $7::int8[], $8::int8[], $9::int8[], $10::int8[], $11::bytea[])
		on conflict (monitor_id, period, at) do update set
			checks = excluded.checks, failed = excluded.failed, up = excluded.up, degraded = excluded.degraded,
			down = excluded.down, unknown = excluded.unknown, maintenance = excluded.maintenance, latency = excluded.latency`

	cleanSlots = `delete from slots as s using unnest($1::timestamptz[], $2::text[], $3::int8[]) as u(hour, monitor_id, mark)
		where s.hour = u.hour and s.monitor_id = u.monitor_id and s.mark = u.mark`

	forget = "delete from statuses where monitor_id = any ($1::text[])"

	listTables = `select c.relname, pg_relation_size(c.oid), pg_total_relation_size(c.oid),
			case when c.reltuples < 0 or c.relpages = 0 then 0
				else c.reltuples / c.relpages * (pg_relation_size(c.oid) / current_setting('block_size')::int) end::bigint
		from pg_class as c
		where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r'`
)

// Roll keeps rollups and cleans their slots, as [vedette.Keeper] says.
func (s *Store) Roll(ctx context.Context, rollups ...vedette.Rollup) error {
	kept := rows{oids: []uint32{
		oidText, oidInt4, oidTime, oidInt8, oidInt8, oidInt8, oidInt8, oidInt8, oidInt8, oidInt8, oidBytea,
	}}
	clean := rows{oids: []uint32{oidTime, oidText, oidInt8}}
	for _, r := range lastOfEach(rollups) {
		if !named(r.Monitor) {
			return fmt.Errorf("keep rollups: monitor %q: %w", r.Monitor, vedette.ErrRefused)
		}
		kept.add(func(b row) row {
			b = b.text(string(r.Monitor)).int4(seconds(r.Period)).time(r.At).int8(r.Checks).int8(r.Failed)
			b = b.int8(int64(r.Spent.Up)).int8(int64(r.Spent.Degraded)).int8(int64(r.Spent.Down))
			return b.int8(int64(r.Spent.Unknown)).int8(int64(r.Spent.Maintenance)).bytes(r.Latency)
		})
		if r.Period == vedette.Hourly {
			clean.add(func(b row) row { return b.time(r.At).text(string(r.Monitor)).int8(r.Mark) })
		}
	}
	err := s.update(ctx, func(c *pgx.Conn) error {
		_, err := pipe(ctx, c, over("write rollups", putRollups, &kept), over("clean slots", cleanSlots, &clean))
		return err
	})
	if err != nil {
		return fmt.Errorf("keep rollups: %w", refused(err))
	}
	return nil
}

// lastOfEach returns rollups by monitor, period and time, of those that are the same the last.
func lastOfEach(rollups []vedette.Rollup) []vedette.Rollup {
	same := func(a, b vedette.Rollup) int {
		return cmp.Or(cmp.Compare(a.Monitor, b.Monitor), cmp.Compare(a.Period, b.Period), a.At.Compare(b.At))
	}
	sorted := slices.Clone(rollups)
	slices.Reverse(sorted)
	slices.SortStableFunc(sorted, same)
	return slices.CompactFunc(sorted, func(a, b vedette.Rollup) bool { return same(a, b) == 0 })
}

func seconds(p vedette.Period) int32 { return int32(time.Duration(p) / time.Second) }

// Forget drops statuses, as [vedette.Keeper] says.
func (s *Store) Forget(ctx context.Context, ids ...vedette.MonitorID) error {
	err := s.update(ctx, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, forget, texts(ids))
		return err
	})
	if err != nil {
		return fmt.Errorf("forget statuses: %w", err)
	}
	return nil
}

func texts(ids []vedette.MonitorID) []string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = clean(string(id))
	}
	return all
}

// small is how many bytes of a table are counted row by row.
const small = 16 << 20

// Size tells how much the store holds. Rows of long tables are estimates of the server's.
func (s *Store) Size(ctx context.Context) (size vedette.Size, err error) {
	size.Rows = map[string]int64{"results": 0}
	err = s.use(ctx, func(c *pgx.Conn) error {
		tables, err := tables(ctx, c)
		if err != nil {
			return err
		}
		for _, t := range tables {
			size.Bytes += t.whole
			name := t.counted()
			if name == "" {
				continue
			}
			n := t.estimate
			if t.bytes < small {
				if n, err = t.count(ctx, c); err != nil {
					return err
				}
			}
			size.Rows[name] += n
		}
		return nil
	})
	if err != nil {
		return vedette.Size{}, fmt.Errorf("read size: %w", err)
	}
	return size, nil
}

// A table is one of ours, as the catalogue knows it.
type table struct {
	name         string
	bytes, whole int64 // without and with its indexes
	estimate     int64 // of rows
}

func tables(ctx context.Context, c *pgx.Conn) ([]table, error) {
	found, err := c.Query(ctx, listTables)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, func(row pgx.CollectableRow) (t table, err error) {
		return t, row.Scan(&t.name, &t.bytes, &t.whole, &t.estimate)
	})
}

// counted returns the name under which the rows of a table are counted, or "".
func (t table) counted() string {
	switch {
	case strings.HasPrefix(t.name, string(results)+"_"):
		return string(results)
	case strings.HasPrefix(t.name, string(jobHistory)+"_"):
		return string(jobHistory)
	case t.name == "slots":
		return "dirty"
	case t.name == "settings", t.name == "schema_version", t.name == "leases":
		return ""
	}
	return t.name
}

func (t table) count(ctx context.Context, c *pgx.Conn) (n int64, err error) {
	sql := "select count(*) from " + pgx.Identifier{t.name}.Sanitize()
	if t.name == "monitors" {
		sql += " where doc is not null"
	}
	err = c.QueryRow(ctx, sql).Scan(&n)
	if codeOf(err) == undefinedTable { // a day that was dropped meanwhile
		return 0, nil
	}
	return n, err
}

// bytesOf returns what all tables take on disk.
func bytesOf(ctx context.Context, c *pgx.Conn) (n int64, err error) {
	all, err := tables(ctx, c)
	for _, t := range all {
		n += t.whole
	}
	return n, err
}
