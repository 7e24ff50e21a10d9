package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/vedettehq/vedette/sqlite"
	"github.com/vedettehq/vedette/storetest"
)

func TestQueue(t *testing.T) {
	storetest.TestQueue(t, storetest.Virtual(), func(t *testing.T) storetest.QueueStore {
		return open(t, filepath.Join(t.TempDir(), "vedette.db"), sqlite.Options{})
	})
}

func BenchmarkQueue(b *testing.B) {
	storetest.BenchmarkQueue(b, open(b, filepath.Join(b.TempDir(), "vedette.db"), sqlite.Options{}))
}
