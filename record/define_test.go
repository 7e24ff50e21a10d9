package record_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
)

func remove(t *testing.T, s *memory.Store, id vedette.MonitorID) {
	t.Helper()
	m, err := s.Monitors().Get(t.Context(), id)
	if err == nil {
		err = s.Monitors().Delete(t.Context(), m)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The results of a changed monitor may be faster than the news of the change.
func TestResultOfANewerRevisionIsJudgedByIt(t *testing.T) {
	store := memory.New()
	m := monitor("shop")
	m.Paused = true
	put(t, store, m)
	r := start(t, config(store)) // it follows no changes
	old := look("shop", time.Now().Add(-time.Minute), vedette.Up)
	old.Revision = 1
	send(t, r, old)
	if s := status(t, store, "shop"); s.Seq != 0 {
		t.Fatalf("a look at a paused monitor advanced its status: %+v", s)
	}
	put(t, store, monitor("shop"))
	first := look("shop", time.Now(), vedette.Up)
	first.Revision = 2
	send(t, r, first)
	if s := status(t, store, "shop"); s.State != vedette.Up {
		t.Errorf("shop is %q after the first look since it was resumed, want up", s.State)
	}
	remove(t, store, "shop")
	last := look("shop", time.Now().Add(time.Second), vedette.Up)
	last.Revision = 3
	send(t, r, last)
	if s := status(t, store, "shop"); s.Seq != 1 {
		t.Errorf("a look at a monitor that is gone advanced its status to %d", s.Seq)
	}
}

// A monitor that comes back under its id begins anew, and so does one that is resumed: what was
// counted before counts no more.
func TestMonitorThatComesBackBeginsAnew(t *testing.T) {
	for _, resume := range []bool{false, true} {
		t.Run(fmt.Sprintf("resumed: %v", resume), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memory.New()
				put(t, store, monitor("shop"))
				r := start(t, config(store))
				run(t, r)
				for range 4 {
					send(t, r, look("shop", time.Now(), vedette.Down))
					time.Sleep(10 * time.Second)
				}
				if resume {
					m := monitor("shop")
					m.Paused = true
					put(t, store, m)
				} else {
					remove(t, store, "shop")
				}
				time.Sleep(10 * time.Second)
				send(t, r, look("shop", time.Now().Add(-25*time.Second), vedette.Down)) // late
				put(t, store, monitor("shop"))
				time.Sleep(10 * time.Second)
				if s := status(t, store, "shop"); resume && s.State != vedette.Unknown {
					t.Errorf("shop is %s when it is resumed and not looked at yet", s.State)
				}
				for range 2 {
					send(t, r, look("shop", time.Now(), vedette.Down))
					time.Sleep(10 * time.Second)
				}
				if s := status(t, store, "shop"); s.State != vedette.Unknown || s.Votes[0].Streak != 2 {
					t.Errorf("state %s, %d failures counted after the return; want unknown and 2", s.State, s.Votes[0].Streak)
				}
				send(t, r, look("shop", time.Now(), vedette.Down))
				reason := map[bool]string{false: "shop removed", true: "shop paused"}[resume]
				if diff := cmp.Diff([]string{reason, "shop open"}, incidents(t, store)); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// What changes in a definition holds from the next look on, also in the middle of an incident.
func TestChangeInTheMiddleOfAnIncident(t *testing.T) {
	planned := []vedette.Window{{Name: "patch", From: time.Unix(0, 0), To: time.Unix(1<<40, 0)}}
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		gateway, shop := monitor("gateway"), monitor("shop")
		shop.Confirm.Up = 5
		put(t, store, gateway, shop)
		r := start(t, config(store))
		run(t, r)
		next := func(gateway, shop vedette.State) {
			send(t, r, look("gateway", time.Now(), gateway), look("shop", time.Now(), shop))
			time.Sleep(10 * time.Second)
		}
		change := func(edit func(m *vedette.Monitor)) {
			edit(&shop)
			put(t, store, shop)
			synctest.Wait()
		}
		want := func(what string, want ...string) {
			t.Helper()
			if diff := cmp.Diff(count(want), count(incidents(t, store))); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
		}
		for range 3 {
			next(vedette.Up, vedette.Down)
		}
		want("three failures", "shop open")
		change(func(m *vedette.Monitor) { m.DependsOn = []vedette.MonitorID{"gateway"} })
		for range 3 {
			next(vedette.Down, vedette.Down)
		}
		want("a parent that goes down leaves an open incident open", "shop open", "gateway open")
		change(func(m *vedette.Monitor) { m.Confirm.Up = 2 })
		for range 2 {
			next(vedette.Up, vedette.Up)
		}
		want("a lower number of successes is enough", "shop recovered", "gateway recovered")
		change(func(m *vedette.Monitor) { m.Maintenance = planned })
		for range 4 {
			next(vedette.Up, vedette.Down)
		}
		want("a window that was added opens nothing", "shop recovered", "gateway recovered")
		change(func(m *vedette.Monitor) { m.Maintenance = nil })
		next(vedette.Up, vedette.Down)
		want("a window that was removed is over", "shop recovered", "gateway recovered", "shop open")
		change(func(m *vedette.Monitor) { m.Maintenance = planned })
		next(vedette.Up, vedette.Down)
		want("a window closes what is open", "shop recovered", "gateway recovered", "shop maintenance")
	})
}

// On the days on which clocks are set in Berlin a window of a fixed time opens once, and lasts
// as long as it should.
func TestWindowsOnTheDaysClocksAreSet(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		from, to time.Time // the window as it was, in UTC
	}{
		{"02:30 does not exist", time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC), time.Date(2026, 3, 29, 2, 0, 0, 0, time.UTC)},
		{"02:30 comes twice", time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC), time.Date(2026, 10, 25, 1, 30, 0, 0, time.UTC)},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := memory.New()
			m := monitor("shop")
			m.Maintenance = []vedette.Window{{Name: "patch", Cron: "30 2 * * *", Zone: "Europe/Berlin", For: time.Hour}}
			put(t, store, m)
			r := start(t, config(store))
			day := c.from.In(berlin)
			at := time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, berlin)
			for range 6 * 12 { // six hours by five minutes
				send(t, r, look("shop", at, vedette.Up))
				inside := !at.Before(c.from) && at.Before(c.to)
				if got := status(t, store, "shop").State; (got == vedette.Maintenance) != inside {
					t.Errorf("%s: %s, in the window: %v", at, got, inside)
				}
				at = at.Add(5 * time.Minute)
			}
		})
	}
}

