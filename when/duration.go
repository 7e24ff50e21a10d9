package when

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Day, Week and Year are the fixed lengths that the units d, w and y stand for. A day that a
// clock change makes shorter or longer is not meant.
const (
	Day  = 24 * time.Hour
	Week = 7 * Day
	Year = 365 * Day
)

// Units are the names of units that [ParseDuration] reads, the longest last.
func Units() []string { return []string{"ns", "us", "ms", "s", "m", "h", "d", "w", "y"} }

var errOverflow = errors.New("longer than 292 years")

// ParseDuration reads a duration of one or more numbers with a unit each, as "30s", "1.5h" or
// "1d12h". The units are ns, us (also µs), ms, s, m, h, d, w and y (365 days). Only 0 may go
// without a unit, and nothing is negative. The error of a bare number says what was likely
// meant.
func ParseDuration(s string) (time.Duration, error) {
	switch {
	case s == "":
		return 0, errors.New("empty: a duration is a number and a unit, as in 30s")
	case s == "0":
		return 0, nil
	case s[0] == '-':
		return 0, fmt.Errorf("%s is negative: a duration is not", s)
	}
	var sum uint64
	for rest := s; rest != ""; {
		n, tail, err := component(rest)
		if err != nil {
			return 0, fmt.Errorf("%s%w", prefix(s, rest), err)
		}
		if sum += n; sum > math.MaxInt64 {
			return 0, fmt.Errorf("%s is %w", s, errOverflow)
		}
		rest = tail
	}
	return time.Duration(sum), nil //nolint:gosec // checked above
}

// prefix names the whole where the mistake is in a later part of it.
func prefix(whole, part string) string {
	if len(whole) == len(part) {
		return ""
	}
	return whole + ": "
}

// component reads one number with its unit and returns what follows them. What it returns is
// at most [math.MaxInt64], so that the caller sees its own sum overflow.
func component(s string) (n uint64, rest string, err error) {
	number := s[:span(s, "0123456789.")]
	tail := s[len(number):]
	name := tail[:len(tail)-len(strings.TrimLeftFunc(tail, isUnit))]
	rest = tail[len(name):]
	whole, frac, _ := strings.Cut(number, ".")
	switch {
	case whole == "" && frac == "":
		return 0, "", fmt.Errorf("%q is no duration: want a number and a unit, as in 30s", s)
	case strings.Contains(frac, "."):
		return 0, "", fmt.Errorf("%s is no number", number)
	case name == "":
		return 0, "", fmt.Errorf("%s has no unit: did you mean %ss?", number, number)
	}
	unit, err := unitOf(number, name)
	if err != nil {
		return 0, "", err
	}
	n, ok := scale(whole, frac, unit)
	if !ok {
		return 0, "", fmt.Errorf("%s%s is %w", number, name, errOverflow)
	}
	return n, rest, nil
}

func span(s, chars string) int { return len(s) - len(strings.TrimLeft(s, chars)) }

func isUnit(r rune) bool { return r != '.' && r != '-' && (r < '0' || r > '9') }

func unitOf(number, name string) (uint64, error) {
	switch name {
	case "ns":
		return uint64(time.Nanosecond), nil
	case "us", "µs", "μs":
		return uint64(time.Microsecond), nil
	case "ms":
		return uint64(time.Millisecond), nil
	case "s":
		return uint64(time.Second), nil
	case "m":
		return uint64(time.Minute), nil
	case "h":
		return uint64(time.Hour), nil
	case "d":
		return uint64(Day), nil
	case "w":
		return uint64(Week), nil
	case "y":
		return uint64(Year), nil
	}
	lower := strings.ToLower(strings.TrimSpace(name))
	for _, word := range [...][2]string{
		{"mon", ""},
		{"mil", "ms"},
		{"mic", "us"},
		{"nan", "ns"},
		{"s", "s"},
		{"m", "m"},
		{"h", "h"},
		{"d", "d"},
		{"w", "w"},
		{"y", "y"},
	} {
		if !strings.HasPrefix(lower, word[0]) {
			continue
		}
		if word[1] == "" {
			break
		}
		return 0, fmt.Errorf("%q is no unit: did you mean %s%s?", name, number, word[1])
	}
	return 0, fmt.Errorf("%q is no unit: want one of %s", name, strings.Join(Units(), ", "))
}

// scale returns whole.frac units, rounded down to the nanosecond, and false if that is more
// than a duration holds.
func scale(whole, frac string, unit uint64) (uint64, bool) {
	var n uint64
	if whole != "" {
		v, err := strconv.ParseUint(whole, 10, 63)
		if err != nil {
			return 0, false
		}
		hi, lo := bits.Mul64(v, unit)
		if hi != 0 || lo > math.MaxInt64 {
			return 0, false
		}
		n = lo
	}
	// Beyond 18 digits a fraction is less than a nanosecond of a year.
	frac = frac[:min(len(frac), 18)]
	if frac == "" {
		return n, true
	}
	v, err := strconv.ParseUint(frac, 10, 64)
	if err != nil {
		return 0, false
	}
	ten := uint64(1)
	for range len(frac) {
		ten *= 10
	}
	hi, lo := bits.Mul64(v, unit)
	part, _ := bits.Div64(hi, lo, ten)
	return n + part, n+part <= math.MaxInt64
}

// FormatDuration writes d the way people do, so that [ParseDuration] reads the same again
// unless d is negative: whole years, weeks or days as such ("3y", "2w", "3d"), anything else
// from days downwards ("1d12h", "1m30s", "1.5s", "250ms").
func FormatDuration(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	var b []byte
	left := uint64(d) //nolint:gosec // the two's complement is undone below
	if d < 0 {
		b, left = append(b, '-'), -left
	}
	for _, u := range [...]struct {
		size  time.Duration
		name  string
		whole bool // only if nothing is left over
	}{{Year, "y", true}, {Week, "w", true}, {Day, "d", false}, {time.Hour, "h", false}, {time.Minute, "m", false}} {
		size := uint64(u.size)
		if left < size || u.whole && left%size != 0 {
			continue
		}
		b = append(strconv.AppendUint(b, left/size, 10), u.name...)
		left %= size
	}
	return string(appendSeconds(b, left))
}

// appendSeconds writes what is less than a minute in its largest unit, with decimals.
func appendSeconds(b []byte, left uint64) []byte {
	unit, digits, name := uint64(time.Second), 9, "s"
	switch {
	case left == 0:
		return b
	case left < uint64(time.Microsecond):
		unit, digits, name = 1, 0, "ns"
	case left < uint64(time.Millisecond):
		unit, digits, name = uint64(time.Microsecond), 3, "us"
	case left < uint64(time.Second):
		unit, digits, name = uint64(time.Millisecond), 6, "ms"
	}
	b = strconv.AppendUint(b, left/unit, 10)
	if frac := left % unit; frac != 0 {
		b = append(b, strings.TrimRight(fmt.Sprintf(".%0*d", digits, frac), "0")...)
	}
	return append(b, name...)
}
