package main

import (
	"testing"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/app"
)

func TestStatusSaysWhichRegionSaysWhat(t *testing.T) {
	for want, m := range map[string]app.MonitorStatus{
		"":                   {State: vedette.Up},
		"fra up":             {State: vedette.Up, Regions: map[string]string{"fra": "up"}},
		"all 2":              {State: vedette.Up, Regions: map[string]string{"fra": "up", "iad": "up"}},
		"fra up, iad silent": {State: vedette.Unknown, Regions: map[string]string{"iad": "silent", "fra": "up"}},
	} {
		if got := regions(m); got != want {
			t.Errorf("%v: got %q, want %q", m.Regions, got, want)
		}
	}
	plain, regional := []app.MonitorStatus{{}}, []app.MonitorStatus{{}, {Regions: map[string]string{"fra": "up"}}}
	if a, b := len(statusColumns(plain)), len(statusColumns(regional)); b != a+1 {
		t.Errorf("%d columns without regions, %d with some", a, b)
	}
}
