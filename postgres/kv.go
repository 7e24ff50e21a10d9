package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
)

// kv keeps small values. Their versions come from one sequence, so that a key whose value is gone
// gets none of its old ones again.
type kv struct{ s *Store }

var _ vedette.KV = kv{}

// KV returns the small values.
func (s *Store) KV() vedette.KV { return kv{s} }

const (
	getValue   = "select key, data, version, expires_at from kv where key = $1 and (expires_at is null or expires_at > clock_timestamp())"
	listValues = `select key, data, version, expires_at from kv
		where key > $2 and key >= $1 and starts_with(key, $1) and (expires_at is null or expires_at > clock_timestamp())
		order by key limit $3`

	lockValues = `select key, version, expires_at is null or expires_at > clock_timestamp() from kv
		where key = any ($1::text[]) order by key for update`
	dropValuesOf = "delete from kv where key = any ($1::text[])"
	// Those that are locked are gone by now, so whatever is in the way was put meanwhile.
	putValues = `insert into kv (key, data, version, expires_at)
		select key, data, nextval('kv_versions'), expires_at from unnest($1::text[], $2::bytea[], $3::timestamptz[]) as u (key, data, expires_at)
		order by key on conflict do nothing`
)

func valueOf(c cells) vedette.Value {
	return vedette.Value{Key: c.text(0), Data: c[1], Version: c.int(2), Expires: c.time(3)}
}

func (k kv) Get(ctx context.Context, key string) (v vedette.Value, err error) {
	err = k.s.use(ctx, func(c *pgx.Conn) error {
		got, err := pipe(ctx, c, with("read value", getValue, []uint32{oidText}, row{}.text(clean(key))))
		if err != nil {
			return err
		}
		if len(got[0].Rows) == 0 {
			return vedette.ErrNotFound
		}
		v = valueOf(got[0].Rows[0])
		return nil
	})
	return v, wrap(fmt.Sprintf("get key %q", key), err)
}

func (k kv) List(ctx context.Context, prefix, after string, n int) (page []vedette.Value, err error) {
	oids, values := []uint32{oidText, oidText, oidInt8}, row{}.text(clean(prefix)).text(clean(after)).int8(int64(n))
	err = k.s.use(ctx, func(c *pgx.Conn) error {
		got, err := pipe(ctx, c, with("read values", listValues, oids, values))
		if err != nil {
			return err
		}
		for _, one := range got[0].Rows {
			page = append(page, valueOf(one))
		}
		return nil
	})
	return page, wrap("list values", err)
}

func (k kv) Put(ctx context.Context, values ...vedette.Value) error {
	return wrap("put values", k.change(ctx, values, false))
}

func (k kv) Delete(ctx context.Context, values ...vedette.Value) error {
	return wrap("delete values", k.change(ctx, values, true))
}

// change puts or deletes values, all or none.
func (k kv) change(ctx context.Context, values []vedette.Value, gone bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	values = slices.SortedStableFunc(slices.Values(values), func(a, b vedette.Value) int { return strings.Compare(a.Key, b.Key) })
	keys := make([]string, len(values))
	puts := rows{oids: []uint32{oidText, oidBytea, oidTime}}
	for i, v := range values {
		keys[i] = v.Key
		puts.add(func(b row) row { return b.text(v.Key).bytes(append([]byte{}, v.Data...)).when(v.Expires) })
	}
	return refused(k.s.update(ctx, func(c *pgx.Conn) error {
		return k.s.hurry(ctx, c, patience, func() error {
			oids, all := []uint32{oidTexts}, row{}.texts(keys)
			got, err := pipe(ctx, c, step{doing: "begin", sql: "begin"}, with("lock values", lockValues, oids, all))
			if err != nil {
				return err
			}
			stored, locked := map[string]int64{}, []string{}
			for _, one := range got[1].Rows {
				one := cells(one)
				if locked = append(locked, one.text(0)); one.bool(2) {
					stored[one.text(0)] = one.int(1)
				}
			}
			if err := allowed(stored, values, gone); err != nil {
				return err
			}
			steps := []step{with("drop values", dropValuesOf, oids, row{}.texts(locked))}
			if !gone {
				steps = append(steps, over("write values", putValues, &puts))
			}
			if got, err = pipe(ctx, c, steps...); err != nil {
				return err
			}
			if !gone && got[1].CommandTag.RowsAffected() < int64(len(values)) {
				return fmt.Errorf("a key was put meanwhile: %w", vedette.ErrConflict)
			}
			_, err = pipe(ctx, c, step{doing: "commit", sql: "commit"})
			return err
		})
	}))
}

// allowed reports ErrConflict unless values, in the order of keys, are of the stored versions.
func allowed(stored map[string]int64, values []vedette.Value, gone bool) error {
	for i, v := range values {
		version, there := stored[v.Key]
		twice := i > 0 && values[i-1].Key == v.Key
		if gone && (!there || twice) {
			continue
		}
		if v.Version != version || twice {
			return fmt.Errorf("key %q: %w", v.Key, vedette.ErrConflict)
		}
	}
	return nil
}
