package schedule_test

import (
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

func BenchmarkNext(b *testing.B) {
	times := make([]time.Time, 1000)
	for i := range times {
		times[i] = at("2026-01-01 00:00:00").Add(time.Duration(i) * time.Hour)
	}
	for name, s := range map[string]vedette.Schedule{
		"every": {Every: time.Minute},
		"cron":  {Cron: "*/5 * * * *", Zone: "America/New_York"},
		"daily": {Cron: "30 2 * * MON-FRI", Zone: "Europe/Berlin"},
		"calendar": {Zone: "Europe/Berlin", Calendar: []vedette.Calendar{
			{Weekday: []int{1, 2, 3, 4, 5}, Hour: []int{8, 12, 18}},
			{Month: []int{12}, Day: []int{25, 26}, Hour: []int{8, 12, 18}, Except: true},
		}},
		"at": {At: times},
	} {
		b.Run(name, func(b *testing.B) {
			p, now := plan(b, s), at("2026-01-15 10:30:30")
			for b.Loop() {
				p.Next(now)
			}
		})
	}
}

func BenchmarkDecide(b *testing.B) {
	now := at("2026-01-15 10:00:01")
	for name, c := range map[string]struct {
		live []vedette.Job
		at   time.Time
	}{
		"not due": {nil, now.Add(time.Hour)},
		"skip":    {[]vedette.Job{job(1, vedette.JobStarted)}, now.Add(-time.Second)},
		"fire":    {nil, now.Add(-time.Second)},
	} {
		b.Run(name, func(b *testing.B) {
			p := plan(b, vedette.Schedule{Cron: "*/5 * * * *", Zone: "America/New_York", Jitter: time.Minute})
			was := vedette.Cursor{Scraper: "s", Version: 1, At: c.at, Live: c.live}
			for b.Loop() {
				p.Decide(was, now)
			}
		})
	}
}
