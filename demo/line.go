package demo

import (
	"strings"
	"unicode"
)

// A style is the parameter of the terminal's SGR sequence; "" is none.
type style string

const (
	plain   style = ""
	bold    style = "1"
	faint   style = "2"
	good    style = "32"
	warning style = "33"
	bad     style = "1;31"
	calm    style = "36"
)

// A line is one line of a Screen being written from left to right.
type line struct {
	b     strings.Builder
	left  int // cells to the right edge
	color bool
	ascii bool
}

func (s Screen) line() *line { return &line{left: max(s.Width, 0), color: s.Color, ascii: s.ASCII} }

// text writes text into cells of that number, 0 for as many as it takes. What does not fit is
// cut off, and says so.
func (l *line) text(text string, cells int, st style) {
	l.put(l.safe(text), cells, st)
}

// put writes runes that take one cell each.
func (l *line) put(runes []rune, cells int, st style) {
	if cells <= 0 {
		cells = len(runes)
	}
	cells = min(cells, l.left)
	if len(runes) > cells {
		runes = runes[:cells]
		if cells > 3 {
			runes = append(runes[:cells-1], l.ellipsis())
		}
	}
	l.left -= cells
	colored := l.color && st != plain && len(runes) > 0
	if colored {
		l.b.WriteString("\x1b[" + string(st) + "m")
	}
	l.b.WriteString(string(runes))
	if colored {
		l.b.WriteString("\x1b[0m")
	}
	l.b.WriteString(strings.Repeat(" ", cells-len(runes)))
}

// squeezed writes text up to the right edge. What does not fit is cut out of its middle, since
// failures end with the values.
func (l *line) squeezed(text string) {
	runes := l.safe(text)
	if over := len(runes) - l.left; over > 0 && l.left > 3 {
		head := (l.left - 1) / 2
		tail := runes[head+over+1:]
		runes = append(append(runes[:head:head], l.ellipsis()), tail...)
	}
	l.put(runes, 0, plain)
}

// gap leaves one cell free.
func (l *line) gap() { l.text(" ", 1, plain) }

// String returns the whole line, filled up to the right edge, so that writing it over an older
// one leaves nothing of that.
func (l *line) String() string {
	return l.b.String() + strings.Repeat(" ", l.left)
}

func (l *line) ellipsis() rune {
	if l.ascii {
		return '~'
	}
	return '…'
}

// safe replaces what would not take exactly one cell: sites choose what their failures say.
func (l *line) safe(text string) []rune {
	runes := []rune(text)
	for i, r := range runes {
		switch {
		case unicode.IsControl(r):
			runes[i] = ' '
		case l.ascii && r == '→':
			runes[i] = '>'
		case r < unicode.MaxASCII, !l.ascii && oneCell(r):
		default:
			runes[i] = '?'
		}
	}
	return runes
}

// oneCell knows the letters of Europe, some punctuation, and the marks that we draw with.
func oneCell(r rune) bool {
	switch {
	case r >= 0x2010 && r <= 0x2027, r >= 0x2500 && r <= 0x259f, r == '‖', r == '→':
		return true
	}
	return r >= 0xa0 && r < 0x530 && r != 0xad && !unicode.Is(unicode.M, r)
}
