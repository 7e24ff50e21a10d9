package main

import (
	"bytes"
	"strings"
	"testing"
)

// On a terminal, words that do not fit beside a line of a table go below it, whole.
func TestWordsThatDoNotFitGoBelow(t *testing.T) {
	for _, c := range []struct {
		name  string
		width int
		words string
		want  string
	}{
		{"no terminal", 0, strings.Repeat("word ", 30) + "end", "home  down  " + strings.Repeat("word ", 30) + "end\n"},
		{"room", 60, "status is 503", "home  down  status is 503\n"},
		{"too long", 50, "status is 503, want 200-299, and so on and on", "home  down\n  status is 503, want 200-299, and so on and on\n"},
		{"narrow", 20, "status is 503, want 200", "home  down\n  status is 503,\n  want 200\n"},
		{"narrower than its columns", 8, "", "home  d…\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			liner{w: &b, width: c.width, taken: len("home  down  ")}.put("home  down  ", c.words, false)
			if b.String() != c.want {
				t.Errorf("got %q, want %q", b.String(), c.want)
			}
		})
	}
}
