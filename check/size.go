package check

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A Size is a number of bytes. Its text has a unit: 512B, 64KB, 1MiB, 20GiB.
type Size int64

type unit struct {
	name  string
	bytes int64
}

// sizeUnits returns the units, binary first and the largest first, as String prefers them.
func sizeUnits() [9]unit {
	return [9]unit{
		{"TiB", 1 << 40},
		{"GiB", 1 << 30},
		{"MiB", 1 << 20},
		{"KiB", 1 << 10},
		{"TB", 1e12},
		{"GB", 1e9},
		{"MB", 1e6},
		{"KB", 1e3},
		{"B", 1},
	}
}

// String returns the exact size in the largest unit that divides it.
func (s Size) String() string {
	for _, u := range sizeUnits() {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return "0B"
}

// MarshalText writes what UnmarshalText reads.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a whole number and a unit; case does not matter.
func (s *Size) UnmarshalText(text []byte) error {
	word := strings.TrimSpace(string(text))
	for _, u := range sizeUnits() {
		number, ok := cutUnit(word, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.bytes {
			break
		}
		*s = Size(n * u.bytes)
		return nil
	}
	if _, err := strconv.ParseUint(word, 10, 64); err == nil {
		return fmt.Errorf("size %s has no unit: did you mean %sB or %sMiB?", word, word, word)
	}
	return fmt.Errorf("size %q: want a whole number and one of B KB MB GB TB KiB MiB GiB TiB", word)
}

func cutUnit(word, unit string) (string, bool) {
	cut := len(word) - len(unit)
	if cut <= 0 || !strings.EqualFold(word[cut:], unit) {
		return "", false
	}
	return strings.TrimSpace(word[:cut]), true
}
