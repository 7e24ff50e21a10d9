package postgres

import (
	"testing"
	"time"

	"github.com/vedettehq/vedette/storetest"
)

func TestQueueShared(t *testing.T) {
	storetest.TestQueueShared(t, storetest.Real(400*time.Millisecond), func(t *testing.T) (a, b storetest.QueueStore) {
		first, text := openNew(t)
		return first, openAt(t, text, Options{})
	})
}
