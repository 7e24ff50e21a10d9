package demo

import (
	"time"

	"github.com/vedettehq/vedette"
)

// A View is what a [Screen] shows.
type View struct {
	Rows   []Row // in the order in which to show them
	Footer Footer
	Config string // path of the file to edit
}

// A Row is what there is to see of one site.
type Row struct {
	Name  string
	State vedette.State
	// Streak is how many looks in a row contradict State, of the Need that change it. A Need
	// of 0 shows neither.
	Streak, Need int
	Past         []vedette.State // what looks saw, oldest first
	Phases       vedette.Phases  // of the last look
	Failure      string          // of the last look, or the last that failed
	Muted        string          // the parent that hides the down, if one does
}

// A Footer is what there is to see of the watcher itself.
type Footer struct {
	ChecksPerSecond float64
	LagP99          time.Duration
	Missed          int64
	CPU             float64 // seconds of CPU a second
	Acknowledged    int64   // results that the store said it keeps
	Stored          int64   // results found in it
	Note            string  // replaces the invitation to edit Config
}
