package demo

import "strings"

// EnterScreen and LeaveScreen switch a terminal to its second screen, without cursor, and back
// to what it showed before.
const (
	EnterScreen = "\x1b[?1049h\x1b[?25l\x1b[2J"
	LeaveScreen = "\x1b[?25h\x1b[?1049l"
)

// Paint returns what to write to a terminal so that it shows the lines of [Screen.Lines]. It
// writes over what was there, which does not flicker. Erase the screen when its size changes.
func Paint(lines []string) string {
	return "\x1b[H" + strings.Join(lines, "\r\n")
}
