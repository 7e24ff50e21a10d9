package memory

import (
	"maps"
	"slices"

	"github.com/vedettehq/vedette"
)

func newScrapers() *registry[vedette.ScraperID, vedette.Scraper] {
	return newRegistry(kind[vedette.ScraperID, vedette.Scraper]{
		name:  "scraper",
		id:    func(s vedette.Scraper) vedette.ScraperID { return s.ID },
		meta:  func(s *vedette.Scraper) *vedette.Meta { return &s.Meta },
		clone: cloneScraper,
	})
}

func cloneScraper(s vedette.Scraper) vedette.Scraper {
	s.Labels = maps.Clone(s.Labels)
	s.Schedule.At = slices.Clone(s.Schedule.At)
	s.Schedule.Calendar = slices.Clone(s.Schedule.Calendar)
	for i, c := range s.Schedule.Calendar {
		for _, part := range []*[]int{&c.Year, &c.Month, &c.Day, &c.Weekday, &c.Hour, &c.Minute, &c.Second} {
			*part = slices.Clone(*part)
		}
		s.Schedule.Calendar[i] = c
	}
	s.Job = cloneJob(s.Job)
	return s
}
