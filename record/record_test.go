package record_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/record"
	"github.com/vedettehq/vedette/sketch"
)

func monitor(id string) vedette.Monitor {
	return vedette.Monitor{
		ID: vedette.MonitorID(id), Meta: vedette.Meta{Name: id}, URL: "http://127.0.0.1/",
		Interval: 10 * time.Second, Timeout: 5 * time.Second, Confirm: vedette.Confirm{Down: 3, Up: 2},
	}
}

func put(t *testing.T, s *memory.Store, monitors ...vedette.Monitor) {
	t.Helper()
	for i, m := range monitors {
		if old, err := s.Monitors().Get(t.Context(), m.ID); err == nil {
			monitors[i].Version = old.Version
		}
	}
	if err := s.Monitors().Put(t.Context(), monitors...); err != nil {
		t.Fatal(err)
	}
}

func look(id string, at time.Time, s vedette.State) vedette.Result {
	at = at.Truncate(time.Microsecond)
	r := vedette.Result{
		ID: vedette.NewID(at), Monitor: vedette.MonitorID(id), Token: 1, DueAt: at, StartedAt: at, State: s,
		Phases: vedette.Phases{TTFB: 20 * time.Millisecond},
	}
	if s != vedette.Up {
		r.Failure = &vedette.Failure{Kind: vedette.KindStatus, Message: "status is 500, want 200-299", Evidence: &vedette.Evidence{Body: "oops"}}
	}
	return r
}

func config(s *memory.Store) record.Config {
	return record.Config{Monitors: s.Monitors(), Writer: s, Reader: s, Keeper: s}
}

func start(t *testing.T, cfg record.Config) *record.Record {
	t.Helper()
	r, err := record.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// run runs a record beside the test until the test ends.
func run(t *testing.T, r *record.Record) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func send(t *testing.T, s vedette.Sink, results ...vedette.Result) {
	t.Helper()
	if err := s.Send(t.Context(), vedette.Found{Results: results}); err != nil {
		t.Fatal(err)
	}
}

func status(t *testing.T, s *memory.Store, id string) vedette.Status {
	t.Helper()
	all, err := s.Latest(t.Context(), vedette.MonitorID(id))
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		return vedette.Status{}
	}
	return all[0]
}

func incidents(t *testing.T, s *memory.Store) (said []string) {
	t.Helper()
	all, err := s.Incidents(t.Context(), "", vedette.Span{})
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range all {
		what := "open"
		if !in.Closed.IsZero() {
			what = in.Reason
		}
		said = append(said, fmt.Sprintf("%s %s", in.Monitor, what))
	}
	return said
}

func TestResultsStatusesAndIncidentsAreWrittenTogether(t *testing.T) {
	store := memory.New()
	put(t, store, monitor("shop"))
	var told []record.News
	cfg := config(store)
	cfg.Told = func(n record.News) { told = append(told, n) }
	r := start(t, cfg)
	at := time.Now().Add(-time.Minute)
	send(t, r, look("shop", at, vedette.Up), look("shop", at.Add(1*time.Second), vedette.Down))
	send(t, r, look("shop", at.Add(2*time.Second), vedette.Down), look("shop", at.Add(3*time.Second), vedette.Down))

	if s := status(t, store, "shop"); s.State != vedette.Down || s.Seq != 4 || s.Votes[0].Failing != 3 {
		t.Errorf("status %+v, want down at seq 4", s)
	}
	if diff := cmp.Diff([]string{"shop open"}, incidents(t, store)); diff != "" {
		t.Error(diff)
	}
	if len(told) != 2 || len(told[0].Results) != 2 || len(told[1].Incidents) != 1 {
		t.Errorf("told %d commits: %+v", len(told), told)
	}
	results, err := store.History(t.Context(), "shop", vedette.Span{})
	if err != nil {
		t.Fatal(err)
	}
	var evidence []bool
	for _, one := range results {
		evidence = append(evidence, one.Failure != nil && one.Failure.Evidence != nil)
	}
	if diff := cmp.Diff([]bool{false, true, false, false}, evidence); diff != "" {
		t.Errorf("evidence stands with the first failure of its kind alone: %s", diff)
	}
}

