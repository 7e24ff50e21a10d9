package redis

import (
	"context"
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
)

var _ vedette.KV = kv{}

// kv keeps small values.
type kv struct{ s *Store }

func valueOf(key, text string) (vedette.Value, error) {
	r := reader{rest: text}
	v := vedette.Value{Key: key, Version: r.int(8), Expires: r.time(), Data: []byte(r.rest)}
	if r.err != nil {
		return vedette.Value{}, fmt.Errorf("stored value of %q cannot be read", key)
	}
	return v, nil
}

func expired(v vedette.Value, now time.Time) bool {
	return !v.Expires.IsZero() && !v.Expires.After(now)
}

func (k kv) Get(ctx context.Context, key string) (vedette.Value, error) {
	pairs, now, err := k.s.page(ctx, "kvkeys", "kv", "["+key, "["+key, 1)
	if err == nil && len(pairs) == 0 {
		err = vedette.ErrNotFound
	}
	if err != nil {
		return vedette.Value{}, fmt.Errorf("key %q: %w", key, err)
	}
	v, err := valueOf(key, pairs[1])
	if err == nil && expired(v, now) {
		return vedette.Value{}, fmt.Errorf("key %q: %w", key, vedette.ErrNotFound)
	}
	return v, err
}

func (k kv) Put(ctx context.Context, values ...vedette.Value) error {
	return k.change(ctx, "PUT", values)
}

func (k kv) Delete(ctx context.Context, values ...vedette.Value) error {
	return k.change(ctx, "DELETE", values)
}

func (k kv) change(ctx context.Context, verb string, values []vedette.Value) error {
	args := []any{verb}
	for _, v := range values {
		args = append(args, v.Key, appendInt(nil, v.Version), appendTime(nil, v.Expires), v.Data)
	}
	if _, err := k.s.call(ctx, "kv", args...); err != nil {
		return fmt.Errorf("change values: %w", err)
	}
	return nil
}

func (k kv) List(ctx context.Context, prefix, after string, n int) (page []vedette.Value, err error) {
	from := "[" + prefix
	if after >= prefix {
		from = "(" + after
	}
	for len(page) < n {
		ask := min(n-len(page), pieceJobs)
		pairs, now, err := k.s.page(ctx, "kvkeys", "kv", from, behind(prefix), ask)
		if err != nil {
			return nil, fmt.Errorf("list values: %w", err)
		}
		for i := 0; i+1 < len(pairs); i += 2 {
			v, err := valueOf(pairs[i], pairs[i+1])
			if err != nil {
				return nil, err
			}
			if from = "(" + v.Key; !expired(v, now) {
				page = append(page, v)
			}
		}
		if len(pairs) < 2*ask {
			break
		}
	}
	return page, nil
}
