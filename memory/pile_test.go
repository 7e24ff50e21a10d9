package memory

import (
	"math/rand/v2"
	"testing"
)

func TestPileKeepsTheFirstOnTop(t *testing.T) {
	type thing struct{ key, place int }
	r := rand.New(rand.NewPCG(1, 2))
	p := newPile(func(a, b *thing) bool { return a.key < b.key }, func(x *thing) *int { return &x.place })
	in := map[*thing]bool{}
	for range 20_000 {
		x := &thing{key: r.IntN(1000)}
		if old := r.IntN(3); old > 0 && p.len() > 0 {
			if x = p.all[r.IntN(p.len())]; old == 1 {
				p.drop(x)
				p.drop(x)
				delete(in, x)
				x = nil
			} else {
				x.key = r.IntN(1000)
			}
		}
		if x != nil {
			p.put(x)
			in[x] = true
		}
		for i, x := range p.all {
			if !in[x] || x.place != i+1 || i > 0 && x.key < p.all[(i-1)/2].key {
				t.Fatalf("%+v stands at %d of %d", x, i+1, p.len())
			}
		}
		if p.len() != len(in) {
			t.Fatalf("%d in the pile, want %d", p.len(), len(in))
		}
	}
}
