package storetest

import (
	"testing"

	"github.com/vedettehq/vedette"
)

// A QueueStore is everything that is kept of scrapers and their jobs, under all its contracts.
type QueueStore interface {
	Jobs() vedette.Jobs
	Queue() vedette.Queue
	Queues() vedette.Queues
	Schedules() vedette.Schedules
	Scrapers() vedette.Scrapers
	Leases() vedette.Leaser
	Feed() vedette.Feed
	KV() vedette.KV
	Close() error
}

// TestQueue runs all suites. Each call of open returns an empty store of its own, whose time is
// that of c, and which it closes with the test.
func TestQueue(t *testing.T, c Clock, open func(t *testing.T) QueueStore) {
	t.Run("Scrapers", func(t *testing.T) {
		TestScrapers(t, func(t *testing.T) vedette.Scrapers { return open(t).Scrapers() })
	})
	t.Run("Held", func(t *testing.T) { testHeld(t, open(t)) })
	for name, cases := range map[string]map[string]func(*desk){
		"Jobs":      jobCases(),
		"Unique":    uniqueCases(),
		"Claim":     claimCases(),
		"Wait":      waitCases(),
		"Finish":    finishCases(),
		"Cancel":    cancelCases(),
		"Beat":      beatCases(),
		"Rescue":    rescueCases(),
		"Race":      raceCases(),
		"Limits":    limitCases(),
		"Inversion": inversionCases(),
		"Schedules": scheduleCases(),
		"Overlap":   overlapCases(),
		"Feed":      feedCases(),
		"KV":        kvCases(),
		"Model":     modelCases(),
	} {
		t.Run(name, func(t *testing.T) {
			for name, test := range cases {
				t.Run(name, func(t *testing.T) {
					c.run(t, func(t *testing.T) { test(newDesk(t, c, open(t))) })
				})
			}
		})
	}
}
