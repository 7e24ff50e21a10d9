package memory

// A pile is a heap: it keeps things with the first on top. Each knows its place in it, counted from
// 1, so that it can be taken out of the middle; 0 is none.
type pile[T any] struct {
	all    []T
	before func(a, b T) bool
	place  func(T) *int
}

func newPile[T any](before func(a, b T) bool, place func(T) *int) pile[T] {
	return pile[T]{before: before, place: place}
}

func (p *pile[T]) len() int { return len(p.all) }

// top returns the first thing, of at least one.
func (p *pile[T]) top() T { return p.all[0] }

// put adds x, or moves it to where it belongs by now.
func (p *pile[T]) put(x T) {
	at := *p.place(x) - 1
	if at < 0 {
		at = len(p.all)
		p.all = append(p.all, x)
	}
	p.settle(at, x)
}

// drop takes x out if it is in.
func (p *pile[T]) drop(x T) {
	at := *p.place(x) - 1
	if at < 0 {
		return
	}
	*p.place(x) = 0
	end := len(p.all) - 1
	last := p.all[end]
	p.all[end] = *new(T)
	p.all = p.all[:end]
	if at < end {
		p.settle(at, last)
	}
}

// settle puts x where it belongs, given that there is a gap at at. The gap sinks to the bottom
// first and x rises from there: most that come to fill one belong far down, so that this compares
// half as much as to let them sink.
func (p *pile[T]) settle(at int, x T) {
	for down := 2*at + 1; down < len(p.all); down = 2*at + 1 {
		if right := down + 1; right < len(p.all) && p.before(p.all[right], p.all[down]) {
			down = right
		}
		p.set(at, p.all[down])
		at = down
	}
	for at > 0 && p.before(x, p.all[(at-1)/2]) {
		p.set(at, p.all[(at-1)/2])
		at = (at - 1) / 2
	}
	p.set(at, x)
}

func (p *pile[T]) set(at int, x T) {
	p.all[at] = x
	*p.place(x) = at + 1
}
