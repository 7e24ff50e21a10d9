package when_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vedettehq/vedette/when"
)

func calendar(t testing.TB, patterns ...when.Pattern) *when.Calendar {
	t.Helper()
	c, err := when.NewCalendar(patterns...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// span lists the values from lo to hi.
func span(lo, hi int) (list []int) {
	for v := lo; v <= hi; v++ {
		list = append(list, v)
	}
	return list
}

func TestCalendarIsDue(t *testing.T) {
	weekdays := span(1, 5)
	for name, c := range map[string]struct {
		patterns []when.Pattern
		want     []string // after Thursday 2026-01-15 10:30:30
	}{
		"empty is midnight of any day": {
			[]when.Pattern{{}},
			[]string{"2026-01-16T00:00:00Z", "2026-01-17T00:00:00Z"},
		},
		"the last of the month": {
			[]when.Pattern{{Day: []int{-1}, Hour: []int{12}}},
			[]string{"2026-01-31T12:00:00Z", "2026-02-28T12:00:00Z", "2026-03-31T12:00:00Z"},
		},
		"the last and the 30th are one where they are": {
			[]when.Pattern{{Day: []int{-1, 30}, Month: []int{4, 5}}},
			[]string{"2026-04-30T00:00:00Z", "2026-05-30T00:00:00Z", "2026-05-31T00:00:00Z"},
		},
		"a day that is both": {
			[]when.Pattern{{Day: []int{13}, Weekday: []int{5}}},
			[]string{"2026-02-13T00:00:00Z", "2026-03-13T00:00:00Z", "2026-11-13T00:00:00Z"},
		},
		"a Monday that is a leap day": {
			[]when.Pattern{{Month: []int{2}, Day: []int{29}, Weekday: []int{1}}},
			[]string{"2044-02-29T00:00:00Z", "2072-02-29T00:00:00Z", "2112-02-29T00:00:00Z"},
		},
		"working days but for holidays": {
			[]when.Pattern{
				{Weekday: weekdays, Hour: []int{9}},
				{Month: []int{1}, Day: []int{19, 21}, Hour: []int{9}, Except: true},
			},
			[]string{"2026-01-16T09:00:00Z", "2026-01-20T09:00:00Z", "2026-01-22T09:00:00Z"},
		},
		"an exception takes out what it names and no more": {
			[]when.Pattern{
				{Hour: []int{10}, Minute: []int{30, 31}, Second: []int{0, 31}},
				{Hour: []int{10}, Minute: []int{31}, Except: true},
			},
			[]string{"2026-01-15T10:30:31Z", "2026-01-15T10:31:31Z", "2026-01-16T10:30:00Z"},
		},
		"two patterns, in order": {
			[]when.Pattern{{Hour: []int{18}}, {Hour: []int{12}, Weekday: []int{4}}},
			[]string{"2026-01-15T12:00:00Z", "2026-01-15T18:00:00Z", "2026-01-16T18:00:00Z"},
		},
		"over and done": {
			[]when.Pattern{{Year: []int{2025, 2027}, Month: []int{12}, Day: []int{-1}, Hour: []int{23}, Minute: []int{59}, Second: []int{59}}},
			[]string{"2027-12-31T23:59:59Z", "0001-01-01T00:00:00Z"},
		},
		"a year far off": {
			[]when.Pattern{{Year: []int{2225}}},
			[]string{"2225-01-01T00:00:00Z", "2225-01-02T00:00:00Z"},
		},
	} {
		at := time.Date(2026, 1, 15, 10, 30, 30, 0, time.UTC)
		for i, want := range c.want {
			at = calendar(t, c.patterns...).Next(at, time.UTC)
			if got := at.Format(time.RFC3339); got != want {
				t.Errorf("%s: time %d is %s, want %s", name, i+1, got, want)
				break
			}
		}
	}
}

func TestMistakesInCalendarsNameThePart(t *testing.T) {
	_, err := when.NewCalendar(
		when.Pattern{Year: []int{26}, Month: []int{1, 13}, Day: []int{0}, Weekday: []int{7}},
		when.Pattern{},
		when.Pattern{Hour: []int{24}, Minute: []int{60, 61}, Second: []int{-1}},
	)
	want := when.PatternErrors{
		{0, "year", "26 is not in 1970-2225"},
		{0, "month", "13 is not in 1-12"},
		{0, "day", "0 is not in 1-31, or -1 for the last"},
		{0, "weekday", "7 is not in 0-6: Sunday is 0"},
		{2, "hour", "24 is not in 0-23"},
		{2, "minute", "60 is not in 0-59"},
		{2, "second", "-1 is not in 0-59"},
	}
	if got, _ := errors.AsType[when.PatternErrors](err); !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

// TestHostileCalendarsEndQuickly has patterns that leave nothing, or next to nothing.
func TestHostileCalendarsEndQuickly(t *testing.T) {
	all := when.Pattern{Hour: span(0, 23), Minute: span(0, 59), Second: span(0, 59)}
	halves := [2]when.Pattern{all, all}
	halves[0].Second, halves[1].Second = span(0, 29), span(30, 59)
	halves[0].Except, halves[1].Except = true, true
	everyDayAnother := []when.Pattern{all, halves[0], halves[1]}
	for i := range when.MaxPatterns - 3 {
		p := all
		for v := range 31 {
			if v>>(i%5)&1 == 0 {
				p.Day = append(p.Day, v+1)
			}
		}
		p.Year, p.Month = span(1970+i, 2225-i), span(1, 1+i%12)
		everyDayAnother = append(everyDayAnother, p)
	}
	for name, patterns := range map[string][]when.Pattern{
		"no pattern":         {},
		"no such day":        {{Month: []int{2}, Day: []int{30}}},
		"only exceptions":    {{Except: true}},
		"nothing is left":    {all, halves[0], halves[1]},
		"nothing, by halves": everyDayAnother,
		"too many":           make([]when.Pattern, when.MaxPatterns+1),
		"no leap day then":   {{Year: []int{2100}, Month: []int{2}, Day: []int{29}}},
	} {
		began := time.Now()
		_, err := when.NewCalendar(patterns...)
		if err == nil || !strings.Contains(err.Error(), "never due") && !strings.Contains(err.Error(), "more than 64") {
			t.Errorf("%s: %v, want it never due, or too many", name, err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
	rare := calendar(t, all, halves[0], when.Pattern{Hour: span(0, 23), Minute: span(0, 59), Second: span(30, 58), Except: true},
		when.Pattern{Hour: span(0, 22), Minute: span(0, 59), Second: []int{59}, Except: true},
		when.Pattern{Hour: []int{23}, Minute: span(0, 58), Second: []int{59}, Except: true})
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if got, want := rare.Next(at, time.UTC), at.Add(when.Day-time.Second); !got.Equal(want) {
		t.Errorf("what little is left is due at %v, want %v", got, want)
	}
}

// TestCalendarIsDueAsTheClockGoes walks the minutes around clock changes as a clock on the wall
// would show them: what it jumps over is due at the jump, what it shows again is not.
func TestCalendarIsDueAsTheClockGoes(t *testing.T) {
	zones := []string{
		"America/New_York", "America/St_Johns", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago",
		"Africa/Cairo", "Asia/Beirut", "America/Havana", "Antarctica/Troll", "Asia/Kolkata", "UTC",
	}
	rapid.Check(t, func(rt *rapid.T) {
		loc := zone(t, rapid.SampledFrom(zones).Draw(rt, "zone"))
		patterns := make([]when.Pattern, rapid.IntRange(1, 3).Draw(rt, "patterns"))
		for i := range patterns {
			patterns[i] = when.Pattern{
				Hour: pick(rt, "hour", 0, 4), Minute: pick(rt, "minute", 0, 59),
				Day: pick(rt, "day", 1, 31), Weekday: pick(rt, "weekday", 0, 6), Except: i == 2,
			}
		}
		c, err := when.NewCalendar(patterns...)
		if err != nil {
			return // the exception took it all
		}
		for _, change := range changes(loc) {
			from, to := change.Add(-26*time.Hour).Truncate(time.Minute), change.Add(26*time.Hour)
			at := from.Add(-time.Second)
			for _, want := range shown(from, to, loc, func(face time.Time) bool { return holds(patterns, face) }) {
				if at = c.Next(at, loc); !at.Equal(want) {
					rt.Fatalf("%v in %s: %v, want %v", patterns, loc, at, want.In(loc))
				}
			}
			if at = c.Next(at, loc); !at.IsZero() && at.Before(to) {
				rt.Fatalf("%v in %s: %v is one too many", patterns, loc, at)
			}
		}
	})
}

func pick(t *rapid.T, name string, lo, hi int) []int {
	return rapid.SliceOfNDistinct(rapid.IntRange(lo, hi), 0, 4, rapid.ID[int]).Draw(t, name)
}

func holds(patterns []when.Pattern, face time.Time) bool {
	in := false
	for _, p := range patterns {
		listed := func(list []int, v int) bool { return len(list) == 0 || slices.Contains(list, v) }
		if listed(p.Day, face.Day()) && listed(p.Weekday, int(face.Weekday())) &&
			slices.Contains(append(zeroed(p.Hour), p.Hour...), face.Hour()) &&
			slices.Contains(append(zeroed(p.Minute), p.Minute...), face.Minute()) {
			if p.Except {
				return false
			}
			in = true
		}
	}
	return in
}

func zeroed(list []int) []int {
	if len(list) == 0 {
		return []int{0}
	}
	return nil
}

// shown returns the minutes of [from, to) at which a clock first shows, or jumps over, a civil
// time that holds.
func shown(from, to time.Time, loc *time.Location, holds func(time.Time) bool) (due []time.Time) {
	face := func(t time.Time) time.Time {
		_, offset := t.In(loc).Zone()
		return t.UTC().Add(time.Duration(offset) * time.Second)
	}
	latest := face(from).Add(-time.Minute)
	for t := from; t.Before(to); t = t.Add(time.Minute) {
		fires := false
		for ; latest.Before(face(t)); latest = latest.Add(time.Minute) {
			fires = fires || holds(latest.Add(time.Minute))
		}
		if fires {
			due = append(due, t)
		}
	}
	return due
}

func TestJitterIsSpreadAndBounded(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var thing, moment [4]int
	for i := range 4000 {
		a := when.Jitter(uint64(i), at, time.Minute)
		b := when.Jitter(7, at.Add(time.Duration(i)*time.Minute), time.Minute)
		if a < 0 || a >= time.Minute || b < 0 || b >= time.Minute {
			t.Fatalf("%v, %v are not within a minute", a, b)
		}
		thing[a/(15*time.Second)]++
		moment[b/(15*time.Second)]++
	}
	for _, n := range append(thing[:], moment[:]...) {
		if n < 850 || n > 1150 {
			t.Errorf("quarters of things %v and of times %v, want about 1000 each", thing, moment)
		}
	}
	if a, b := when.Jitter(7, at, time.Hour), when.Jitter(7, at.In(zone(t, "Asia/Tokyo")), time.Hour); a != b {
		t.Errorf("%v and %v for one moment", a, b)
	}
	if got, want := when.Jitter(7, at, time.Hour), time.Duration(3251009748112); got != want {
		t.Errorf("jitter is %d, and was %d before: runs would move", got, want)
	}
}

func BenchmarkCalendarNext(b *testing.B) {
	c := calendar(b, when.Pattern{Weekday: span(1, 5), Hour: span(8, 18), Minute: []int{0, 30}},
		when.Pattern{Month: []int{12}, Day: []int{25, 26}, Hour: span(0, 23), Minute: []int{0, 30}, Except: true})
	at, loc := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), zone(b, "America/New_York")
	for b.Loop() {
		c.Next(at, loc)
	}
}
