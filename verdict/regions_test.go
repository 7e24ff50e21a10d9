package verdict_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/verdict"
)

// from folds a look from a region and says whether it counted.
func from(m vedette.Monitor, s *vedette.Status, region string, at time.Time, state vedette.State) bool {
	r := look(m, at, state)
	r.Region = region
	out := verdict.Fold(m, *s, r, false, nil)
	*s = out.Status
	return out.Result.Seq != 0
}

func TestOnlyNamedRegionsVote(t *testing.T) {
	m := monitor("shop")
	m.Confirm.Down, m.Regions = 1, []string{"fra", "iad"}
	var s vedette.Status
	if from(m, &s, "elsewhere", t0, vedette.Down) || len(s.Votes) != 0 {
		t.Errorf("a region that does not look has voted: %+v", s.Votes)
	}
	if !from(m, &s, "fra", t0, vedette.Up) || !from(m, &s, "iad", t0, vedette.Down) || s.State != vedette.Down {
		t.Errorf("state %s, want down by iad", s.State)
	}
	m.Regions = []string{"fra"}
	if !from(m, &s, "fra", t0.Add(time.Second), vedette.Up) || s.State != vedette.Up {
		t.Errorf("state %s after iad was taken out, want up", s.State)
	}
	for _, end := range verdict.Silence(m, s, t0.Add(time.Hour)) {
		if end.Region != "fra" {
			t.Errorf("the vote of %s is ended again and again", end.Region)
		}
	}
}

func TestRegionsAreBounded(t *testing.T) {
	m := monitor("shop")
	var s vedette.Status
	for i := range 200 {
		from(m, &s, fmt.Sprintf("r%03d", i), t0.Add(time.Duration(i)*time.Millisecond), vedette.Up)
	}
	if len(s.Votes) != 64 {
		t.Errorf("%d votes of 200 regions are kept, want 64", len(s.Votes))
	}
	if !from(m, &s, "r000", t0.Add(time.Second), vedette.Up) {
		t.Error("a region that has voted does not count any more")
	}
}
