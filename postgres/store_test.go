package postgres

import (
	"testing"

	"github.com/vedettehq/vedette/storetest"
)

func TestStore(t *testing.T) {
	storetest.TestStore(t, func(t *testing.T) storetest.Store {
		s, _ := openNew(t)
		return s
	})
}

func BenchmarkWrite(b *testing.B) {
	s, _ := openNew(b)
	storetest.BenchmarkWrite(b, s, 20_000)
}
