package memory

import "container/heap"

// A pile keeps things with the first on top. Each knows its place in it, counted from 1, so that it
// can be taken out of the middle; 0 is none.
type pile[T any] struct {
	things things[T]
}

func newPile[T any](before func(a, b T) bool, place func(T) *int) pile[T] {
	return pile[T]{things[T]{before: before, place: place}}
}

func (p *pile[T]) len() int { return len(p.things.all) }

// top returns the first thing, of at least one.
func (p *pile[T]) top() T { return p.things.all[0] }

// put adds x, or moves it to where it belongs by now.
func (p *pile[T]) put(x T) {
	if at := *p.things.place(x); at > 0 {
		heap.Fix(&p.things, at-1)
		return
	}
	heap.Push(&p.things, x)
}

// drop takes x out if it is in.
func (p *pile[T]) drop(x T) {
	if at := *p.things.place(x); at > 0 {
		heap.Remove(&p.things, at-1)
	}
}

// things is the pile as the standard library asks for it.
type things[T any] struct {
	all    []T
	before func(a, b T) bool
	place  func(T) *int
}

func (t *things[T]) Len() int           { return len(t.all) }
func (t *things[T]) Less(i, j int) bool { return t.before(t.all[i], t.all[j]) }

func (t *things[T]) Swap(i, j int) {
	t.all[i], t.all[j] = t.all[j], t.all[i]
	*t.place(t.all[i]), *t.place(t.all[j]) = i+1, j+1
}

func (t *things[T]) Push(x any) {
	t.all = append(t.all, x.(T))
	*t.place(x.(T)) = len(t.all)
}

func (t *things[T]) Pop() any {
	last := len(t.all) - 1
	x := t.all[last]
	t.all[last] = *new(T)
	t.all = t.all[:last]
	*t.place(x) = 0
	return x
}
