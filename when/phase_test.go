package when_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vedettehq/vedette/when"
)

func TestPhasesSpreadHashesOverTheInterval(t *testing.T) {
	for _, c := range []struct {
		hash uint64
		want time.Duration
	}{{0, 0}, {1 << 63, 30 * time.Second}, {1 << 62, 15 * time.Second}, {math.MaxUint64, time.Minute - 1}} {
		if got := when.Phase(c.hash, time.Minute); got != c.want {
			t.Errorf("Phase(%#x, 1m) = %v, want %v", c.hash, got, c.want)
		}
	}
}

func TestNextBeatIsTheFirstAfter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		interval := time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(when.Year)).Draw(t, "interval"))
		phase := when.Phase(rapid.Uint64().Draw(t, "hash"), interval)
		if phase < 0 || phase >= interval {
			t.Fatalf("phase %v is not within %v", phase, interval)
		}
		after := time.Unix(0, rapid.Int64Range(-1<<60, 1<<62).Draw(t, "after"))
		due := when.Next(after, interval, phase)
		if gap := due.Sub(after); gap <= 0 || gap > interval {
			t.Fatalf("%v after %v is not the first of every %v", due, after, interval)
		}
		if (due.UnixNano()-int64(phase))%int64(interval) != 0 {
			t.Fatalf("%v is off the beat", due)
		}
		if again := when.Next(due, interval, phase); again.Sub(due) != interval {
			t.Fatalf("a beat at %v is followed by %v, not %v later", due, again, interval)
		}
	})
}

func TestNextBeatIsAWallTimeWhereItWasAskedFor(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	after := time.Date(2026, 3, 1, 12, 0, 0, 0, berlin)
	want := time.Date(2026, 3, 1, 12, 1, 0, 0, berlin)
	if got := when.Next(after, time.Minute, 0); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
