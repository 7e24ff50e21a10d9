package demo

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/vedettehq/vedette"
)

var update = flag.Bool("update", false, "write the golden files anew")

func view() View {
	ms := time.Millisecond
	up, down := vedette.Up, vedette.Down
	rows := []Row{
		{Name: "good", State: up, Past: []vedette.State{up, up, up}, Phases: vedette.Phases{Connect: ms / 5, TLS: 2 * ms, TTFB: ms}},
		{Name: "slow", State: up, Past: []vedette.State{up}, Phases: vedette.Phases{Connect: ms, Request: ms, TTFB: 600 * ms, Transfer: ms}},
		{
			Name: "api", State: vedette.Degraded, Past: []vedette.State{vedette.Degraded},
			Phases:  vedette.Phases{DNS: 40 * time.Microsecond, TTFB: 40 * time.Microsecond},
			Failure: `json("$.queue") < 1000 is false: json("$.queue") = 5120`,
		},
		{Name: "errors", State: down, Past: []vedette.State{vedette.Unknown, down, down, down}, Failure: "status 500, want 200-299"},
		{Name: "flapping", State: up, Streak: 2, Need: 3, Past: []vedette.State{down, down, down, up, up, up, up, up, up, up, down, down}, Failure: "status 503, want 200-299"},
		{Name: "shop", State: down, Muted: "gateway", Failure: "connection reset"},
		{Name: "patching", State: vedette.Maintenance, Past: []vedette.State{vedette.Maintenance}},
		{Name: "a name that is far too long", State: vedette.Paused, Past: []vedette.State{vedette.Paused}, Phases: vedette.Phases{Transfer: 20 * time.Second}},
		{Name: "odd", State: vedette.Unknown, Failure: "body \x1b[31mred\x00 日本 é\r\n"},
	}
	for len(rows) < 20 {
		rows = append(rows, Row{Name: "more", State: up})
	}
	return View{
		Rows:   rows,
		Config: "/tmp/vedette-demo-1234567890/vedette.yaml",
		Footer: Footer{ChecksPerSecond: 20.04, LagP99: 3200 * time.Microsecond, Missed: 1, CPU: .0123, Acknowledged: 210, Stored: 210},
	}
}

func TestScreenLooksAsBefore(t *testing.T) {
	for name, s := range map[string]Screen{
		"80x24":       {Width: 80, Height: 24},
		"80x24-color": {Width: 80, Height: 24, Color: true},
		"80x24-ascii": {Width: 80, Height: 24, ASCII: true},
		"132x30":      {Width: 132, Height: 30},
		"80x12":       {Width: 80, Height: 12},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(s.Lines(view()), "\n") + "\n"
			path := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got), -update if it is meant:\n%s", diff)
			}
		})
	}
}

func TestLinesFillTheScreenExactly(t *testing.T) {
	sequence := regexp.MustCompile("\x1b\\[[0-9;]*m")
	for _, width := range []int{0, 1, 20, 79, 80, 81, 300} {
		for _, height := range []int{0, 1, 3, 4, 5, 24, 60} {
			for _, color := range []bool{false, true} {
				s := Screen{Width: width, Height: height, Color: color, ASCII: color}
				lines := s.Lines(view())
				if len(lines) != height {
					t.Errorf("%+v: got %d lines", s, len(lines))
				}
				for _, l := range lines {
					if n := utf8.RuneCountInString(sequence.ReplaceAllString(l, "")); n != width {
						t.Errorf("%+v: got %d cells: %q", s, n, l)
					}
				}
			}
		}
	}
}

func TestASCIIScreenIsASCII(t *testing.T) {
	for _, l := range (Screen{Width: 80, Height: 24, ASCII: true}).Lines(view()) {
		for _, r := range l {
			if r < ' ' || r > '~' {
				t.Errorf("got %q in %q", r, l)
			}
		}
	}
}

func TestTextOfSitesCannotSteerTheTerminal(t *testing.T) {
	for _, l := range (Screen{Width: 80, Height: 24}).Lines(view()) {
		if strings.ContainsAny(l, "\x1b\x00\r\n") {
			t.Errorf("got %q", l)
		}
	}
}

func TestStatesDifferWithoutColor(t *testing.T) {
	for _, ascii := range []bool{false, true} {
		seen := map[string]vedette.State{}
		for _, state := range states() {
			mark := Screen{ASCII: ascii}.mark(state)
			if other, taken := seen[mark]; taken {
				t.Errorf("%s and %s are both %q", state, other, mark)
			}
			seen[mark] = state
		}
	}
}

func TestDetect(t *testing.T) {
	for _, c := range []struct {
		name string
		env  map[string]string
		want Screen
	}{
		{"nothing known", nil, Screen{Color: true, ASCII: true}},
		{"UTF-8", map[string]string{"LANG": "de_DE.UTF-8"}, Screen{Color: true}},
		{"LC_ALL beats LANG", map[string]string{"LC_ALL": "C", "LANG": "en_US.utf8"}, Screen{Color: true, ASCII: true}},
		{"LC_CTYPE beats LANG", map[string]string{"LC_CTYPE": "C.utf8", "LANG": "C"}, Screen{Color: true}},
		{"NO_COLOR", map[string]string{"NO_COLOR": "1", "LANG": "C.UTF-8"}, Screen{}},
		{"dumb", map[string]string{"TERM": "dumb", "LANG": "C.UTF-8"}, Screen{}},
	} {
		if got := Detect(func(k string) string { return c.env[k] }, 0, 0); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestShortTimesFitSixCells(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0us", 99 * time.Microsecond: "99us", 150 * time.Microsecond: "0.1ms", 9999 * time.Microsecond: "10.0ms",
		600 * time.Millisecond: "600ms", 1500 * time.Millisecond: "1.5s", time.Hour: "60m",
	} {
		if got := short(d); got != want || len(got) > totalCells {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

func TestPaintBeginsAtHomeAndDoesNotScroll(t *testing.T) {
	if got, want := Paint([]string{"a", "b"}), "\x1b[Ha\r\nb"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
