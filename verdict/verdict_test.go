package verdict_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/verdict"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// letters abbreviates what a look said.
var letters = map[rune]vedette.State{
	'u': vedette.Up, 'w': vedette.Degraded, 'd': vedette.Down, '?': vedette.Unknown,
}

func monitor(id string) vedette.Monitor {
	return vedette.Monitor{
		ID: vedette.MonitorID(id), Meta: vedette.Meta{Name: id, Version: 1},
		Interval: 10 * time.Second, Timeout: 5 * time.Second, Confirm: vedette.Confirm{Down: 3, Up: 2},
	}
}

func look(m vedette.Monitor, at time.Time, s vedette.State) vedette.Result {
	r := vedette.Result{ID: vedette.NewID(at), Monitor: m.ID, Token: 1, StartedAt: at, State: s}
	if s != vedette.Up {
		r.Failure = &vedette.Failure{Kind: vedette.KindStatus, Message: "status is 500, want 200-299"}
	}
	return r
}

// play folds a look for each letter, an interval apart, and returns the state after each, the
// incidents by their letters (o opened, c closed) and the last status.
func play(m vedette.Monitor, looks string) (states, incidents string, s vedette.Status) {
	at := t0
	for _, l := range looks {
		out := verdict.Fold(m, s, look(m, at, letters[l]), false, nil)
		s = out.Status
		states += string(s.State)[:2] + " "
		switch {
		case out.Incident == nil:
			incidents += "."
		case out.Incident.Closed.IsZero():
			incidents += "o"
		default:
			incidents += "c"
		}
		at = at.Add(m.Interval)
	}
	return strings.TrimSpace(states), incidents, s
}

func TestFoldConfirmsChanges(t *testing.T) {
	for _, c := range []struct{ name, looks, states, incidents string }{
		{"the first success is believed at once", "u", "up", "."},
		{"a failure must come three times, at the start too", "ddd", "un un do", "..o"},
		{"two failures are nothing", "udduu", "up up up up up", "....."},
		{"down needs two successes to end", "udddudu" + "u", "up up up do do do do up", "...o...c"},
		{"a warning is believed at once and opens nothing", "uwuw", "up de up de", "...."},
		{"degraded goes down like up does", "wdddww", "de de de do do de", "...o.c"},
		{"unknown is shown and counts for nothing", "u?d?d?du", "up un up un up un do do", "......o."},
		{"unknown in the middle of an incident keeps it open", "uddd?d", "up up up do un do", "...o.."},
		{"and does not end a recovery", "udddu?u", "up up up do do un up", "...o..c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			states, incidents, _ := play(monitor("a"), c.looks)
			if states != c.states || incidents != c.incidents {
				t.Errorf("looks %s: states %q incidents %q, want %q %q", c.looks, states, incidents, c.states, c.incidents)
			}
		})
	}
}

func TestIncidentRunsFromFirstFailureToFirstSuccess(t *testing.T) {
	m := monitor("a")
	_, _, s := play(m, "uuddd")
	if want := t0.Add(20 * time.Second); !s.Incident.Opened.Equal(want) || !s.Since.Equal(want) {
		t.Errorf("opened %v, since %v, want %v", s.Incident.Opened, s.Since, want)
	}
	s = verdict.Fold(m, s, look(m, t0.Add(50*time.Second), vedette.Up), false, nil).Status
	out := verdict.Fold(m, s, look(m, t0.Add(60*time.Second), vedette.Up), false, nil)
	if want := t0.Add(50 * time.Second); !out.Incident.Closed.Equal(want) || out.Incident.Reason != "recovered" {
		t.Errorf("closed %v for %q, want %v recovered", out.Incident.Closed, out.Incident.Reason, want)
	}
	if out.Incident.Cause.Kind != vedette.KindStatus {
		t.Errorf("cause %v, want that of the failure", out.Incident.Cause)
	}
}

func TestLateResultIsHistoryOnly(t *testing.T) {
	m := monitor("a")
	_, _, s := play(m, "uddd")
	s.Votes[0].Last.Token = 7
	for name, r := range map[string]vedette.Result{
		"an older look":                        look(m, t0.Add(15*time.Second), vedette.Up),
		"a look by an owner that was replaced": look(m, t0.Add(time.Hour), vedette.Up),
		"the same look again":                  s.Votes[0].Last,
	} {
		out := verdict.Fold(m, s, r, false, nil)
		if out.Result.Seq != 0 || out.Incident != nil || cmp.Diff(s, out.Status) != "" {
			t.Errorf("%s: seq %d, incident %v, diff %s; want nothing changed", name, out.Result.Seq, out.Incident, cmp.Diff(s, out.Status))
		}
	}
	ahead := look(m, t0.Add(time.Minute), vedette.Up)
	ahead.Token = 8
	if out := verdict.Fold(m, s, ahead, false, nil); out.Result.Seq != s.Seq+1 {
		t.Errorf("a look by the new owner has seq %d, want %d", out.Result.Seq, s.Seq+1)
	}
}

