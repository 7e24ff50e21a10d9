package postgres

import "github.com/vedettehq/vedette"

// Monitors returns the registry of monitors.
func (s *Store) Monitors() vedette.Monitors {
	return registry[vedette.MonitorID, vedette.Monitor]{s, kind[vedette.MonitorID, vedette.Monitor]{
		name: "monitor", table: "monitors", rev: "rev",
		id:   func(m *vedette.Monitor) vedette.MonitorID { return m.ID },
		meta: func(m *vedette.Monitor) *vedette.Meta { return &m.Meta },
		raw:  func(m *vedette.Monitor) *vedette.Raw { return &m.Probe },
	}}
}

// Scrapers returns the registry of scrapers.
func (s *Store) Scrapers() vedette.Scrapers {
	return registry[vedette.ScraperID, vedette.Scraper]{s, kind[vedette.ScraperID, vedette.Scraper]{
		name: "scraper", table: "scrapers", rev: "scrapers_rev",
		id:   func(s *vedette.Scraper) vedette.ScraperID { return s.ID },
		meta: func(s *vedette.Scraper) *vedette.Meta { return &s.Meta },
		raw:  func(s *vedette.Scraper) *vedette.Raw { return &s.Job.Params },
	}}
}
