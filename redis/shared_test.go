package redis

import (
	"testing"
	"time"

	"github.com/vedettehq/vedette/storetest"
)

func TestQueueShared(t *testing.T) {
	storetest.TestQueueShared(t, storetest.Real(200*time.Millisecond), func(t *testing.T) (a, b storetest.QueueStore) {
		text := place(t)
		return openAt(t, text, Options{}), openAt(t, text, Options{})
	})
}