// A watcher whose clock was an hour ahead made a look; the next owner's looks are earlier by
// the clock and must count all the same.
func TestClockAheadDoesNotFreezeStatus(t *testing.T) {
	m := monitor("a")
	s := verdict.Fold(m, vedette.Status{}, look(m, t0.Add(time.Hour), vedette.Up), false, nil).Status
	for i := range 3 {
		r := look(m, t0.Add(time.Duration(i)*m.Interval), vedette.Down)
		r.Token = 2
		s = verdict.Fold(m, s, r, false, nil).Status
	}
	if s.State != vedette.Down {
		t.Errorf("state %s, want down", s.State)
	}
}

func TestParentHidesChild(t *testing.T) {
	parent, child := monitor("gateway"), monitor("shop")
	parent.Interval, child.Interval = time.Minute, 5*time.Second
	type at struct {
		second int
		who    string
		say    vedette.State
	}
	for _, c := range []struct {
		name   string
		looks  []at
		opened string // who opened an incident, at which second
		muted  string // of the child, at the end
	}{
		{
			"a parent that is down",
			[]at{{0, "p", "down"}, {10, "p", "down"}, {20, "p", "down"}, {21, "c", "down"}, {26, "c", "down"}, {31, "c", "down"}},
			"p20", "gateway",
		},
		{
			"a slower parent, not looked at since the child began to fail",
			[]at{{0, "p", "up"}, {5, "c", "down"}, {10, "c", "down"}, {15, "c", "down"}, {60, "p", "down"}, {65, "c", "down"}, {70, "p", "down"}, {80, "p", "down"}, {85, "c", "down"}},
			"p80", "gateway",
		},
		{
			"a parent that was looked at after and is up hides nothing",
			[]at{{0, "p", "up"}, {5, "c", "down"}, {10, "c", "down"}, {15, "c", "down"}, {60, "p", "up"}, {65, "c", "down"}},
			"c65", "",
		},
		{
			"doubt ends when the parent had time enough to be found down",
			[]at{{0, "p", "up"}, {5, "c", "down"}, {10, "c", "down"}, {15, "c", "down"}, {180, "c", "down"}, {195, "c", "down"}},
			"c195", "",
		},
		{
			"a child that stays down while its parent goes down and up",
			[]at{{0, "p", "down"}, {10, "p", "down"}, {20, "p", "down"}, {21, "c", "down"}, {26, "c", "down"}, {31, "c", "down"}, {60, "p", "up"}, {70, "p", "up"}, {71, "c", "down"}},
			"p20 c71", "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p, s vedette.Status
			var got []string
			for _, l := range c.looks {
				when := t0.Add(time.Duration(l.second) * time.Second)
				var out verdict.Outcome
				if l.who == "p" {
					out = verdict.Fold(parent, p, look(parent, when, l.say), false, nil)
					p = out.Status
				} else {
					out = verdict.Fold(child, s, look(child, when, l.say), false, []verdict.Parent{{Monitor: parent, Status: p}})
					s = out.Status
				}
				if out.Incident != nil && out.Incident.Closed.IsZero() {
					got = append(got, fmt.Sprint(l.who, l.second))
				}
			}
			if opened := strings.Join(got, " "); opened != c.opened || s.Muted != c.muted {
				t.Errorf("opened %q, muted by %q; want %q, %q", opened, s.Muted, c.opened, c.muted)
			}
		})
	}
}

