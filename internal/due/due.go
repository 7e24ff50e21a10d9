// Package due keeps things in the order of the times at which they are due.
package due

import "time"

// A Heap gives the thing that is due first. Each thing is in it at most once. Its operations
// take O(log n), and allocate only when it grows. The zero Heap is empty and ready; it is not
// safe for concurrent use.
type Heap[K comparable] struct {
	items []item[K]
	index map[K]int32 // where each thing stands in items
}

// An item holds its time as nanoseconds since 1970, a third of a time.Time.
type item[K comparable] struct {
	at  int64
	key K
}

// Len returns how many things there are.
func (h *Heap[K]) Len() int { return len(h.items) }

// Set makes key due at the time at, whether it is there already or not.
func (h *Heap[K]) Set(key K, at time.Time) {
	if h.index == nil {
		h.index = make(map[K]int32)
	}
	it := item[K]{at.UnixNano(), key}
	i, ok := h.index[key]
	if !ok {
		i = int32(len(h.items)) //nolint:gosec // memory ends long before
		h.items = append(h.items, it)
		h.index[key] = i
	}
	h.items[i] = it
	h.fix(int(i))
}

// At returns when key is due, and false if it is not there.
func (h *Heap[K]) At(key K) (time.Time, bool) {
	i, ok := h.index[key]
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(0, h.items[i].at), true
}

// Remove takes key out, if it is there.
func (h *Heap[K]) Remove(key K) {
	i, ok := h.index[key]
	if !ok {
		return
	}
	last := len(h.items) - 1
	moved := h.items[last]
	h.items[last] = item[K]{}
	h.items = h.items[:last]
	delete(h.index, key)
	if int(i) < last {
		h.items[i] = moved
		h.fix(int(i))
	}
}

// Peek returns what is due first, and false if there is nothing.
func (h *Heap[K]) Peek() (key K, at time.Time, ok bool) {
	if len(h.items) == 0 {
		return key, at, false
	}
	return h.items[0].key, time.Unix(0, h.items[0].at), true
}

// Pop takes out what is due first, and returns false if there is nothing.
func (h *Heap[K]) Pop() (key K, at time.Time, ok bool) {
	if key, at, ok = h.Peek(); ok {
		h.Remove(key)
	}
	return key, at, ok
}

// fix moves the item at i to where its time belongs. Others step aside one by one, so that each
// step writes the index once.
func (h *Heap[K]) fix(i int) {
	it := h.items[i]
	for i > 0 {
		up := (i - 1) / 2
		if h.items[up].at <= it.at {
			break
		}
		h.put(i, h.items[up])
		i = up
	}
	for {
		c := 2*i + 1
		if c+1 < len(h.items) && h.items[c+1].at < h.items[c].at {
			c++
		}
		if c >= len(h.items) || h.items[c].at >= it.at {
			break
		}
		h.put(i, h.items[c])
		i = c
	}
	h.put(i, it)
}

func (h *Heap[K]) put(i int, it item[K]) {
	h.items[i] = it
	h.index[it.key] = int32(i) //nolint:gosec // as in Set
}
