package when

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// A Cron is a parsed cron expression: the civil times at which something is due. It is made by
// [ParseCron]; the zero Cron is never due.
type Cron struct {
	spec                                      string
	second, minute, hour, day, month, weekday uint64
	last                                      bool // the last day of the month counts too
	// either is vixie cron's rule: where both day fields are restricted, one of them is
	// enough. wild says that the minute or the hour begins with a star, see [Cron.Next].
	either, wild bool
}

// String returns what was parsed.
func (c Cron) String() string { return c.spec }

// A field says what one field of an expression may hold.
type field struct {
	name     string
	min, max int
	names    string // of the values from min, three letters each
	day      bool   // may be ? too
}

const (
	months   = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"
	weekdays = "SUNMONTUEWEDTHUFRISAT"
)

// fields returns the fields in their order; the first, the second, may be missing.
func fields() [6]field {
	return [...]field{
		{name: "second", max: 59},
		{name: "minute", max: 59},
		{name: "hour", max: 23},
		{name: "day of month", min: 1, max: 31, day: true},
		{name: "month", min: 1, max: 12, names: months},
		{name: "weekday", max: 7, names: weekdays, day: true},
	}
}

// ParseCron reads a cron expression: minute, hour, day of month, month and weekday, with a
// second before them if there are six. A field is a list, split by commas, of *, values,
// ranges and steps: "*/5", "1-5", "MON-FRI", "10-50/20", "30/10" (from 30 on). Months and
// weekdays have English names; Sunday is 0 or 7. A day field may be ?, which is *, and the day
// of month L, the last. @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually
// stand for the usual expressions. Where both day fields are restricted, which is when neither
// begins with a star, a day counts if either matches, as in vixie cron. The error names the
// field and says what is right.
func ParseCron(spec string) (Cron, error) {
	words := strings.Fields(spec)
	if len(words) == 1 && words[0][0] == '@' {
		full, err := alias(words[0])
		if err != nil {
			return Cron{}, err
		}
		words = strings.Fields(full)
	}
	if len(words) > 0 && strings.Contains(words[0], "TZ=") {
		return Cron{}, fmt.Errorf("%s: the zone is no part of the expression, it has a key of its own", words[0])
	}
	if len(words) == 5 {
		words = append([]string{"0"}, words...)
	}
	if len(words) != 6 {
		return Cron{}, fmt.Errorf("want 5 fields (minute, hour, day of month, month, weekday) or 6 with the second first, not %d", len(words))
	}
	c := Cron{spec: spec}
	for i, to := range [...]*uint64{&c.second, &c.minute, &c.hour, &c.day, &c.month, &c.weekday} {
		set, err := c.parse(fields()[i], words[i])
		if err != nil {
			return Cron{}, err
		}
		*to = set
	}
	c.weekday = c.weekday&0x7f | c.weekday>>7
	c.either = !starred(words[3]) && !starred(words[5])
	c.wild = starred(words[1]) || starred(words[2])
	if _, ok := c.civil(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), c.horizon()); !ok {
		return Cron{}, fmt.Errorf("day of month: no such day in month %s, so it is never due", words[4])
	}
	return c, nil
}

func alias(word string) (string, error) {
	switch word {
	case "@hourly":
		return "0 * * * *", nil
	case "@daily", "@midnight":
		return "0 0 * * *", nil
	case "@weekly":
		return "0 0 * * 0", nil
	case "@monthly":
		return "0 0 1 * *", nil
	case "@yearly", "@annually":
		return "0 0 1 1 *", nil
	}
	return "", fmt.Errorf("%s is unknown: want @hourly, @daily, @weekly, @monthly or @yearly", word)
}

func starred(word string) bool { return word[0] == '*' || word[0] == '?' }

// parse reads one field as a set of bits.
func (c *Cron) parse(f field, word string) (set uint64, err error) {
	for part := range strings.SplitSeq(word, ",") {
		if part == "L" && f.max == 31 {
			c.last = true
			continue
		}
		lo, hi, step, err := f.span(part)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", f.name, err)
		}
		for v := lo; v <= hi; v += step {
			set |= 1 << v
		}
	}
	return set, nil
}