// A parent that nobody looks at, or that nobody can look at, hides nothing, whatever was last
// known of it.
func TestParentThatIsNotLookedAtHidesNothing(t *testing.T) {
	parent, child := monitor("gateway"), monitor("shop")
	parent.Interval, child.Confirm.Down = time.Hour, 1
	_, _, down := play(parent, "ddd")
	at := t0.Add(2*time.Hour + 50*time.Second)
	unknown := verdict.Fold(parent, down, look(parent, at, vedette.Unknown), false, nil).Status
	paused := parent
	paused.Paused = true
	for name, p := range map[string]verdict.Parent{
		"down":                                   {Monitor: parent, Status: down},
		"unknown":                                {Monitor: parent, Status: unknown},
		"paused, and the recorder has not heard": {Monitor: paused, Status: down},
		"paused":                                 {Monitor: paused, Status: verdict.Pause(down, at).Status},
	} {
		out := verdict.Fold(child, vedette.Status{}, look(child, at.Add(-time.Second), vedette.Down), false, []verdict.Parent{p})
		if hidden := out.Incident == nil; hidden != (name == "down") {
			t.Errorf("a parent that is %s: hidden %v", name, hidden)
		}
	}
}

func TestMaintenanceClosesAndOpensNothing(t *testing.T) {
	m := monitor("a")
	_, _, s := play(m, "uddd")
	out := verdict.Fold(m, s, look(m, t0.Add(time.Minute), vedette.Down), true, nil)
	if out.Status.State != vedette.Maintenance || out.Incident == nil || out.Incident.Reason != "maintenance" || !out.Result.Maintenance {
		t.Fatalf("state %s, incident %+v", out.Status.State, out.Incident)
	}
	out = verdict.Fold(m, out.Status, look(m, t0.Add(70*time.Second), vedette.Down), false, nil)
	if out.Status.State != vedette.Down || out.Incident == nil || !out.Incident.Opened.Equal(t0.Add(70*time.Second)) {
		t.Errorf("after the window: state %s, incident %+v; want a new one from the end of it", out.Status.State, out.Incident)
	}
}

func TestPauseAndRemoveCloseTheIncident(t *testing.T) {
	m := monitor("a")
	_, _, s := play(m, "uddd")
	at := t0.Add(time.Minute)
	for reason, end := range map[string]func(vedette.Status, time.Time) verdict.Outcome{"paused": verdict.Pause, "removed": verdict.Remove} {
		out := end(s, at)
		if out.Incident == nil || out.Incident.Reason != reason || !out.Incident.Closed.Equal(at) || out.Status.State != vedette.Paused {
			t.Errorf("%s: %+v", reason, out)
		}
	}
	paused := m
	paused.Paused = true
	out := verdict.Fold(paused, verdict.Pause(s, at).Status, look(m, at.Add(time.Second), vedette.Down), false, nil)
	if out.Result.Seq != 0 || out.Status.State != vedette.Paused {
		t.Errorf("a look that was in flight changed a paused status: %+v", out)
	}
	s = verdict.Resume(verdict.Pause(s, at).Status, at.Add(time.Minute))
	s = verdict.Fold(m, s, look(m, at.Add(2*time.Minute), vedette.Down), false, nil).Status
	if s.State != vedette.Unknown || s.Votes[0].Streak != 1 {
		t.Errorf("resumed: state %s, streak %d; want counting to begin anew", s.State, s.Votes[0].Streak)
	}
}

func TestSilenceEndsAVoteAndLateLooksStillCount(t *testing.T) {
	m := monitor("a")
	_, _, s := play(m, "uu")
	if ends := verdict.Silence(m, s, t0.Add(35*time.Second)); len(ends) != 0 {
		t.Fatalf("silence after 25s: %v, want none before %v", ends, verdict.Fresh(m))
	}
	ends := verdict.Silence(m, s, t0.Add(40*time.Second))
	if len(ends) != 1 {
		t.Fatalf("silence after 30s: %v, want one", ends)
	}
	s = verdict.Fold(m, s, ends[0], false, nil).Status
	if s.State != vedette.Unknown || len(verdict.Silence(m, s, t0.Add(time.Hour))) != 0 {
		t.Errorf("state %s, want unknown, and said once", s.State)
	}
	// What was seen in the silence arrives after it.
	for i := range 3 {
		s = verdict.Fold(m, s, look(m, t0.Add(20*time.Second+time.Duration(i)*5*time.Second), vedette.Down), false, nil).Status
	}
	if s.State != vedette.Down {
		t.Errorf("state %s, want down by looks that came late but in order", s.State)
	}
}

