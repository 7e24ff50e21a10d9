package when

import (
	"fmt"
	"math/bits"
	"strings"
	"time"
)

// A Pattern is a set of civil times: those whose parts are all among the ones listed. An empty
// list is any, but for Hour, Minute and Second, where it is 0.
type Pattern struct {
	Year    []int // 1970 to 2225
	Month   []int // 1 to 12
	Day     []int // of the month; -1 is the last
	Weekday []int // 0 is Sunday
	Hour    []int
	Minute  []int
	Second  []int
	Except  bool // takes out what other patterns put in
}

// MaxPatterns is how many patterns a Calendar takes.
const MaxPatterns = 64

// The years that a Pattern may name, and a Calendar knows.
const (
	firstYear = 1970
	lastYear  = 2225
)

// A Calendar is the civil times that some of its patterns put in and none takes out. It is made
// by [NewCalendar]; the zero Calendar is never due.
type Calendar struct {
	patterns []pattern
}

// A pattern is a Pattern as sets.
type pattern struct {
	years                         [4]uint64 // from firstYear on
	month, day, weekday           uint64
	hour, minute, second          uint64
	last, anyYear, anyDay, except bool
}

// A PatternError says what is wrong with one part of a pattern.
type PatternError struct {
	Index int    // which pattern; -1 is all of them together
	Part  string // "month"
	Text  string
}

func (e PatternError) Error() string {
	if e.Index < 0 {
		return e.Text
	}
	return fmt.Sprintf("pattern %d: %s: %s", e.Index, e.Part, e.Text)
}

// PatternErrors is all that is wrong with the patterns of a calendar, in their order.
type PatternErrors []PatternError

func (e PatternErrors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// NewCalendar returns the calendar of these patterns. The error is [PatternErrors].
func NewCalendar(patterns ...Pattern) (*Calendar, error) {
	if len(patterns) > MaxPatterns {
		return nil, PatternErrors{{Index: -1, Text: fmt.Sprintf("%d patterns are more than %d", len(patterns), MaxPatterns)}}
	}
	c := &Calendar{patterns: make([]pattern, len(patterns))}
	var wrong PatternErrors
	for i, p := range patterns {
		wrong = append(wrong, c.patterns[i].read(i, p)...)
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	if _, ok := c.civil(time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC), c.horizon()); !ok {
		return nil, PatternErrors{{Index: -1, Text: "no day has such a time, so it is never due"}}
	}
	return c, nil
}

// read makes sets of lists. Of each list that is wrong it reports the first value that is.
func (s *pattern) read(index int, p Pattern) (wrong PatternErrors) {
	s.except, s.anyYear, s.anyDay = p.Except, len(p.Year) == 0, len(p.Day) == 0
	list := func(part string, values []int, empty uint64, lo, hi int) (set uint64) {
		if len(values) == 0 {
			return empty
		}
		for _, v := range values {
			switch {
			case v == -1 && part == "day":
				s.last = true
			case v < lo || v > hi:
				wrong = append(wrong, PatternError{index, part, fmt.Sprintf("%d is not in %d-%d%s", v, lo, hi, hint(part, v))})
				return 0
			case part == "year":
				s.years[(v-firstYear)/64] |= 1 << ((v - firstYear) % 64)
			default:
				set |= 1 << v
			}
		}
		return set
	}
	list("year", p.Year, 0, firstYear, lastYear)
	s.month = list("month", p.Month, 1<<13-2, 1, 12)
	s.day = list("day", p.Day, 0, 1, 31)
	s.weekday = list("weekday", p.Weekday, 1<<7-1, 0, 6)
	s.hour = list("hour", p.Hour, 1, 0, 23)
	s.minute = list("minute", p.Minute, 1, 0, 59)
	s.second = list("second", p.Second, 1, 0, 59)
	return wrong
}

func hint(part string, v int) string {
	switch {
	case part == "day":
		return ", or -1 for the last"
	case part == "weekday" && v == 7:
		return ": Sunday is 0"
	}
	return ""
}

// Next returns the first time after the given one at which c is due in loc, and the zero time
// if there is none until the year 2225 ends. What the clocks skip in spring is due at the moment
// they jump, and what they show twice in autumn is due the first time only.
func (c *Calendar) Next(after time.Time, loc *time.Location) time.Time { return walk(c, after, loc) }

func (c *Calendar) fixed() bool { return true }

func (c *Calendar) horizon() time.Duration { return (lastYear - firstYear + 1) * (Year + Day) }

// barren bounds how many kinds of days without any due time a search may meet: exceptions can
// be made that leave nothing anywhere, in ever new ways.
const barren = 1000

// civil goes from month to month. What a day holds depends on which patterns it matches alone,
// so that a set of them that holds nothing is looked at once.
func (c *Calendar) civil(from time.Time, within time.Duration) (time.Time, bool) {
	year, month, day := from.Date()
	begin := from.Hour()*3600 + from.Minute()*60 + from.Second()
	end := from.Add(within)
	var empty map[uint64]bool
	for ; year <= lastYear; year, month, day, begin = year+int(month/12), month%12+1, 1, 0 {
		days := c.days(year, month) >> day << day
		for ; days != 0; days &= days - 1 {
			d := bits.TrailingZeros64(days)
			if d != day {
				begin = 0
			}
			if on := c.on(year, month, d); !empty[on] {
				if s, ok := c.clock(on, begin); ok {
					due := time.Date(year, month, d, 0, 0, s, 0, time.UTC)
					return due, !due.After(end)
				}
				if begin == 0 {
					if empty == nil {
						empty = map[uint64]bool{}
					}
					empty[on] = true
				}
			}
			if len(empty) > barren {
				return time.Time{}, false
			}
		}
		if time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC).After(end) {
			break
		}
	}
	return time.Time{}, false
}