// span reads one part of a list.
func (f field) span(part string) (lo, hi, step int, err error) {
	values, by, stepped := strings.Cut(part, "/")
	step = 1
	if stepped {
		if step, err = strconv.Atoi(by); err != nil || step < 1 || step > f.max {
			return 0, 0, 0, fmt.Errorf("step %q in %q is not in 1-%d", by, part, f.max)
		}
	}
	from, to, ranged := strings.Cut(values, "-")
	switch {
	case values == "*" || values == "?" && f.day:
		return f.min, f.max, step, nil
	case values == "":
		return 0, 0, 0, fmt.Errorf("a part of the list is empty: want * or a value from %d to %d", f.min, f.max)
	}
	if lo, err = f.value(from); err != nil {
		return 0, 0, 0, err
	}
	switch {
	case ranged:
		if hi, err = f.value(to); err != nil {
			return 0, 0, 0, err
		}
	case stepped:
		hi = f.max
	default:
		hi = lo
	}
	if hi == 0 && lo > 0 && f.names == weekdays {
		hi = 7 // FRI-SUN
	}
	if hi < lo {
		return 0, 0, 0, fmt.Errorf("range %s goes backwards: did you mean %s-%d,%d-%s?", values, from, f.top(), f.min, to)
	}
	return lo, hi, step, nil
}

// top is the highest value that is not a second name of another.
func (f field) top() int {
	if f.names == weekdays {
		return 6
	}
	return f.max
}

func (f field) value(word string) (int, error) {
	if v, err := strconv.Atoi(word); err == nil && v >= f.min && v <= f.max && word[0] != '+' && word[0] != '-' {
		return v, nil
	}
	if at := strings.Index(f.names, strings.ToUpper(word)); len(word) == 3 && at >= 0 && at%3 == 0 {
		return at/3 + f.min, nil
	}
	named := ""
	if f.names != "" {
		named = fmt.Sprintf(" or %s-%s", f.names[:3], f.names[len(f.names)-3:])
	}
	return 0, fmt.Errorf("%q is not in %d-%d%s", word, f.min, f.max, named)
}

// civil returns the first civil time of c at or after from, which both stand in UTC
// whatever zone is meant, and false if there is none within so long.
func (c Cron) civil(from time.Time, within time.Duration) (time.Time, bool) {
	for t := from; t.Sub(from) <= within; {
		year, month, day := t.Date()
		if c.month>>uint(month)&1 == 0 { //nolint:gosec // 1-12
			t = time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
			continue
		}
		if c.onDay(t) {
			if clock, ok := c.clock(t.Hour(), t.Minute(), t.Second()); ok {
				return time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Add(clock), true
			}
		}
		t = time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)
	}
	return time.Time{}, false
}

func (c Cron) onDay(t time.Time) bool {
	day := c.day>>uint(t.Day())&1 == 1 || c.last && t.AddDate(0, 0, 1).Day() == 1 //nolint:gosec // 1-31
	weekday := c.weekday>>uint(t.Weekday())&1 == 1                                //nolint:gosec // 0-6
	if c.either {
		return day || weekday
	}
	return day && weekday
}

// clock returns the first time of day at or after the given one.
func (c Cron) clock(h, m, s int) (time.Duration, bool) {
	if hour := next(c.hour, h); hour != h {
		h, m, s = hour, 0, 0
	}
	if second := next(c.second, s); second < 64 {
		s = second
	} else {
		m, s = m+1, next(c.second, 0)
	}
	if minute := next(c.minute, m); minute >= 64 {
		h, m, s = next(c.hour, h+1), next(c.minute, 0), next(c.second, 0)
	} else if minute != m {
		m, s = minute, next(c.second, 0)
	}
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second, h < 64
}

// next returns the lowest member of set that is at least v, and 64 or more if there is none.
func next(set uint64, v int) int { return bits.TrailingZeros64(set >> v << v) }
