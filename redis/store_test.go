package redis

import (
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/storetest"
)

func TestQueue(t *testing.T) {
	storetest.TestQueue(t, storetest.Real(200*time.Millisecond), func(t *testing.T) storetest.QueueStore { return openNew(t) })
}

func TestLeaser(t *testing.T) {
	storetest.TestLeaser(t, func(t *testing.T) vedette.Leaser { return openNew(t).Leases() })
}

func TestMonitors(t *testing.T) {
	storetest.TestMonitors(t, func(t *testing.T) vedette.Monitors { return openNew(t).Monitors() })
}
