package when_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
	"pgregory.net/rapid"

	"github.com/vedettehq/vedette/when"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func parse(t testing.TB, spec string) when.Cron {
	t.Helper()
	c, err := when.ParseCron(spec)
	if err != nil {
		t.Fatalf("%s: %v", spec, err)
	}
	return c
}

func TestMistakesInCronNameTheField(t *testing.T) {
	for spec, want := range map[string]string{
		"":                  "want 5 fields",
		"* * * *":           "or 6 with the second first, not 4",
		"61 * * * *":        `minute: "61" is not in 0-59`,
		"* 24 * * *":        `hour: "24" is not in 0-23`,
		"* * 0 * *":         `day of month: "0" is not in 1-31`,
		"* * * JANUARY *":   `month: "JANUARY" is not in 1-12 or JAN-DEC`,
		"* * * * 8":         `weekday: "8" is not in 0-7 or SUN-SAT`,
		"* * * * ANF":       `weekday: "ANF" is not in`,
		"60 * * * * *":      `second: "60"`,
		"*/0 * * * *":       `minute: step "0" in "*/0" is not in 1-59`,
		"*/x * * * *":       `minute: step "x"`,
		"1,,2 * * * *":      "minute: a part of the list is empty",
		"0 22-2 * * *":      "hour: range 22-2 goes backwards: did you mean 22-23,0-2?",
		"0 0 * * FRI-MON":   "weekday: range FRI-MON goes backwards: did you mean FRI-6,0-MON?",
		"? * * * *":         `minute: "?"`,
		"* * * ? *":         `month: "?"`,
		"L * * * *":         `minute: "L"`,
		"+5 * * * *":        `minute: "+5"`,
		"0 0 30 2 *":        "day of month: no such day in month 2",
		"0 0 31 4,6,9,11 *": "never due",
		"@every 5m":         "not 2",
		"@noon":             "@noon is unknown: want @hourly",
		"TZ=UTC":            "the zone is no part of the expression",
		"CRON_TZ=UTC 0 * *": "the zone is no part",
	} {
		if _, err := when.ParseCron(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseCron(%q): %v; want an error with %q", spec, err, want)
		}
	}
}

func TestCronIsDue(t *testing.T) {
	const from = "2026-01-15T10:30:30Z" // a Thursday
	for spec, want := range map[string]string{
		"* * * * *":          "2026-01-15T10:31:00Z",
		"*/10 * * * * *":     "2026-01-15T10:30:40Z",
		"15 30 10 * * *":     "2026-01-16T10:30:15Z",
		"30/10 * * * *":      "2026-01-15T10:40:00Z",
		"0 8-12/2 * * *":     "2026-01-15T12:00:00Z",
		"0 2 * * SUN":        "2026-01-18T02:00:00Z",
		"0 2 * * 7":          "2026-01-18T02:00:00Z",
		"0 2 ? * fri-sun":    "2026-01-16T02:00:00Z",
		"0 0 L * *":          "2026-01-31T00:00:00Z",
		"0 0 L feb ?":        "2026-02-28T00:00:00Z",
		"0 0 29 2 *":         "2028-02-29T00:00:00Z",
		"0 0 13 * FRI":       "2026-01-16T00:00:00Z", // either
		"0 0 */20 * FRI":     "2026-05-01T00:00:00Z", // a star: both
		"@hourly":            "2026-01-15T11:00:00Z",
		"@daily":             "2026-01-16T00:00:00Z",
		"@midnight":          "2026-01-16T00:00:00Z",
		"@weekly":            "2026-01-18T00:00:00Z",
		"@monthly":           "2026-02-01T00:00:00Z",
		"@yearly":            "2027-01-01T00:00:00Z",
		"0 0 1,15 JAN,JUL *": "2026-07-01T00:00:00Z",
		"59 59 23 31 12 *":   "2026-12-31T23:59:59Z",
		"29,31 10 15 1 *":    "2026-01-15T10:31:00Z",
		"30 30 10 15 1 *":    "2027-01-15T10:30:30Z", // not at the time itself
	} {
		after, _ := time.Parse(time.RFC3339, from)
		if got := parse(t, spec).Next(after, time.UTC).Format(time.RFC3339); got != want {
			t.Errorf("%s is due at %s, want %s", spec, got, want)
		}
	}
}