func TestQuorum(t *testing.T) {
	m := monitor("a")
	m.Quorum, m.Confirm = 2, vedette.Confirm{Down: 1, Up: 1}
	for _, c := range []struct{ name, looks, want string }{
		{"two of three down", "Ad Bd Cu", "down"},
		{"one of three down", "Ad Bu Cu", "degraded"},
		{"one region alone says too little", "Ad", "unknown"},
		{"an unknown vote does not count", "Ad B? Cd", "down"},
		{"two unknown, one down", "A? B? Cd", "unknown"},
		{"all up", "Au Bu Cu", "up"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s vedette.Status
			for i, l := range strings.Fields(c.looks) {
				r := look(m, t0.Add(time.Duration(i)*time.Second), letters[rune(l[1])])
				r.Region = l[:1]
				s = verdict.Fold(m, s, r, false, nil).Status
			}
			if string(s.State) != c.want {
				t.Errorf("state %s, want %s", s.State, c.want)
			}
		})
	}
}

func TestUptimeIsWeightedByTime(t *testing.T) {
	m := monitor("a")
	hour := t0.Truncate(time.Hour)
	at := func(second int, s vedette.State) vedette.Result {
		return look(m, hour.Add(time.Duration(second)*time.Second), s)
	}
	window := at(3550, vedette.Down)
	window.Maintenance = true
	results := []vedette.Result{
		at(-5, vedette.Up), at(5, vedette.Down), at(15, vedette.Up), at(25, vedette.Degraded),
		at(45, vedette.Unknown), at(100, vedette.Up), window, at(3570, vedette.Up), at(3620, vedette.Down),
	}
	got := verdict.Spend(m, results, hour, hour.Add(time.Hour))
	want := vedette.Spent{
		Up:          (5 + 10 + 25 + 25) * time.Second, // a look speaks for 25 s
		Degraded:    20 * time.Second,
		Down:        10 * time.Second,
		Maintenance: 20 * time.Second,
		Unknown:     55*time.Second + (3550-125)*time.Second + 5*time.Second,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spent (-want +got):\n%s", diff)
	}
}

func TestMaintenanceIsSpentOnlyWhileALookSpeaks(t *testing.T) {
	m := monitor("a")
	planned := look(m, t0, vedette.Down)
	planned.Maintenance = true
	got := verdict.Spend(m, []vedette.Result{planned}, t0, t0.Add(time.Minute))
	if want := (vedette.Spent{Maintenance: 25 * time.Second, Unknown: 35 * time.Second}); got != want {
		t.Errorf("spent %+v after one look in a window and then none, want %+v", got, want)
	}
	other := look(m, t0.Add(time.Minute), vedette.Up)
	other.Region = "us"
	got = verdict.Spend(m, []vedette.Result{planned, other}, t0.Add(time.Minute), t0.Add(70*time.Second))
	if want := (vedette.Spent{Up: 10 * time.Second}); got != want {
		t.Errorf("spent %+v with a region that is long silent, want %+v", got, want)
	}
}

// The hour as it is counted look by look is the hour as it is reckoned from the stored rows,
// and a replay gives the same statuses and incidents.
func TestFoldIsReproducible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := monitor("a")
		at := t0.Add(7 * time.Second)
		var looks []vedette.Result
		for range rapid.IntRange(1, 200).Draw(t, "looks") {
			s := rapid.SampledFrom([]vedette.State{vedette.Up, vedette.Down, vedette.Degraded, vedette.Unknown}).Draw(t, "state")
			looks = append(looks, look(m, at, s))
			at = at.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "gap")) * time.Second)
		}
		fold := func() (s vedette.Status, in []vedette.Incident) {
			for _, r := range looks {
				out := verdict.Fold(m, s, r, false, nil)
				if s = out.Status; out.Incident != nil {
					in = append(in, *out.Incident)
				}
			}
			return s, in
		}
		s, in := fold()
		again, inAgain := fold()
		if diff := cmp.Diff(s, again) + cmp.Diff(in, inAgain); diff != "" {
			t.Fatalf("a replay differs: %s", diff)
		}
		checkAlternate(t, in)
		hour := s.Counted.Truncate(time.Hour)
		if got, want := s.Spent, verdict.Spend(m, looks, hour, s.Counted); got != want {
			t.Fatalf("spent %+v look by look, %+v from the rows", got, want)
		}
	})
}

// checkAlternate wants incidents to open and close in turn, in time order.
func checkAlternate(t *rapid.T, in []vedette.Incident) {
	for i, one := range in {
		if open := one.Closed.IsZero(); open != (i%2 == 0) {
			t.Fatalf("incident %d: open %v", i, open)
		}
		if !one.Closed.IsZero() && one.Closed.Before(one.Opened) {
			t.Fatalf("incident %d closed before it opened: %+v", i, one)
		}
	}
}
