package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/vedettehq/vedette/sqlite"
	"github.com/vedettehq/vedette/storetest"
)

// A guest is in this process here, which is the same to SQLite: it has connections of its own.
func TestQueueShared(t *testing.T) {
	both := func(t *testing.T) (owner, guest storetest.QueueStore) {
		path := filepath.Join(t.TempDir(), "vedette.db")
		owner = open(t, path, sqlite.Options{})
		return owner, open(t, path, sqlite.Options{Guest: true})
	}
	t.Run("owner and guest", func(t *testing.T) { storetest.TestQueueShared(t, storetest.Real(200*time.Millisecond), both) })
	t.Run("guest and owner", func(t *testing.T) {
		storetest.TestQueueShared(t, storetest.Real(200*time.Millisecond), func(t *testing.T) (a, b storetest.QueueStore) {
			owner, guest := both(t)
			return guest, owner
		})
	})
}
