// Package when says when things are due: durations with days and years, beats that spread
// monitors evenly over their interval, and cron expressions and calendars in named zones. It is
// pure: the present time is always an argument.
package when

// The time zone database is part of the binary, so that a named zone means the same on a
// machine that has none.
import _ "time/tzdata"
