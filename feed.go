package vedette

import (
	"context"
	"time"
)

// A Feed keeps ordered records that can be followed: the log of a job, events, the audit. It is
// safe for concurrent use.
type Feed interface {
	// Append adds entries, all or none, each behind the last of its topic. It reads Topic and
	// Data, and At where it is set. It reports ErrRefused for an entry without a topic, or whose
	// Data is not JSON.
	Append(ctx context.Context, e ...Entry) error
	// Read returns up to n entries of a topic with Seq above after, in their order. It waits
	// until there is one, and returns ctx's error if ctx ends before. Nothing ever shows up
	// behind what was read.
	Read(ctx context.Context, topic string, after int64, n int) ([]Entry, error)
	// Last returns the last n entries of a topic, in their order, without waiting.
	Last(ctx context.Context, topic string, n int) ([]Entry, error)
	// Drop removes topics. One that is appended to later begins anew.
	Drop(ctx context.Context, topics ...string) error
}

// An Entry is one record of a topic.
type Entry struct {
	Topic string    `json:"topic"`
	Seq   int64     `json:"seq"` // from 1 on, without holes
	At    time.Time `json:"at"`
	Data  Raw       `json:"data"`
}

// KV keeps the small things that a part must remember. It is safe for concurrent use.
type KV interface {
	// Get returns a value. It reports ErrNotFound, also for one that has expired.
	Get(ctx context.Context, key string) (Value, error)
	// Put keeps values, all or none. It reports ErrConflict if a Version is not the stored
	// one; 0 is that of a key without a value. Each gets the next Version.
	Put(ctx context.Context, v ...Value) error
	// Delete removes keys by Version, all or none, with the error of Put; one that is gone is no
	// error.
	Delete(ctx context.Context, v ...Value) error
	// List returns up to n values with keys that begin with prefix and lie above after, by key.
	List(ctx context.Context, prefix, after string, n int) ([]Value, error)
}

// A Value is what is kept under a key.
type Value struct {
	Key     string    `json:"key"`
	Data    []byte    `json:"data"`
	Version int64     `json:"version"`
	Expires time.Time `json:"expires,omitzero"` // by the store's clock; zero never
}
