package memory_test

import (
	"testing"

	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/storetest"
)

func TestQueue(t *testing.T) {
	storetest.TestQueue(t, storetest.Virtual(), func(*testing.T) storetest.QueueStore { return memory.New() })
}

func BenchmarkQueue(b *testing.B) { storetest.BenchmarkQueue(b, memory.New()) }
