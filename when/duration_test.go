package when_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vedettehq/vedette/when"
)

func TestDurationsAreReadWithAllUnits(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "7ns": 7, "5us": 5 * time.Microsecond, "5µs": 5 * time.Microsecond,
		"250ms": 250 * time.Millisecond, "30s": 30 * time.Second, "2m": 2 * time.Minute,
		"3h": 3 * time.Hour, "3d": 72 * time.Hour, "2w": 336 * time.Hour, "1y": 8760 * time.Hour,
		"1d12h": 36 * time.Hour, "1.5h": 90 * time.Minute, ".5s": 500 * time.Millisecond,
		"1m0.000000001s":                 time.Minute + 1,
		"0.1234567890123456789999s":      123456789,
		"9223372036854775807ns":          1<<63 - 1,
		"0.000000000000000000000000001y": 0,
	} {
		got, err := when.ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
}

func TestMistakesInDurationsSayWhatIsRight(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "empty",
		"30":                    "30 has no unit: did you mean 30s?",
		"1.5":                   "1.5 has no unit: did you mean 1.5s?",
		"1m30":                  "1m30: 30 has no unit: did you mean 30s?",
		"-5s":                   "-5s is negative",
		"5 seconds":             `" seconds" is no unit: did you mean 5s?`,
		"5min":                  `"min" is no unit: did you mean 5m?`,
		"100millis":             "did you mean 100ms?",
		"3months":               `"months" is no unit: want one of ns, us, ms`,
		"5q":                    `"q" is no unit: want one of`,
		"soon":                  `"soon" is no duration`,
		"1..5s":                 "1..5 is no number",
		"1.2.3s":                "1.2.3 is no number",
		".s":                    "no duration",
		"293y":                  "293y is longer than 292 years",
		"292y292y":              "292y292y is longer than 292 years",
		"9223372036854775808ns": "longer than 292 years",
		"99999999999999999999s": "longer than 292 years",
		"9223372036.9s":         "longer than 292 years",
		"1h-5s":                 `"-5s" is no duration`,
	} {
		got, err := when.ParseDuration(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseDuration(%q) = %v, %v; want an error with %q", text, got, err, want)
		}
	}
}

func TestDurationsAreWrittenInTheirShortestUsualForm(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": 0, "1m30s": 90 * time.Second, "3d": 72 * time.Hour, "1d12h": 36 * time.Hour,
		"2w": 14 * when.Day, "30d": 30 * when.Day, "3y": 3 * when.Year, "400d": 400 * when.Day,
		"250ms": 250 * time.Millisecond, "1.5s": 1500 * time.Millisecond, "1.25us": 1250,
		"999ns": 999, "1h500ms": time.Hour + 500*time.Millisecond, "-10s": -10 * time.Second,
		"1m": time.Minute, "106751d23h47m16.854775807s": 1<<63 - 1,
		"-106751d23h47m16.854775808s": -1 << 63,
	} {
		if got := when.FormatDuration(d); got != want {
			t.Errorf("FormatDuration(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestWrittenDurationsAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Min(0).Draw(t, "d"))
		text := when.FormatDuration(d)
		if got, err := when.ParseDuration(text); err != nil || got != d {
			t.Fatalf("%d written as %q is read as %d, %v", d, text, got, err)
		}
	})
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"30s", "1d12h", "1.5y", "30", "-1s", "5 min", "9223372036854775807ns"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := when.ParseDuration(s)
		if err != nil {
			return
		}
		if again, err := when.ParseDuration(when.FormatDuration(d)); d < 0 || err != nil || again != d {
			t.Fatalf("%q is %d, written %q, read again %d, %v", s, d, when.FormatDuration(d), again, err)
		}
	})
}
