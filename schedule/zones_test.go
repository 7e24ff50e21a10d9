package schedule_test

import (
	"slices"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// zones change their clocks by an hour, half an hour or two, at midnight or at night, in either
// half of the year, by a whole day, or not at all.
func zones() []string {
	return []string{
		"America/New_York", "America/St_Johns", "America/Havana", "America/Santiago", "Europe/Berlin",
		"Europe/Dublin", "Africa/Cairo", "Africa/Casablanca", "Asia/Beirut", "Australia/Lord_Howe",
		"Pacific/Chatham", "Pacific/Apia", "Antarctica/Troll", "Asia/Kolkata",
	}
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// changes returns the clock changes of 2026, the day that Samoa left out, and a day without any.
func changes(loc *time.Location) (at []time.Time) {
	for year := range map[int]bool{2026: true, 2011: loc.String() == "Pacific/Apia"} {
		first := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		for t := first.In(loc); ; {
			_, t = t.ZoneBounds()
			if t.IsZero() || t.After(first.AddDate(1, 0, 1)) {
				break
			}
			at = append(at, t)
		}
		at = append(at, first)
	}
	return at
}

// A spec is a schedule and what its civil times are.
type spec struct {
	vedette.Schedule
	wild  bool // due whenever the clock shows it, not once a day
	holds func(face time.Time) bool
}

func specs() []spec {
	clock := func(h, m func(int) bool) func(time.Time) bool {
		return func(face time.Time) bool { return h(face.Hour()) && m(face.Minute()) }
	}
	in := func(list ...int) func(int) bool { return func(v int) bool { return slices.Contains(list, v) } }
	by := func(step int) func(int) bool { return func(v int) bool { return v%step == 0 } }
	return []spec{
		{vedette.Schedule{Cron: "* * * * *"}, true, clock(by(1), by(1))},
		{vedette.Schedule{Cron: "*/20 1,2 * * *"}, true, clock(in(1, 2), by(20))},
		{vedette.Schedule{Cron: "15 * * * *"}, true, clock(by(1), in(15))},
		{vedette.Schedule{Cron: "*/30 1 1,25 * *"}, true, func(face time.Time) bool {
			return in(1, 25)(face.Day()) && clock(in(1), by(30))(face)
		}},
		{vedette.Schedule{Cron: "0,30 0-3 * * *"}, false, clock(in(0, 1, 2, 3), in(0, 30))},
		{vedette.Schedule{Cron: "45 1,2,23 * * *"}, false, clock(in(1, 2, 23), in(45))},
		{vedette.Schedule{Cron: "5 2 * * SUN"}, false, func(face time.Time) bool {
			return face.Weekday() == time.Sunday && clock(in(2), in(5))(face)
		}},
		{vedette.Schedule{Calendar: []vedette.Calendar{{}, {Hour: []int{1, 2, 3}, Minute: []int{0, 30, 59}}}}, false, func(face time.Time) bool {
			return clock(in(0), in(0))(face) || clock(in(1, 2, 3), in(0, 30, 59))(face)
		}},
		{vedette.Schedule{Calendar: []vedette.Calendar{
			{Hour: []int{0, 1, 2, 3}, Minute: []int{0, 15, 30, 45}},
			{Hour: []int{2}, Minute: []int{0, 30}, Except: true},
		}}, false, func(face time.Time) bool {
			return clock(in(0, 1, 2, 3), by(15))(face) && !clock(in(2), in(0, 30))(face)
		}},
	}
}

// truth walks the minutes of [from, to) as a clock on the wall would show them.
func (s spec) truth(from, to time.Time, loc *time.Location) (due []time.Time) {
	face := func(t time.Time) time.Time {
		_, offset := t.In(loc).Zone()
		return t.UTC().Add(time.Duration(offset) * time.Second)
	}
	shown := face(from).Add(-time.Minute) // the latest that the clock has shown
	for t := from; t.Before(to); t = t.Add(time.Minute) {
		fires := s.wild && s.holds(face(t))
		for ; !s.wild && shown.Before(face(t)); shown = shown.Add(time.Minute) {
			fires = fires || s.holds(shown.Add(time.Minute))
		}
		if fires {
			due = append(due, t)
		}
	}
	return due
}

// TestNoDueTimeIsLostOrDoubledOverClockChanges asks at each minute around each change what is due
// next, in 14 zones.
func TestNoDueTimeIsLostOrDoubledOverClockChanges(t *testing.T) {
	for _, name := range zones() {
		loc := zone(t, name)
		for _, s := range specs() {
			s.Zone = name
			p := plan(t, s.Schedule)
			for _, change := range changes(loc) {
				from, to := change.Add(-26*time.Hour).Truncate(time.Minute), change.Add(27*time.Hour)
				due := s.truth(from, to, loc)
				for at := from; at.Before(to) && len(due) > 0; at = at.Add(time.Minute) {
					if got := p.Next(at.Add(-time.Second)); !got.Equal(due[0]) {
						t.Fatalf("%s %+v: after %v due at %v, want %v", name, s.Schedule, at.In(loc), got.In(loc), due[0].In(loc))
					}
					if at.Equal(due[0]) {
						due = due[1:]
					}
				}
			}
		}
	}
}

// TestBeatsDoNotMindClockChanges are those that name no civil time.
func TestBeatsDoNotMindClockChanges(t *testing.T) {
	for _, name := range zones() {
		for _, change := range changes(zone(t, name)) {
			from, to := change.Add(-26*time.Hour), change.Add(26*time.Hour)
			p := plan(t, vedette.Schedule{Every: 7 * time.Minute, Zone: name})
			last := p.Next(from)
			for last.Before(to) {
				due := p.Next(last)
				if due.Sub(last) != 7*time.Minute {
					t.Fatalf("%s: %v is followed by %v", name, last, due)
				}
				last = due
			}
			once := plan(t, vedette.Schedule{At: []time.Time{change, change.Add(-time.Second)}, Zone: name})
			if got := once.Upcoming(from, 3); len(got) != 2 || !got[1].Equal(change) {
				t.Errorf("%s: at %v is due at %v", name, change, got)
			}
		}
	}
}
