package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vedettehq/vedette/app"
)

// statusColumns has regions where there are some.
func statusColumns(lines []app.MonitorStatus) []column[app.MonitorStatus] {
	all := []column[app.MonitorStatus]{
		{"monitor", func(m app.MonitorStatus) string { return string(m.ID) }},
		{"state", func(m app.MonitorStatus) string { return stateCell(m.State) }},
		{"for", func(m app.MonitorStatus) string { return ago(m.Since) }},
		{"checked", func(m app.MonitorStatus) string { return ago(m.CheckedAt) }},
		{"code", func(m app.MonitorStatus) string { return number(m.Code) }},
		{"took", func(m app.MonitorStatus) string { return milli(m.DurationMS) }},
		{"24h", func(m app.MonitorStatus) string { return uptime(m.Uptime24h) }},
		{"last failure", lastFailure},
	}
	if !slices.ContainsFunc(lines, func(m app.MonitorStatus) bool { return len(m.Regions) > 0 }) {
		return all
	}
	return slices.Insert(all, 2, column[app.MonitorStatus]{"regions", regions})
}

// regions says what each region says, or how many they are where all say the same.
func regions(m app.MonitorStatus) string {
	var says []string
	differ := false
	for _, name := range slices.Sorted(maps.Keys(m.Regions)) {
		says = append(says, name+" "+m.Regions[name])
		differ = differ || m.Regions[name] != string(m.State)
	}
	if len(says) > 1 && !differ {
		return fmt.Sprintf("all %d", len(says))
	}
	return strings.Join(says, ", ")
}