// A commit whose answer is lost has happened: sending the same again changes nothing.
func TestLostAnswerIsNotFoldedTwice(t *testing.T) {
	store := memory.New()
	put(t, store, monitor("shop"))
	cfg := config(store)
	lossy := &lossyWriter{Writer: store}
	cfg.Writer = lossy
	r := start(t, cfg)
	at := time.Now().Add(-time.Minute)
	for i := range 6 {
		lossy.lose = i%2 == 1
		f := vedette.Found{Results: []vedette.Result{look("shop", at.Add(time.Duration(i)*time.Second), vedette.Down)}}
		for r.Send(t.Context(), f) != nil {
			f.Resent = true
		}
	}
	s := status(t, store, "shop")
	if s.Seq != 6 || s.Votes[0].Failing != 6 {
		t.Errorf("seq %d, failing %d, want 6 looks folded once each", s.Seq, s.Votes[0].Failing)
	}
	if diff := cmp.Diff([]string{"shop open"}, incidents(t, store)); diff != "" {
		t.Error(diff)
	}
	results, err := store.History(t.Context(), "shop", vedette.Span{})
	if err != nil || len(results) != 6 {
		t.Errorf("%d results, %v; want 6", len(results), err)
	}
}

// A lossyWriter commits and then says that it failed, once, when told to lose.
type lossyWriter struct {
	vedette.Writer
	lose bool
}

func (w *lossyWriter) Write(ctx context.Context, b vedette.Batch) error {
	if err := w.Writer.Write(ctx, b); err != nil {
		return err
	}
	if w.lose {
		w.lose = false
		return errors.New("connection cut")
	}
	return nil
}

// Two records over one store fold in turn: the one that is behind reads again.
func TestTwoRecordsAgree(t *testing.T) {
	store := memory.New()
	put(t, store, monitor("shop"))
	a, b := start(t, config(store)), start(t, config(store))
	at := time.Now().Add(-time.Minute)
	for i := range 6 {
		r := a
		if i%2 == 1 {
			r = b
		}
		send(t, r, look("shop", at.Add(time.Duration(i)*time.Second), vedette.Down))
	}
	if s := status(t, store, "shop"); s.Seq != 6 || s.State != vedette.Down {
		t.Errorf("status %+v, want down at seq 6", s)
	}
	if diff := cmp.Diff([]string{"shop open"}, incidents(t, store)); diff != "" {
		t.Error(diff)
	}
}

func TestPausedAndRemovedMonitorsCloseTheirIncidents(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, s *memory.Store)
		want   string
		state  vedette.State
	}{
		{"paused", func(t *testing.T, s *memory.Store) {
			m := monitor("shop")
			m.Paused = true
			put(t, s, m)
		}, "shop paused", vedette.Paused},
		{"removed", func(t *testing.T, s *memory.Store) {
			m, err := s.Monitors().Get(t.Context(), "shop")
			if err == nil {
				err = s.Monitors().Delete(t.Context(), m)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, "shop removed", ""},
	} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, record stopped meanwhile: %v", c.name, late), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store := memory.New()
					put(t, store, monitor("shop"))
					r := start(t, config(store))
					for i := range 3 {
						send(t, r, look("shop", time.Now().Add(time.Duration(i-3)*time.Second), vedette.Down))
					}
					if late {
						c.change(t, store)
						run(t, start(t, config(store)))
					} else {
						run(t, r)
						synctest.Wait()
						c.change(t, store)
					}
					time.Sleep(time.Second)
					if diff := cmp.Diff([]string{c.want}, incidents(t, store)); diff != "" {
						t.Error(diff)
					}
					if s := status(t, store, "shop"); s.State != c.state {
						t.Errorf("state %q, want %q", s.State, c.state)
					}
				})
			})
		}
	}
}

func TestSilenceBecomesUnknownOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		put(t, store, monitor("shop"), monitor("bank"))
		r := start(t, config(store))
		run(t, r)
		for range 12 {
			send(t, r, look("bank", time.Now(), vedette.Up))
			if time.Since(time.Now().Truncate(time.Minute)) < 5*time.Second {
				send(t, r, look("shop", time.Now(), vedette.Up))
			}
			time.Sleep(10 * time.Second)
		}
		if s := status(t, store, "bank"); s.State != vedette.Up {
			t.Errorf("bank is %s, want up", s.State)
		}
		results, err := store.History(t.Context(), "shop", vedette.Span{})
		if err != nil {
			t.Fatal(err)
		}
		var said string
		for _, one := range results {
			said += string(one.State)[:2] + " "
		}
		if want := "up un up un "; said != want {
			t.Errorf("looks at shop %q, want %q: one end of a vote for each silence", said, want)
		}
		if s := status(t, store, "shop"); s.State != vedette.Unknown {
			t.Errorf("shop is %s, want unknown", s.State)
		}
	})
}

func TestResultOfUnknownMonitorIsHistory(t *testing.T) {
	store := memory.New()
	r := start(t, config(store))
	send(t, r, look("gone", time.Now(), vedette.Down))
	results, err := store.History(t.Context(), "gone", vedette.Span{})
	if err != nil || len(results) != 1 || results[0].Seq != 0 {
		t.Errorf("results %v, %v; want one without seq", results, err)
	}
}

func TestMaintenanceWindowByCron(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins at midnight UTC of 2000-01-01
		store := memory.New()
		m := monitor("shop")
		m.Maintenance = []vedette.Window{{Name: "patch", Cron: "30 1 * * *", Zone: "Europe/Berlin", For: 30 * time.Minute}}
		put(t, store, m)
		r := start(t, config(store))
		var states string
		for range 8 { // 01:00 to 02:10 in Berlin
			send(t, r, look("shop", time.Now(), vedette.Up))
			states += string(status(t, store, "shop").State)[:2] + " "
			time.Sleep(10 * time.Minute)
		}
		if want := "up up up ma ma ma up up "; states != want {
			t.Errorf("states %q, want %q", states, want)
		}
	})
}

func TestHoursAndDaysAreRolledUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		put(t, store, monitor("shop"))
		cfg := config(store)
		cfg.Retention = vedette.Retention{Results: 90 * time.Minute}
		r := start(t, cfg)
		run(t, r)
		for i := range 3 * 360 {
			s := vedette.Up
			if i >= 360 && i < 396 { // the first tenth of the second hour
				s = vedette.Down
			}
			send(t, r, look("shop", time.Now(), s))
			time.Sleep(10 * time.Second)
		}
		time.Sleep(5 * time.Minute)
		hours, err := store.Rollups(t.Context(), vedette.Hourly, time.Time{}, time.Now())
		if err != nil || len(hours) != 3 {
			t.Fatalf("%d hours, %v; want 3", len(hours), err)
		}
		second := hours[1]
		if up, _ := second.Spent.Uptime(); up != 0.9 || second.Checks != 360 || second.Failed != 36 || second.Spent.Seen() != time.Hour {
			t.Errorf("second hour: uptime %v, %+v", up, second)
		}
		days, err := store.Rollups(t.Context(), vedette.Daily, time.Time{}, time.Now())
		if err != nil || len(days) != 1 || days[0].Checks != 1080 || days[0].Failed != 36 {
			t.Fatalf("days %+v, %v", days, err)
		}
		var latency sketch.Sketch
		if err := latency.UnmarshalBinary(days[0].Latency); err != nil {
			t.Fatal(err)
		}
		if p99 := latency.Quantile(0.99); latency.Count() != 1044 || p99 < 19*time.Millisecond || p99 > 21*time.Millisecond {
			t.Errorf("%d latencies, p99 %v", latency.Count(), p99)
		}
		left, err := store.History(t.Context(), "shop", vedette.Span{N: 10})
		if err != nil || time.Since(left[0].StartedAt) > 150*time.Minute {
			t.Errorf("the oldest result is %v old, %v; want it gone within an hour of its time", time.Since(left[0].StartedAt), err)
		}
	})
}
