package schedule

import (
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/when"
)

// Names are the names of schedules that [ParseName] knows: Sneakpeek's.
func Names() []string {
	return []string{
		"inactive", "every_second", "every_minute", "every_hour", "every_day", "every_week", "every_month", "crontab",
	}
}

// ParseName returns the schedule that Sneakpeek calls by this name. A month is 30 days there,
// and crontab, of that name alone, has five fields in UTC.
func ParseName(name, crontab string) (vedette.Schedule, error) {
	if (name == "crontab") != (crontab != "") {
		return vedette.Schedule{}, vedette.Mistakes{{
			Path: "schedule_crontab", Text: "goes with the schedule crontab, and only with it", Fix: "set both or none",
		}}
	}
	every, known := map[string]time.Duration{
		"inactive":     0,
		"every_second": time.Second,
		"every_minute": time.Minute,
		"every_hour":   time.Hour,
		"every_day":    when.Day,
		"every_week":   when.Week,
		"every_month":  30 * when.Day,
		"crontab":      0,
	}[name]
	if !known {
		return vedette.Schedule{}, vedette.Mistakes{{
			Path: "schedule", Text: fmt.Sprintf("%q is no schedule", name), Fix: fmt.Sprintf("want one of %v", Names()),
		}}
	}
	return vedette.Schedule{Every: every, Cron: crontab}, nil
}
