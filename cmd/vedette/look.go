package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/app"
)

// A phase is one part of a look's time, with its colour and its letter in the bar.
type phase struct {
	name   string
	took   time.Duration
	color  text.Color
	letter string
}

func phasesOf(p vedette.Phases) []phase {
	return []phase{
		{"dns", p.DNS, text.FgCyan, "d"},
		{"connect", p.Connect, text.FgBlue, "c"},
		{"tls", p.TLS, text.FgMagenta, "t"},
		{"request", p.Request, text.FgHiBlack, "r"},
		{"ttfb", p.TTFB, text.FgYellow, "w"},
		{"transfer", p.Transfer, text.FgGreen, "x"},
	}
}

// showLook prints what one look saw: its state, the phases as a bar, and what failed.
func showLook(w io.Writer, l looked) {
	color := colored(w)
	state := string(l.State)
	if color {
		state = stateCell(l.State)
	}
	code := ""
	if l.Code != 0 {
		code = fmt.Sprintf("  %d", l.Code)
	}
	name := ""
	if l.name != l.url {
		name = l.name + "  "
	}
	fmt.Fprintf(w, "%s  %s%s%s  %s\n", state, name, app.MaskURL(l.url), code, took(l.Phases.Total()))
	if l.Failure != nil {
		fmt.Fprintf(w, "  %s: %s\n", l.Failure.Kind, l.Failure.Message)
	}
	if len(l.Hops) > 1 {
		for _, h := range l.Hops {
			fmt.Fprintf(w, "  %-10s %d  %s\n", took(h.Phases.Total()), h.Code, h.URL)
		}
	}
	showPhases(w, l.Phases, color)
	var facts []string
	if l.Addr != "" {
		facts = append(facts, "address "+l.Addr)
	}
	if !l.CertNotAfter.IsZero() {
		facts = append(facts, fmt.Sprintf("certificate ends %s (%.0f days)", l.CertNotAfter.UTC().Format(time.DateOnly), time.Until(l.CertNotAfter).Hours()/24))
	}
	if len(facts) > 0 {
		fmt.Fprintln(w, "  "+strings.Join(facts, ", "))
	}
}

// barWidth is how many characters the longest look fills.
const barWidth = 60

func showPhases(w io.Writer, p vedette.Phases, color bool) {
	total := p.Total()
	if total <= 0 {
		return
	}
	var bar strings.Builder
	var said []string
	var sum time.Duration
	drawn, width := 0, barWidth
	if cells := terminalWidth(w); cells > 0 {
		width = max(min(width, cells-2), 1)
	}
	for _, one := range phasesOf(p) {
		sum += one.took
		n := int(float64(sum)/float64(total)*float64(width)+0.5) - drawn
		drawn += n
		cell, name := strings.Repeat(one.letter, n), one.letter+" "+one.name
		if color {
			cell, name = one.color.Sprint(strings.Repeat("█", n)), one.color.Sprint(one.name)
		}
		bar.WriteString(cell)
		if one.took > 0 {
			said = append(said, name+" "+took(one.took))
		}
	}
	fmt.Fprintf(w, "  %s\n  %s\n", bar.String(), strings.Join(said, "  "))
}

// took says how long something took.
func took(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%dµs", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1fms", float64(d)/1e6)
	case d < time.Second:
		return fmt.Sprintf("%.0fms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.2fs", d.Seconds())
}

// nagios prints a line a site by the convention of its plugins: words, a bar, performance
// data in seconds.
func nagios(w io.Writer, seen []looked) error {
	worst := 0
	rank := map[int]int{0: 0, 1: 1, 3: 2, 2: 3} // critical outranks unknown outranks warning
	for _, l := range seen {
		word, code := "UNKNOWN", 3
		switch l.State {
		case vedette.Up:
			word, code = "OK", 0
		case vedette.Degraded:
			word, code = "WARNING", 1
		case vedette.Down:
			word, code = "CRITICAL", 2
		}
		say := took(l.Phases.Total())
		if l.Code != 0 {
			say = fmt.Sprintf("%d in %s", l.Code, say)
		}
		if l.Failure != nil {
			say = string(l.Failure.Kind) + ": " + strings.ReplaceAll(l.Failure.Message, "|", "/")
		}
		fmt.Fprintf(w, "%s - %s %s | time=%.6fs", word, l.name, say, l.Phases.Total().Seconds())
		for _, p := range phasesOf(l.Phases) {
			fmt.Fprintf(w, " %s=%.6fs", p.name, p.took.Seconds())
		}
		fmt.Fprintln(w)
		if rank[code] > rank[worst] {
			worst = code
		}
	}
	if worst == 0 {
		return nil
	}
	return exitCode(worst)
}