// TestCronOverClockChangesDoesAsISCCron is the table of what other parsers get wrong.
func TestCronOverClockChangesDoesAsISCCron(t *testing.T) {
	spring, autumn := "2026-03-08T00:00:00-05:00", "2026-11-01T00:00:00-04:00"
	for _, c := range []struct {
		name, spec, from string
		want             []string
	}{
		{"skipped: once, after the jump", "30 2 * * *", spring, []string{"03-08 03:00 EDT", "03-09 02:30 EDT"}},
		{"skipped twice: once all the same", "0,30 2 * * *", spring, []string{"03-08 03:00 EDT", "03-09 02:00 EDT"}},
		{"skipped and due at the jump: once", "0 2,3 * * *", spring, []string{"03-08 03:00 EDT", "03-09 02:00 EDT"}},
		{"doubled: the first", "30 1 * * *", autumn, []string{"11-01 01:30 EDT", "11-02 01:30 EST"}},
		{"the end of the doubled hour", "0 2 * * *", autumn, []string{"11-01 02:00 EST", "11-02 02:00 EST"}},
		{"every hour, by elapsed time", "0 * * * *", autumn, []string{"11-01 01:00 EDT", "11-01 01:00 EST", "11-01 02:00 EST"}},
		{"every hour in spring", "0 * * * *", spring, []string{"03-08 01:00 EST", "03-08 03:00 EDT"}},
		{"every half hour of one hour", "*/30 1 * * *", autumn, []string{"11-01 01:00 EDT", "11-01 01:30 EDT", "11-01 01:00 EST", "11-01 01:30 EST"}},
	} {
		at, _ := time.Parse(time.RFC3339, c.from)
		for i, want := range c.want {
			at = parse(t, c.spec).Next(at, zone(t, "America/New_York"))
			if got := at.Format("01-02 15:04 MST"); got != want {
				t.Errorf("%s: %s: time %d is %s, want %s", c.name, c.spec, i+1, got, want)
			}
		}
	}
}

// A truth is a cron expression as sets, to try minute by minute.
type truth struct {
	minute, hour, day, weekday map[int]bool // nil is any
}

func draw(t *rapid.T, name string, lo, hi int) map[int]bool {
	if rapid.Bool().Draw(t, name+" any") {
		return nil
	}
	return rapid.MapOfN(rapid.IntRange(lo, hi), rapid.Just(true), 1, 4).Draw(t, name)
}

func (tr truth) spec() string {
	words := make([]string, 0, 5)
	for _, set := range []map[int]bool{tr.minute, tr.hour, tr.day, nil, tr.weekday} {
		var list []string
		for v := range set {
			list = append(list, fmt.Sprint(v))
		}
		if set == nil {
			list = []string{"*"}
		}
		words = append(words, strings.Join(list, ","))
	}
	return strings.Join(words, " ")
}

func (tr truth) holds(civil time.Time) bool {
	in := func(set map[int]bool, v int) bool { return set == nil || set[v] }
	day, weekday := in(tr.day, civil.Day()), in(tr.weekday, int(civil.Weekday()))
	if tr.day != nil && tr.weekday != nil {
		day, weekday = day || weekday, true
	}
	return in(tr.minute, civil.Minute()) && in(tr.hour, civil.Hour()) && day && weekday
}

// due walks the minutes of [from, to) as a clock on the wall would show them.
func (tr truth) due(from, to time.Time, loc *time.Location) (due []time.Time) {
	face := func(t time.Time) time.Time {
		_, offset := t.In(loc).Zone()
		return t.UTC().Add(time.Duration(offset) * time.Second)
	}
	shown := face(from).Add(-time.Minute) // the latest that the clock has shown
	for t := from; t.Before(to); t = t.Add(time.Minute) {
		now := face(t)
		if tr.minute == nil || tr.hour == nil {
			if tr.holds(now) {
				due = append(due, t)
			}
			continue
		}
		fires := false
		for ; shown.Before(now); shown = shown.Add(time.Minute) {
			fires = fires || tr.holds(shown.Add(time.Minute))
		}
		if fires {
			due = append(due, t)
		}
	}
	return due
}

// changes returns the clock changes of 2026, or just a day where there are none.
func changes(loc *time.Location) (at []time.Time) {
	year := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for t := year.In(loc); ; {
		_, end := t.ZoneBounds()
		if end.IsZero() || end.Year() > 2026 {
			break
		}
		at, t = append(at, end), end
	}
	return append(at, year)
}

