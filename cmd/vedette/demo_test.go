package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// The demo is a self-test of the whole: every kind of misbehaviour is seen for what it is.
func TestDemoSeesWhatItWants(t *testing.T) {
	cmd := program(t, "demo", "--for", "20s", "-o", "json")
	out, err := cmd.Output()
	var r report
	if e := json.Unmarshal(out, &r); e != nil {
		t.Fatalf("%v: %v: %s", err, e, out)
	}
	for _, s := range r.Sites {
		if !s.OK {
			t.Errorf("%s: wanted %+v, seen %+v", s.Site, s.Wanted, s.Seen)
		}
	}
	if err != nil || !r.OK || r.Acknowledged != r.Stored {
		t.Errorf("%v: ok %v, %d acknowledged, %d stored", err, r.OK, r.Acknowledged, r.Stored)
	}
}

// Without a terminal the demo says where its configuration is and then each event, as JSON lines.
func TestDemoTellsEventsWithoutTerminal(t *testing.T) {
	cmd := program(t, "demo", "--for", "6s")
	out, _ := cmd.Output() // six seconds are too short to see all: it may exit 1
	var events []event
	for line := range strings.Lines(string(out)) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		events = append(events, e)
	}
	if len(events) < 5 || events[0].Event != "started" || events[0].Config == "" {
		t.Fatalf("events %+v", events)
	}
	for _, e := range events[1:] {
		if e.Event != "state" || e.Site == "" || e.State == "" || time.Since(e.At) > time.Minute {
			t.Errorf("event %+v", e)
		}
	}
}
