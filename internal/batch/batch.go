// Package batch gathers things until sending them together is worth a round trip.
package batch

import (
	"context"
	"io"
	"sync"
	"time"
)

// Limits say when a batch goes out and how much may wait. All are required.
type Limits struct {
	Count int           // a batch holds at most so many,
	Bytes int           // and so many bytes unless it is one thing that is larger,
	Age   time.Duration // and its first thing waits at most so long for others
	// Cap and CapBytes bound what waits: from there the queue is full, until a quarter of it is
	// free again.
	Cap      int
	CapBytes int
}

// A Queue is a line of things that leaves in batches. Any number may add things at once; one
// takes them out.
type Queue[T any] struct {
	limits Limits
	began  time.Time
	more   chan struct{} // tells the taker to look again
	timer  *time.Timer   // the taker's

	mu     sync.Mutex
	items  []item[T] // from head on
	head   int
	bytes  int
	closed bool
	full   bool
}

type item[T any] struct {
	v    T
	size int
	at   time.Duration // since the queue began
}

// New returns an empty Queue.
func New[T any](l Limits) *Queue[T] {
	return &Queue[T]{limits: l, began: time.Now(), more: make(chan struct{}, 1)}
}

// Add puts v of size bytes in, even if the queue is full or closed: it is for what must not be
// lost, by those who ask Full before they make it.
func (q *Queue[T]) Add(v T, size int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items = append(q.items, item[T]{v, size, time.Since(q.began)})
	was := q.bytes
	q.bytes += size
	n := q.len()
	if n >= q.limits.Cap || q.bytes >= q.limits.CapBytes {
		q.full = true
	}
	// The taker sleeps well between the first thing and the one that makes the batch complete.
	if n == 1 || n == q.limits.Count || was < q.limits.Bytes && q.bytes >= q.limits.Bytes || q.closed {
		q.wake()
	}
}

func (q *Queue[T]) wake() {
	select {
	case q.more <- struct{}{}:
	default:
	}
}

// Full reports whether what waits has reached Cap or CapBytes, and has not fallen below three
// quarters of both since.
func (q *Queue[T]) Full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.full
}

// Len returns how many things wait.
func (q *Queue[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.len()
}

func (q *Queue[T]) len() int { return len(q.items) - q.head }

// Take waits for a batch and takes it out, in the order of adding. It reports io.EOF when the
// queue is closed and empty, and ctx's error, taking nothing, if ctx ends first.
func (q *Queue[T]) Take(ctx context.Context) ([]T, error) {
	if q.timer == nil {
		q.timer = time.NewTimer(time.Hour)
	}
	defer q.timer.Stop()
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		batch, wait, err := q.cut()
		if len(batch) > 0 || err != nil {
			return batch, err
		}
		q.timer.Reset(wait)
		select {
		case <-q.more:
		case <-q.timer.C:
		case <-ctx.Done():
		}
	}
}

// cut takes out a batch if one is due, or says how long to wait for it.
func (q *Queue[T]) cut() ([]T, time.Duration, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.len()
	if n == 0 {
		if q.closed {
			return nil, 0, io.EOF
		}
		return nil, time.Hour, nil
	}
	if wait := q.items[q.head].at + q.limits.Age - time.Since(q.began); wait > 0 &&
		n < q.limits.Count && q.bytes < q.limits.Bytes && !q.closed {
		return nil, wait, nil
	}
	batch := make([]T, 0, min(n, q.limits.Count))
	bytes := 0
	for _, it := range q.items[q.head:] {
		if len(batch) == q.limits.Count || len(batch) > 0 && bytes+it.size > q.limits.Bytes {
			break
		}
		batch = append(batch, it.v)
		bytes += it.size
	}
	q.drop(len(batch), bytes)
	return batch, 0, nil
}

// drop forgets the first n things, and gives back the memory that a long line took.
func (q *Queue[T]) drop(n, bytes int) {
	clear(q.items[q.head : q.head+n])
	q.head += n
	q.bytes -= bytes
	if q.len() <= q.head {
		rest := q.items[q.head:]
		if cap(q.items) > 4*(q.limits.Count+len(rest)) {
			q.items = append(make([]item[T], 0, q.limits.Count+len(rest)), rest...)
		} else {
			copy(q.items, rest)
			clear(q.items[len(rest):])
			q.items = q.items[:len(rest)]
		}
		q.head = 0
	}
	if q.full && q.len() < q.limits.Cap*3/4 && q.bytes < q.limits.CapBytes*3/4 {
		q.full = false
	}
}

// Close says that nothing more is to be waited for: Take gives out what is there, then ends.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.closed = true
	q.wake()
}
