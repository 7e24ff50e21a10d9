package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/vedettehq/vedette/sqlite"
	"github.com/vedettehq/vedette/storetest"
)

// open returns the store of path, which is closed with the test.
func open(t testing.TB, path string, o sqlite.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	storetest.TestStore(t, func(t *testing.T) storetest.Store {
		return open(t, filepath.Join(t.TempDir(), "vedette.db"), sqlite.Options{})
	})
}

func BenchmarkWrite(b *testing.B) {
	storetest.BenchmarkWrite(b, open(b, filepath.Join(b.TempDir(), "vedette.db"), sqlite.Options{}), 20_000)
}
