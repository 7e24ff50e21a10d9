package schedule_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/schedule"
)

func mistakes(t *testing.T, s vedette.Scraper) vedette.Mistakes {
	t.Helper()
	_, err := schedule.Compile(s)
	m, ok := errors.AsType[vedette.Mistakes](err)
	if !ok {
		t.Fatalf("got %v, want Mistakes", err)
	}
	return m
}

func TestMistakesNameTheKey(t *testing.T) {
	for want, edit := range map[string]func(*vedette.Scraper){
		"id: a scraper needs one":                     func(s *vedette.Scraper) { s.ID = "" },
		"schedule.every: 500ms is not from 1s to 10y": func(s *vedette.Scraper) { s.Schedule.Every = time.Second / 2 },
		"schedule.every: -1m is not from":             func(s *vedette.Scraper) { s.Schedule.Every = -time.Minute },
		"did you mean 1.333s?":                        func(s *vedette.Scraper) { s.Schedule.Every = 4 * time.Second / 3 },
		`schedule.cron: minute: "61" is not in 0-59`:  func(s *vedette.Scraper) { s.Schedule.Cron = "61 * * * *" },
		"schedule.cron: day of month: no such day":    func(s *vedette.Scraper) { s.Schedule.Cron = "0 0 31 2 *" },
		"schedule.calendar[1].day: 32 is not in 1-31": func(s *vedette.Scraper) { s.Schedule.Calendar = []vedette.Calendar{{}, {Day: []int{32}}} },
		"schedule.calendar: no day has such a time":   func(s *vedette.Scraper) { s.Schedule.Calendar = []vedette.Calendar{{Month: []int{2}, Day: []int{30}}} },
		"schedule.calendar: 65 patterns":              func(s *vedette.Scraper) { s.Schedule.Calendar = make([]vedette.Calendar, 1_000_000) },
		"schedule.at: 10001 times are more":           func(s *vedette.Scraper) { s.Schedule.At = make([]time.Time, 10001) },
		"schedule.at[1]: the year 9999": func(s *vedette.Scraper) {
			s.Schedule.At = []time.Time{at("2026-01-01 00:00:00"), at("9999-01-01 00:00:00")}
		},
		"schedule.cron: a schedule has one kind":       func(s *vedette.Scraper) { s.Schedule.Every, s.Schedule.Cron = time.Minute, "* * * * *" },
		`schedule.zone: "Mars" is no time zone (use a`: func(s *vedette.Scraper) { s.Schedule.Zone = "Mars" },
		"schedule.zone: Local is another":              func(s *vedette.Scraper) { s.Schedule.Zone = "Local" },
		"schedule.from: the year 1":                    func(s *vedette.Scraper) { s.Schedule.From = time.Unix(-1e10, 0) },
		"schedule.to: 2026-01-01T00:00:00Z is not af": func(s *vedette.Scraper) {
			s.Schedule.From, s.Schedule.To = at("2026-01-01 00:00:00"), at("2026-01-01 00:00:00")
		},
		"schedule.jitter: -1s is not":                  func(s *vedette.Scraper) { s.Schedule.Jitter = -time.Second },
		`schedule.overlap: "never" is no policy (want`: func(s *vedette.Scraper) { s.Schedule.Overlap = "never" },
		"schedule.catch_up: 100y is not":               func(s *vedette.Scraper) { s.Schedule.CatchUp = 100 * 365 * 24 * time.Hour },
		"schedule.catch_up: 1ms is less than 1s":       func(s *vedette.Scraper) { s.Schedule.CatchUp = time.Millisecond },
		"job.handler: a run needs one":                 func(s *vedette.Scraper) { s.Job.Handler = "" },
		"job.params: they are no JSON":                 func(s *vedette.Scraper) { s.Job.Params = vedette.Raw("{") },
		"job.timeout: -1s":                             func(s *vedette.Scraper) { s.Job.Timeout = -time.Second },
		"job.max_attempts: -1 is negative":             func(s *vedette.Scraper) { s.Job.MaxAttempts = -1 },
		"job.retry_after: -1s":                         func(s *vedette.Scraper) { s.Job.RetryAfter = -time.Second },
		"job.keep: -1":                                 func(s *vedette.Scraper) { s.Job.Keep = -1 },
		"job.unique: it is the schedule's":             func(s *vedette.Scraper) { s.Job.Unique = "x" },
		"job.unique_waiting: it is the":                func(s *vedette.Scraper) { s.Job.UniqueWaiting = "x" },
		"job.limit: a limit goes with its limit_key":   func(s *vedette.Scraper) { s.Job.Limit = 1 },
		"job.limit_key: overlap buffer_all needs":      func(s *vedette.Scraper) { s.Job.Limit, s.Job.LimitKey, s.Schedule.Overlap = 1, "x", vedette.BufferAll },
		"job.limit_key: overlap terminate_other needs": func(s *vedette.Scraper) {
			s.Job.Limit, s.Job.LimitKey, s.Schedule.Overlap = 1, "x", vedette.TerminateOther
		},
		"job.rate_every: a rate goes with its rate_key": func(s *vedette.Scraper) { s.Job.RateEvery = time.Second },
		"job.rate_burst: -2 is negative":                func(s *vedette.Scraper) { s.Job.RateBurst = -2 },
	} {
		s := scraper("s", vedette.Schedule{})
		edit(&s)
		if m := mistakes(t, s); len(m) != 1 || !strings.Contains(m[0].String(), want) {
			t.Errorf("got %v, want one mistake with %q", m, want)
		}
	}
}

