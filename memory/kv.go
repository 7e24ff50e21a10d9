package memory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
)

var _ vedette.KV = (*kv)(nil)

// kv keeps small values. Versions are counted over all keys, so that a key whose value is gone
// leaves nothing behind and still gets none of its old versions again.
type kv struct {
	mu      sync.Mutex
	values  map[string]vedette.Value
	version int64
	sweepAt int // how many values there are when those that expired are looked for
}

func newKV() *kv { return &kv{values: map[string]vedette.Value{}} }

// get returns a value that has not expired.
func (k *kv) get(key string, now time.Time) (vedette.Value, bool) {
	v, ok := k.values[key]
	return v, ok && !expired(v, now)
}

func expired(v vedette.Value, now time.Time) bool {
	return !v.Expires.IsZero() && !v.Expires.After(now)
}

func (k *kv) Get(_ context.Context, key string) (vedette.Value, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, ok := k.get(key, time.Now())
	if !ok {
		return vedette.Value{}, fmt.Errorf("key %q: %w", key, vedette.ErrNotFound)
	}
	v.Data = slices.Clone(v.Data)
	return v, nil
}

func (k *kv) Put(ctx context.Context, values ...vedette.Value) error {
	return k.change(ctx, values, false)
}

func (k *kv) Delete(ctx context.Context, values ...vedette.Value) error {
	return k.change(ctx, values, true)
}

// change puts or deletes values, all or none.
func (k *kv) change(ctx context.Context, values []vedette.Value, gone bool) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("change values: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	seen := map[string]bool{}
	for _, v := range values {
		old, there := k.get(v.Key, now)
		if gone && (!there || seen[v.Key]) {
			continue
		}
		if there && v.Version != old.Version || !there && v.Version != 0 || seen[v.Key] {
			return fmt.Errorf("key %q: %w", v.Key, vedette.ErrConflict)
		}
		seen[v.Key] = true
	}
	for _, v := range values {
		delete(k.values, v.Key)
		if !gone {
			k.version++
			v.Version, v.Data, v.Expires = k.version, slices.Clone(v.Data), stamp(v.Expires)
			k.values[v.Key] = v
		}
	}
	k.sweep(now)
	return nil
}

// sweep drops what has expired, each time that the values have doubled.
func (k *kv) sweep(now time.Time) {
	if len(k.values) < k.sweepAt {
		return
	}
	maps.DeleteFunc(k.values, func(_ string, v vedette.Value) bool { return expired(v, now) })
	k.sweepAt = 2*len(k.values) + 1000
}

func (k *kv) List(_ context.Context, prefix, after string, n int) ([]vedette.Value, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	var page []vedette.Value
	for v := range maps.Values(k.values) {
		if strings.HasPrefix(v.Key, prefix) && v.Key > after && !expired(v, now) {
			page = append(page, v)
		}
	}
	slices.SortFunc(page, func(a, b vedette.Value) int { return cmp.Compare(a.Key, b.Key) })
	page = page[:min(n, len(page))]
	for i := range page {
		page[i].Data = slices.Clone(page[i].Data)
	}
	return page, nil
}
