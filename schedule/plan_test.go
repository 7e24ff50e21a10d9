package schedule_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/schedule"
	"github.com/vedettehq/vedette/when"
)

// scraper returns one that compiles.
func scraper(id string, s vedette.Schedule) vedette.Scraper {
	return vedette.Scraper{
		ID: vedette.ScraperID(id), Meta: vedette.Meta{Version: 1},
		Schedule: s, Job: vedette.Job{Handler: "h"},
	}
}

func compile(t testing.TB, s vedette.Scraper) *schedule.Plan {
	t.Helper()
	p, err := schedule.Compile(s)
	if err != nil {
		t.Fatalf("%s: %v", s.ID, err)
	}
	return p
}

func plan(t testing.TB, s vedette.Schedule) *schedule.Plan {
	t.Helper()
	return compile(t, scraper("s", s))
}

// at reads a time as in "2026-01-15 10:30:30".
func at(text string) time.Time {
	t, err := time.Parse(time.DateTime, text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestPlansAreDue(t *testing.T) {
	for name, c := range map[string]struct {
		s    vedette.Schedule
		want []string // after 2026-01-15 10:30:30
	}{
		"by hand": {vedette.Schedule{}, nil},
		"every, with the phase of its id": {
			vedette.Schedule{Every: time.Hour},
			[]string{"2026-01-15 10:47:51.837", "2026-01-15 11:47:51.837", "2026-01-15 12:47:51.837"},
		},
		"cron in its zone": {
			vedette.Schedule{Cron: "0 2 * * *", Zone: "Asia/Tokyo"},
			[]string{"2026-01-15 17:00:00", "2026-01-16 17:00:00", "2026-01-17 17:00:00"},
		},
		"cron with seconds": {
			vedette.Schedule{Cron: "31,33 30 10 15 1 *"},
			[]string{"2026-01-15 10:30:31", "2026-01-15 10:30:33", "2027-01-15 10:30:31"},
		},
		"calendar in its zone": {
			vedette.Schedule{Calendar: []vedette.Calendar{{Day: []int{-1}}}, Zone: "America/New_York"},
			[]string{"2026-01-31 05:00:00", "2026-02-28 05:00:00", "2026-03-31 04:00:00"},
		},
		"calendar with an exception": {
			vedette.Schedule{Calendar: []vedette.Calendar{{Hour: []int{9}}, {Weekday: []int{0, 6}, Hour: []int{9}, Except: true}}},
			[]string{"2026-01-16 09:00:00", "2026-01-19 09:00:00", "2026-01-20 09:00:00"},
		},
		"at, in order, once each, and never before its time": {
			vedette.Schedule{At: []time.Time{at("2026-01-16 00:00:00"), at("2026-01-15 10:30:30"), at("2026-01-15 11:00:00.000000001"), at("2026-01-16 00:00:00"), at("2020-01-01 00:00:00")}},
			[]string{"2026-01-15 11:00:01", "2026-01-16 00:00:00"},
		},
		"from is due, to is not": {
			vedette.Schedule{Cron: "0 * * * *", From: at("2026-01-15 12:00:00"), To: at("2026-01-15 14:00:00")},
			[]string{"2026-01-15 12:00:00", "2026-01-15 13:00:00"},
		},
		"to is over":  {vedette.Schedule{Every: time.Minute, To: at("2026-01-01 00:00:00")}, nil},
		"every month": {vedette.Schedule{Every: 30 * when.Day, From: at("2027-01-01 00:00:00")}, []string{"2027-01-25 22:22:03.04", "2027-02-24 22:22:03.04", "2027-03-26 22:22:03.04"}},
	} {
		var got []string
		for _, due := range plan(t, c.s).Upcoming(at("2026-01-15 10:30:30"), 3) {
			got = append(got, due.Format("2006-01-02 15:04:05.999999999"))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// TestNextIsStableForAnyTime has times that no store would give, and is about the end of time.
func TestNextIsStableForAnyTime(t *testing.T) {
	for name, s := range map[string]vedette.Schedule{
		"every":    {Every: time.Minute},
		"cron":     {Cron: "* * * * *"},
		"calendar": {Calendar: []vedette.Calendar{{}}},
		"at":       {At: []time.Time{at("2026-01-01 00:00:00")}},
	} {
		p := plan(t, s)
		if got := p.Next(time.Time{}); got.Year() < 1970 || got.Year() > 2026 {
			t.Errorf("%s: the first due time is %v", name, got)
		}
		if got := p.Next(at("9999-12-31 00:00:00")); !got.IsZero() {
			t.Errorf("%s: due at %v", name, got)
		}
		if got := p.Next(at("2025-12-31 23:59:59").In(time.FixedZone("", 3600))); got.Location() != time.UTC {
			t.Errorf("%s: due at %v, want it in UTC", name, got)
		}
	}
}

func TestBeatsSpreadOverTheInterval(t *testing.T) {
	var quarters [4]int
	began := at("2026-01-15 00:00:00")
	for i := range 4000 {
		p := compile(t, scraper(string(rune('A'+i%26))+string(rune('0'+i/26)), vedette.Schedule{Every: time.Minute}))
		due := p.Next(began)
		if due.Nanosecond()%int(time.Millisecond) != 0 {
			t.Fatalf("%v is no whole millisecond", due)
		}
		quarters[due.Sub(began)%time.Minute/(15*time.Second)]++
	}
	for _, n := range quarters {
		if n < 850 || n > 1150 {
			t.Errorf("quarters hold %v, want about 1000 each", quarters)
		}
	}
}

func TestJitterFollowsFromScraperAndTime(t *testing.T) {
	s := vedette.Schedule{Cron: "0,1 * * * *", Jitter: 10 * time.Minute}
	one, same, other := compile(t, scraper("a", s)), compile(t, scraper("a", s)), compile(t, scraper("b", s))
	short, long, differ := time.Duration(0), time.Duration(0), 0
	due := one.Upcoming(at("2026-01-15 00:30:00"), 2000)
	for i, d := range due[:len(due)-1] {
		run := one.RunAt(d)
		if !run.Equal(same.RunAt(d)) {
			t.Fatalf("the run for %v begins at %v and at %v", d, run, same.RunAt(d))
		}
		if !other.RunAt(d).Equal(run) {
			differ++
		}
		if run.Before(d) || !run.Before(due[i+1]) {
			t.Fatalf("the run for %v begins at %v, want it from then and before %v", d, run, due[i+1])
		}
		if d.Minute() == 0 {
			short = max(short, run.Sub(d))
		} else {
			long = max(long, run.Sub(d))
		}
	}
	if short > time.Minute || short < 50*time.Second || long > 10*time.Minute || long < 9*time.Minute {
		t.Errorf("runs are delayed by up to %v and %v, want nearly 1m and 10m", short, long)
	}
	if differ < 1900 {
		t.Errorf("two scrapers differ at %d of 2000 times", differ)
	}
	if d := due[0]; !plan(t, vedette.Schedule{Cron: s.Cron}).RunAt(d).Equal(d) {
		t.Error("delayed without jitter")
	}
}

// TestDueTimesAreApart is what lets every store keep them apart.
func TestDueTimesAreApart(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		began := time.Unix(0, rapid.Int64Range(0, 1<<61).Draw(rt, "began")).UTC()
		var list []time.Time
		for _, d := range rapid.SliceOfN(rapid.Int64Range(0, int64(time.Minute)), 1, 40).Draw(rt, "at") {
			list = append(list, began.Add(time.Duration(d)))
		}
		for _, s := range []vedette.Schedule{
			{Every: time.Duration(rapid.Int64Range(1000, 1e7).Draw(rt, "every")) * time.Millisecond},
			{Cron: "*/" + rapid.StringMatching("[1-9]").Draw(rt, "step") + " * * * * *"},
			{Calendar: []vedette.Calendar{{Second: rapid.SliceOfN(rapid.IntRange(0, 59), 1, 5).Draw(rt, "second")}}},
			{At: list},
		} {
			p := compile(t, scraper(rapid.String().Draw(rt, "id")+"x", s))
			last := began.Add(-time.Nanosecond)
			for i, due := range p.Upcoming(last, 50) {
				if !due.After(last) || i > 0 && due.Sub(last) < time.Second || due.UnixNano()%1e6 != 0 {
					rt.Fatalf("%+v: due at %v and at %v", s, last, due)
				}
				last = due
			}
		}
	})
}

func TestNamesAreSneakpeeks(t *testing.T) {
	for name, want := range map[string]vedette.Schedule{
		"inactive":     {},
		"every_second": {Every: time.Second},
		"every_minute": {Every: time.Minute},
		"every_hour":   {Every: time.Hour},
		"every_day":    {Every: 24 * time.Hour},
		"every_week":   {Every: 168 * time.Hour},
		"every_month":  {Every: 720 * time.Hour},
		"crontab":      {Cron: "0 2 * * MON"},
	} {
		got, err := schedule.ParseName(name, want.Cron)
		if err != nil || got.Every != want.Every || got.Cron != want.Cron {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		plan(t, got)
		if !slices.Contains(schedule.Names(), name) {
			t.Errorf("%s is not among %v", name, schedule.Names())
		}
	}
	for _, wrong := range [][2]string{{"crontab", ""}, {"every_day", "0 2 * * *"}, {"every_fortnight", ""}, {"", ""}} {
		if got, err := schedule.ParseName(wrong[0], wrong[1]); err == nil {
			t.Errorf("%q: %+v, want a mistake", wrong, got)
		}
	}
}
