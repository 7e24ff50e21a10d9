package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/vedettehq/vedette"
)

// A Screen draws a View as lines for a terminal.
type Screen struct {
	Width, Height int
	Color         bool
	ASCII         bool // draw with nothing but ASCII
}

// Detect returns a Screen that suits the environment: no colour if NO_COLOR is set or the
// terminal is dumb, ASCII if the locale is not UTF-8. env is os.Getenv.
func Detect(env func(string) string, width, height int) Screen {
	locale := env("LC_ALL")
	for _, name := range []string{"LC_CTYPE", "LANG"} {
		if locale == "" {
			locale = env(name)
		}
	}
	locale = strings.ReplaceAll(strings.ToLower(locale), "-", "")
	return Screen{
		Width: width, Height: height,
		Color: env("NO_COLOR") == "" && env("TERM") != "dumb",
		ASCII: !strings.Contains(locale, "utf8"),
	}
}

// Lines draws v as exactly Height lines of exactly Width cells: two of heading, the rows, and
// two of footer. Rows that do not fit are counted in the last line of the rows.
func (s Screen) Lines(v View) []string {
	lines := []string{s.title(v.Rows), s.heading()}
	room := max(s.Height-4, 0)
	for i, r := range v.Rows {
		if i == room-1 && len(v.Rows) > room {
			l := s.line()
			l.text(fmt.Sprintf("and %d more: make the window higher", len(v.Rows)-i), s.Width, plain)
			lines = append(lines, l.String())
		}
		if len(lines) < room+2 {
			lines = append(lines, s.row(r))
		}
	}
	for len(lines) < room+2 {
		lines = append(lines, s.line().String())
	}
	lines = append(lines, s.numbers(v.Footer), s.keys(v))
	return lines[:min(max(s.Height, 0), len(lines))]
}

const (
	nameCells    = 11
	stateCells   = 8
	confirmCells = 3
	totalCells   = 6
	barCells     = 6
)

// pastCells is 8 at 80 columns and gets a third of what there is more.
func (s Screen) pastCells() int { return 8 + min(max(s.Width-80, 0)/3, 50) }

func (s Screen) title(rows []Row) string {
	l := s.line()
	l.text("Vedette demo, loopback only:", 0, bold)
	for _, state := range states() {
		n := 0
		for _, r := range rows {
			if r.State == state {
				n++
			}
		}
		if n > 0 {
			l.text(fmt.Sprintf(" %d %s", n, stateWord(state)), 0, styleOf(state))
		}
	}
	return l.String()
}

func (s Screen) heading() string {
	l := s.line()
	l.text("NAME", nameCells+1, faint)
	l.text("STATE", stateCells+1, faint)
	l.text("CNF", confirmCells+1, faint)
	l.text("PAST", s.pastCells()+1, faint)
	l.text(" TOTAL", totalCells+1, faint)
	for _, p := range phases() {
		l.text(p.name, 0, s.phaseStyle(p, faint))
		l.text(" ", 0, plain)
	}
	l.text(" FAILURE", 0, faint)
	return l.String()
}

func (s Screen) row(r Row) string {
	l := s.line()
	l.text(r.Name, nameCells, plain)
	l.gap()
	l.text(stateWord(r.State), stateCells, styleOf(r.State))
	l.gap()
	confirm := ""
	if r.Need > 0 {
		confirm = fmt.Sprintf("%d/%d", r.Streak, r.Need)
	}
	l.text(confirm, confirmCells, plain)
	l.gap()
	s.past(l, r.Past)
	l.gap()
	total := ""
	if t := r.Phases.Total(); t > 0 {
		total = short(t)
	}
	l.text(fmt.Sprintf("%*s", totalCells, total), totalCells, plain)
	l.gap()
	s.bar(l, r.Phases)
	l.gap()
	failure := r.Failure
	if r.Muted != "" {
		failure = "hidden by " + r.Muted + ", which is down"
	}
	l.squeezed(failure)
	return l.String()
}

// past draws the newest states at the right.
func (s Screen) past(l *line, past []vedette.State) {
	n := s.pastCells()
	past = past[max(len(past)-n, 0):]
	l.text("", n-len(past), plain)
	for _, state := range past {
		l.text(s.mark(state), 1, styleOf(state))
	}
}

// bar divides its cells among the phases by their share of the time, a letter each.
func (s Screen) bar(l *line, p vedette.Phases) {
	total := p.Total()
	if total <= 0 {
		l.text("", barCells, plain)
		return
	}
	spent, drawn := time.Duration(0), 0
	for _, phase := range phases() {
		spent += phase.of(p)
		upTo := int((spent*barCells + total/2) / total)
		l.text(strings.Repeat(phase.name[:1], upTo-drawn), upTo-drawn, s.phaseStyle(phase, plain))
		drawn = upTo
	}
}

func (s Screen) numbers(f Footer) string {
	l := s.line()
	l.text(fmt.Sprintf("%.1f checks/s  lag p99 %s  ", f.ChecksPerSecond, short(f.LagP99)), 0, plain)
	style := plain
	if f.Missed > 0 {
		style = bad
	}
	l.text(fmt.Sprintf("missed %d", f.Missed), 0, style)
	l.text(fmt.Sprintf("  CPU %.1f%%  acknowledged %d, stored %d", f.CPU*100, f.Acknowledged, f.Stored), 0, plain)
	return l.String()
}

func (s Screen) keys(v View) string {
	l := s.line()
	l.text("k kill -9  q quit  ", 0, bold)
	note := v.Footer.Note
	if note == "" && v.Config != "" {
		note = "edit " + v.Config
	}
	l.text(note, 0, plain)
	return l.String()
}

// short writes a duration in at most six cells.
func short(d time.Duration) string {
	switch {
	case d < 100*time.Microsecond:
		return fmt.Sprintf("%dus", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1fms", d.Seconds()*1000)
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 100*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return fmt.Sprintf("%.0fm", d.Minutes())
}
