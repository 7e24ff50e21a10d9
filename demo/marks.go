package demo

import (
	"time"

	"github.com/vedettehq/vedette"
)

func states() []vedette.State {
	return []vedette.State{
		vedette.Up, vedette.Degraded, vedette.Down,
		vedette.Unknown, vedette.Maintenance, vedette.Paused,
	}
}

func styleOf(s vedette.State) style {
	switch s {
	case vedette.Up:
		return good
	case vedette.Degraded:
		return warning
	case vedette.Down:
		return bad
	case vedette.Maintenance:
		return calm
	case vedette.Unknown, vedette.Paused:
	}
	return faint
}

func stateWord(s vedette.State) string {
	if s == vedette.Maintenance {
		return "maint" // fits, and says it
	}
	return string(s)
}

// mark is one cell that says a state by its shape, so that it can be told without colour.
func (s Screen) mark(state vedette.State) string {
	marks := map[vedette.State][2]string{
		vedette.Up:          {"█", "="},
		vedette.Degraded:    {"▄", "~"},
		vedette.Down:        {"×", "x"},
		vedette.Maintenance: {"─", "-"},
		vedette.Paused:      {"‖", "p"},
	}
	mark, known := marks[state]
	switch {
	case !known && s.ASCII:
		return "."
	case !known:
		return "·"
	case s.ASCII:
		return mark[1]
	}
	return mark[0]
}

// A phase is how one phase of a look is drawn: by the first letter of its name.
type phase struct {
	name  string
	style style
	of    func(vedette.Phases) time.Duration
}

func phases() []phase {
	return []phase{
		{"dns", "30;45", func(p vedette.Phases) time.Duration { return p.DNS }},
		{"con", "30;44", func(p vedette.Phases) time.Duration { return p.Connect }},
		{"tls", "30;46", func(p vedette.Phases) time.Duration { return p.TLS }},
		{"req", "30;43", func(p vedette.Phases) time.Duration { return p.Request }},
		{"wait", "30;42", func(p vedette.Phases) time.Duration { return p.TTFB }},
		{"xfer", "30;47", func(p vedette.Phases) time.Duration { return p.Transfer }},
	}
}

func (s Screen) phaseStyle(p phase, without style) style {
	if s.Color {
		return p.style
	}
	return without
}
