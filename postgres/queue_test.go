package postgres

import (
	"testing"
	"time"

	"github.com/vedettehq/vedette/storetest"
)

func TestQueue(t *testing.T) {
	storetest.TestQueue(t, storetest.Real(400*time.Millisecond), func(t *testing.T) storetest.QueueStore {
		s, _ := openNew(t)
		return s
	})
}

func BenchmarkQueue(b *testing.B) {
	s, _ := openNew(b)
	storetest.BenchmarkQueue(b, s)
}