// Results come in while monitors are put, paused and deleted. In the end no incident is open on
// what is not looked at, and there is no status of what is gone.
func TestDefinitionsChangeWhileResultsCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		r := start(t, config(store))
		run(t, r)
		ids := []vedette.MonitorID{"a", "b", "c", "d", "e"}
		var both sync.WaitGroup
		both.Go(func() {
			for range 2000 {
				id := ids[rand.IntN(len(ids))]
				if err := turn(t.Context(), store, id); err != nil && !errors.Is(err, vedette.ErrConflict) {
					t.Error(err)
				}
				time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
			}
		})
		for i := range 4 {
			both.Go(func() {
				for range 2000 {
					time.Sleep(time.Duration(5+i) * time.Millisecond)
					one := look(string(ids[rand.IntN(len(ids))]), time.Now(), vedette.Down)
					if err := r.Send(t.Context(), vedette.Found{Results: []vedette.Result{one}}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		both.Wait()
		time.Sleep(time.Second)
		open := map[string]bool{}
		all, err := store.Incidents(t.Context(), "", vedette.Span{N: 1 << 20})
		if err != nil || len(all) == 0 {
			t.Fatalf("%d incidents, %v", len(all), err)
		}
		for _, in := range all {
			if in.Closed.IsZero() {
				open[string(in.Monitor)] = true
			}
		}
		for _, id := range ids {
			m, err := store.Monitors().Get(t.Context(), id)
			gone, s := errors.Is(err, vedette.ErrNotFound), status(t, store, string(id))
			switch {
			case gone && (s.Monitor != "" || open[string(id)]):
				t.Errorf("%s is gone: status %+v, incident open: %v", id, s, open[string(id)])
			case !gone && m.Paused && (s.Monitor != "" && s.State != vedette.Paused || open[string(id)]):
				t.Errorf("%s is paused: status %+v, incident open: %v", id, s, open[string(id)])
			case !gone && !m.Paused && (s.Incident != nil) != open[string(id)]:
				t.Errorf("%s: incident %v by its status, open: %v", id, s.Incident, open[string(id)])
			}
		}
	})
}

// turn puts a monitor that is not there, and deletes, pauses or resumes one that is.
func turn(ctx context.Context, s *memory.Store, id vedette.MonitorID) error {
	m, err := s.Monitors().Get(ctx, id)
	switch {
	case errors.Is(err, vedette.ErrNotFound):
		return s.Monitors().Put(ctx, monitor(string(id)))
	case err != nil:
		return err
	case rand.IntN(2) == 0:
		return s.Monitors().Delete(ctx, m)
	}
	m.Paused = !m.Paused
	return s.Monitors().Put(ctx, m)
}
