package memory

import (
	"bytes"
	"container/heap"
	"slices"

	"github.com/vedettehq/vedette"
)

// A series is the results of one monitor, by id.
type series struct {
	results []vedette.Result
}

func byID(r vedette.Result, id vedette.ID) int { return bytes.Compare(r.ID[:], id[:]) }

// add says whether r was not there yet.
func (s *series) add(r vedette.Result) bool {
	if n := len(s.results); n == 0 || byID(s.results[n-1], r.ID) < 0 {
		s.results = append(s.results, r)
		return true
	}
	i, found := slices.BinarySearchFunc(s.results, r.ID, byID)
	if !found {
		s.results = slices.Insert(s.results, i, r)
	}
	return !found
}

// in returns the results that span asks for, oldest first.
func (s *series) in(span vedette.Span) []vedette.Result {
	from, to := 0, len(s.results)
	if !span.From.IsZero() {
		from, _ = slices.BinarySearchFunc(s.results, vedette.FirstID(span.From), byID)
	}
	if !span.To.IsZero() {
		to, _ = slices.BinarySearchFunc(s.results, vedette.FirstID(span.To), byID)
	}
	if !span.After.IsZero() {
		i, found := slices.BinarySearchFunc(s.results, span.After, byID)
		switch {
		case span.Newest:
			to = min(to, i)
		case found:
			from = max(from, i+1)
		default:
			from = max(from, i)
		}
	}
	return s.results[from:max(from, to)]
}

// A cursor walks the rest of a series one way.
type cursor struct {
	rest   []vedette.Result
	newest bool
}

func (c *cursor) head() vedette.Result {
	if c.newest {
		return c.rest[len(c.rest)-1]
	}
	return c.rest[0]
}

func (c *cursor) advance() {
	if c.newest {
		c.rest = c.rest[:len(c.rest)-1]
		return
	}
	c.rest = c.rest[1:]
}

// cursors is a heap of cursors that are not at their end, by id.
type cursors []*cursor

func (h cursors) Len() int      { return len(h) }
func (h cursors) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *cursors) Push(x any)   { *h = append(*h, x.(*cursor)) }

func (h cursors) Less(i, j int) bool {
	order := byID(h[i].head(), h[j].head().ID)
	return order < 0 != h[i].newest
}

func (h *cursors) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// merge returns the first n results of all cursors.
func (h *cursors) merge(n int) []vedette.Result {
	heap.Init(h)
	var all []vedette.Result
	for len(all) < n && h.Len() > 0 {
		c := (*h)[0]
		all = append(all, c.head())
		if c.advance(); len(c.rest) == 0 {
			heap.Pop(h)
			continue
		}
		heap.Fix(h, 0)
	}
	return all
}