func TestAllMistakesAreReportedAtOnce(t *testing.T) {
	m := mistakes(t, vedette.Scraper{
		Schedule: vedette.Schedule{
			Every: 1, Cron: "x", Calendar: []vedette.Calendar{{Hour: []int{24}, Minute: []int{60}}},
			At: []time.Time{at("1969-01-01 00:00:00")}, Zone: "Mars", Jitter: -1, Overlap: "x", CatchUp: -1,
		},
		Job: vedette.Job{Timeout: -1, Unique: "x", UniqueWaiting: "y"},
	})
	var paths []string
	for _, one := range m {
		paths = append(paths, one.Path)
	}
	want := []string{
		"id", "schedule.zone", "schedule.every", "schedule.cron", "schedule.cron",
		"schedule.calendar", "schedule.calendar[0].hour", "schedule.calendar[0].minute",
		"schedule.at", "schedule.at[0]", "schedule.jitter", "schedule.overlap", "schedule.catch_up",
		"job.handler", "job.timeout", "job.unique", "job.unique_waiting",
	}
	if !slices.Equal(paths, want) {
		t.Errorf("got %v\nwant %v", paths, want)
	}
}

// TestHugeListsEndQuickly has as much as a file could hold.
func TestHugeListsEndQuickly(t *testing.T) {
	huge := make([]int, 5_000_000)
	for i := range huge {
		huge[i] = 1 + i%12
	}
	times := make([]time.Time, 10_000)
	for i := range times {
		times[i] = at("2026-01-01 00:00:00").Add(time.Duration(i*7919%10_000) * time.Second)
	}
	began := time.Now()
	due := plan(t, vedette.Schedule{Calendar: []vedette.Calendar{{Month: huge, Day: huge, Minute: huge}}}).Next(at("2026-01-01 00:00:00"))
	if want := at("2026-01-01 00:01:00"); !due.Equal(want) {
		t.Errorf("due at %v, want %v", due, want)
	}
	if got := len(plan(t, vedette.Schedule{At: times}).Upcoming(time.Time{}, 20_000)); got != len(times) {
		t.Errorf("%d due times, want %d", got, len(times))
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(int64(0), "", "", int64(0), int64(0), 0, 0)
	f.Add(int64(time.Hour), "", "", int64(0), int64(1e18), 0, 0)
	f.Add(int64(0), "*/5 2 * * *", "America/New_York", int64(1e18), int64(0), 0, 0)
	f.Add(int64(0), "", "Europe/Berlin", int64(0), int64(0), 31, -1)
	f.Fuzz(func(t *testing.T, every int64, cron, zone string, from, to int64, a, b int) {
		s := vedette.Schedule{Every: time.Duration(every), Cron: cron, Zone: zone, Jitter: time.Duration(from % 1e12)}
		if from != 0 {
			s.From = time.Unix(0, from)
		}
		if to != 0 {
			s.To = time.Unix(to, 0)
		}
		if a != 0 {
			s.Calendar = []vedette.Calendar{{Day: []int{a, b}, Hour: []int{b}}, {Weekday: []int{a}, Minute: []int{b}, Except: true}}
		}
		p, err := schedule.Compile(scraper("s", s))
		if err != nil {
			return
		}
		last := time.Unix(from/2, 0)
		for _, due := range p.Upcoming(last, 3) {
			if !due.After(last) || due.Before(s.From) || !s.To.IsZero() && !due.Before(s.To) || p.RunAt(due).Before(due) {
				t.Fatalf("%+v is due at %v after %v", s, due, last)
			}
			last = due
		}
	})
}