func TestCronIsDueWhenTheClockSaysSo(t *testing.T) {
	zones := []string{
		"America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago",
		"Africa/Cairo", "Asia/Kolkata", "UTC",
	}
	rapid.Check(t, func(rt *rapid.T) {
		loc := zone(t, rapid.SampledFrom(zones).Draw(rt, "zone"))
		tr := truth{
			minute: draw(rt, "minute", 0, 59), hour: draw(rt, "hour", 0, 4),
			day: draw(rt, "day", 1, 31), weekday: draw(rt, "weekday", 0, 6),
		}
		c := parse(t, tr.spec())
		for _, change := range changes(loc) {
			from, to := change.Add(-26*time.Hour).Truncate(time.Minute), change.Add(26*time.Hour)
			at := from.Add(-time.Second)
			for _, want := range tr.due(from, to, loc) {
				if at = c.Next(at, loc); !at.Equal(want) {
					rt.Fatalf("%s in %s: %v, want %v", tr.spec(), loc, at, want.In(loc))
				}
				if last, ok := c.Last(want.Add(time.Second/2), time.Minute, loc); !ok || !last.Equal(want) {
					rt.Fatalf("%s in %s: last at %v is %v, %v", tr.spec(), loc, want.In(loc), last, ok)
				}
			}
			if at = c.Next(at, loc); at.Before(to) {
				rt.Fatalf("%s in %s: %v is one too many", tr.spec(), loc, at)
			}
		}
	})
}

// TestCronAgreesWithRobfigInUTC takes it as an oracle where it is right: without clock changes
// and without steps from a star beside a weekday.
func TestCronAgreesWithRobfigInUTC(t *testing.T) {
	part := rapid.StringMatching(`([0-9]|1[0-9]|\*|[0-4]-[5-9]|[0-4]-[5-9]/[1-3]|1,3,[5-9])`)
	parser := cron.NewParser(cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	rapid.Check(t, func(rt *rapid.T) {
		words := make([]string, 6)
		for i := range words {
			words[i] = part.Draw(rt, "field")
		}
		spec := strings.Join(words, " ")
		oracle, theirs := parser.Parse(spec)
		c, ours := when.ParseCron(spec)
		if theirs != nil || ours != nil {
			return // which values are allowed has its own table
		}
		at := time.Unix(rapid.Int64Range(0, 1<<32).Draw(rt, "at"), 0).UTC()
		for range 5 {
			want := oracle.Next(at)
			if at = c.Next(at, time.UTC); !at.Equal(want) {
				rt.Fatalf("%s: %v, want %v", spec, at, want)
			}
		}
	})
}

func TestLastIsTheBeginningOfAWindow(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	c := parse(t, "0 2 * * SUN")
	begin := time.Date(2026, 1, 18, 2, 0, 0, 0, berlin)
	for _, x := range []struct {
		at   time.Time
		want bool
	}{
		{begin.Add(-1), false},
		{begin, true},
		{begin.Add(time.Hour), true},
		{begin.Add(2*time.Hour - 1), true},
		{begin.Add(2 * time.Hour), false},
	} {
		got, ok := c.Last(x.at, 2*time.Hour, berlin)
		if ok != x.want || ok && !got.Equal(begin) {
			t.Errorf("last at %v: %v, %v; want %v", x.at, got, ok, x.want)
		}
	}
	if got, _ := parse(t, "* * * * *").Last(begin.Add(59*time.Second), when.Year, berlin); !got.Equal(begin) {
		t.Errorf("last of every minute within a year is %v, want %v", got, begin)
	}
}

func TestTheZeroCronIsNeverDue(t *testing.T) {
	if at := (when.Cron{}).Next(time.Now(), time.UTC); !at.IsZero() {
		t.Errorf("due at %v", at)
	}
}

func FuzzParseCron(f *testing.F) {
	for _, s := range []string{"* * * * *", "*/5 1-5 L JAN,feb MON-FRI", "@daily", "0 0 29 2 *", "TZ=UTC", "1/2 ? * * 7"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := when.ParseCron(s)
		if err != nil {
			return
		}
		at := time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC)
		due := c.Next(at, zone(t, "America/New_York"))
		if !due.IsZero() && !due.After(at) {
			t.Fatalf("%q is due at %v, which is not after %v", s, due, at)
		}
	})
}

func BenchmarkNext(b *testing.B) {
	c, loc := parse(b, "*/5 * * * *"), zone(b, "America/New_York")
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for b.Loop() {
		c.Next(at, loc)
	}
}

func BenchmarkLast(b *testing.B) {
	c, loc := parse(b, "0 2 * * SUN"), zone(b, "Europe/Berlin")
	at := time.Date(2026, 1, 18, 3, 0, 0, 0, loc)
	for b.Loop() {
		c.Last(at, 2*time.Hour, loc)
	}
}
