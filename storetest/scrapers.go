package storetest

import (
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// TestScrapers holds a registry of scrapers to its contract.
func TestScrapers(t *testing.T, open func(t *testing.T) vedette.Scrapers) {
	testRegistry(t, kind[vedette.ScraperID, vedette.Scraper]{
		make: scraper,
		id:   func(s vedette.Scraper) vedette.ScraperID { return s.ID },
		meta: func(s *vedette.Scraper) *vedette.Meta { return &s.Meta },
		change: func(s vedette.Scraper) {
			s.Labels["team"], s.Job.Params[0] = "changed", 'x'
			s.Schedule.At[0] = noon.Add(time.Hour)
			s.Schedule.Calendar[0].Hour[0] = 23
			s.Schedule.Calendar[1].Except = false
		},
	}, open)
}

func scraper(id vedette.ScraperID) vedette.Scraper {
	return vedette.Scraper{
		ID: id,
		Meta: vedette.Meta{
			Name: "scraper " + string(id), Group: "shop", Labels: map[string]string{"team": "web"},
		},
		Schedule: vedette.Schedule{
			Calendar: []vedette.Calendar{{Hour: []int{6, 18}, Weekday: []int{1}}, {Day: []int{-1}, Except: true}},
			At:       []time.Time{noon}, Zone: "Europe/Berlin", From: noon, Jitter: time.Second,
			Overlap: vedette.BufferOne, CatchUp: time.Hour, PauseOnFailure: true,
		},
		Job: vedette.Job{
			Handler: "prices", Params: vedette.Raw(`{"shop": 1}`), Queue: "slow", Priority: vedette.High,
			Timeout: time.Hour, MaxAttempts: 2, RetryAfter: time.Minute, Keep: 50, LimitKey: "shop", Limit: 3,
		},
	}
}
