package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vedettehq/vedette"
)

func TestRegionsOfTellsSilenceFromFailure(t *testing.T) {
	vote := func(region string, state vedette.State, stale bool) vedette.Vote {
		return vedette.Vote{Region: region, Tally: vedette.Tally{State: state}, Stale: stale}
	}
	got := regionsOf(vedette.Status{Votes: []vedette.Vote{
		vote("fra", vedette.Down, false), vote("iad", vedette.Down, true), vote("sin", "", false),
	}})
	want := map[string]string{"fra": "down", "iad": "silent", "sin": "unknown"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := regionsOf(vedette.Status{Votes: []vedette.Vote{vote("", vedette.Up, false)}}); got != nil {
		t.Errorf("got %v where there are no regions", got)
	}
}