// days returns the days of a month that some pattern puts in.
func (c *Calendar) days(year int, month time.Month) (days uint64) {
	for i := range c.patterns {
		if p := &c.patterns[i]; !p.except && p.in(year, month) {
			days |= p.days(year, month)
		}
	}
	return days
}

// on returns which patterns a day matches.
func (c *Calendar) on(year int, month time.Month, day int) (set uint64) {
	for i := range c.patterns {
		if p := &c.patterns[i]; p.in(year, month) && p.days(year, month)>>day&1 == 1 {
			set |= 1 << i
		}
	}
	return set
}

// clock returns the first second of a day, at or after begin, that these patterns leave.
func (c *Calendar) clock(on uint64, begin int) (int, bool) {
	h, m, s := begin/3600, begin/60%60, begin%60
	for ; h < 24; h, m, s = h+1, 0, 0 {
		var minutes uint64
		for set := on; set != 0; set &= set - 1 {
			if p := &c.patterns[bits.TrailingZeros64(set)]; !p.except && p.hour>>h&1 == 1 {
				minutes |= p.minute
			}
		}
		for at := next(minutes, m); at < 60; at = next(minutes, at+1) {
			if at != m {
				s = 0
			}
			if second := next(c.seconds(on, h, at), s); second < 60 {
				return h*3600 + at*60 + second, true
			}
		}
	}
	return 0, false
}

// seconds returns what is left of one minute.
func (c *Calendar) seconds(on uint64, hour, minute int) uint64 {
	var in, out uint64
	for ; on != 0; on &= on - 1 {
		p := &c.patterns[bits.TrailingZeros64(on)]
		switch {
		case p.hour>>hour&1 == 0 || p.minute>>minute&1 == 0:
		case p.except:
			out |= p.second
		default:
			in |= p.second
		}
	}
	return in &^ out
}

func (s *pattern) in(year int, month time.Month) bool {
	y := year - firstYear
	return s.month>>uint(month)&1 == 1 && (s.anyYear || y >= 0 && s.years[y/64]>>(y%64)&1 == 1) //nolint:gosec // 1-12
}

// days returns the days of a month as a set.
func (s *pattern) days(year int, month time.Month) uint64 {
	first := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC).Weekday()
	length := time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
	all := uint64(1)<<(length+1) - 2
	// The week begins with the weekday of the first, and comes back five times.
	week := (s.weekday>>uint(first) | s.weekday<<uint(7-first)) & 0x7f //nolint:gosec // 0-6
	days := all & (week * 0x10204081 << 1)
	if s.anyDay {
		return days
	}
	if s.last {
		return days & (s.day | 1<<length)
	}
	return days & s.day
}
