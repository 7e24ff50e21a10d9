package main

import (
	"cmp"
	"slices"
	"strings"

	"github.com/vedettehq/vedette/app"
	"github.com/vedettehq/vedette/manifest"
)

// looks reports whether the process is one that looks.
func (f upFlags) looks() bool { return len(f.roles) == 0 || slices.Contains(f.roles, "watch") }

// who says which part of the work is this process's, or nothing if all of it is.
func (f upFlags) who(file *manifest.File) string {
	var parts []string
	if len(f.roles) > 0 {
		parts = append(parts, strings.Join(f.roles, ", "))
	}
	if region := cmp.Or(f.region, file.Region); region != "" && f.looks() {
		parts = append(parts, "from "+region)
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, " ") + ": "
}

// way says where results and jobs go.
func way(a *app.App) string {
	store := "in " + app.MaskURL(a.Store())
	if strings.HasPrefix(a.Store(), "redis") {
		return "jobs " + store
	}
	if queue := a.Queue(); queue != "" {
		store += ", jobs in " + app.MaskURL(queue)
	}
	if through := a.File().Results; through != "" {
		return "results through " + through + " " + store
	}
	return "results " + store
}
