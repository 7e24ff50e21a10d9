package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
)

func TestResultsLeaveInBatchesSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		monitors(t, store, 1000, vedette.Monitor{Interval: time.Second})
		r := rigged(t, store, allUp).start(t)
		var late time.Duration
		most := 0
		r.sink.setFail(func(f vedette.Found) error {
			most = max(most, len(f.Results))
			late = max(late, time.Since(f.Results[0].StartedAt))
			return nil
		})
		time.Sleep(10 * time.Second)
		_ = r.stop()
		if late > 101*time.Millisecond || most > 500 || r.sink.sends > 110 {
			t.Errorf("a result waited %v, %d sends, at most %d at once", late, r.sink.sends, most)
		}
	})
}

func TestFailingSinkLosesNothingAndKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		monitors(t, store, 500, vedette.Monitor{Interval: time.Second})
		r := rigged(t, store, allUp).start(t)
		time.Sleep(10 * time.Second)
		r.sink.setFail(func(vedette.Found) error { return errors.New("disk full") })
		time.Sleep(30 * time.Second)
		r.sink.setFail(nil)
		time.Sleep(10 * time.Second)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		rs := r.sink.results()
		seen := map[vedette.ID]bool{}
		for i, res := range rs {
			if i > 0 && res.StartedAt.Before(rs[i-1].StartedAt) {
				t.Fatalf("%v was delivered after %v", res.StartedAt, rs[i-1].StartedAt)
			}
			seen[res.ID] = true
		}
		if len(rs) != r.meter.looks() || len(seen) != len(rs) || len(rs) < 24_500 {
			t.Errorf("%d looks, %d delivered, %d of them different", r.meter.looks(), len(rs), len(seen))
		}
		if r.sink.again == 0 || len(r.meter.missed) > 0 {
			t.Errorf("%d resent, missed %v", r.sink.again, r.meter.missed)
		}
		if n, m := r.log.count("results not delivered"), r.log.count("results are delivered again"); n != 1 || m != 1 {
			t.Errorf("logged %d times that it began and %d that it ended, want once each", n, m)
		}
	})
}

// TestSinkThatFailsForLongPausesTheLooks has large results, so that few of them fill the outbox.
func TestSinkThatFailsForLongPausesTheLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		monitors(t, store, 10, vedette.Monitor{Interval: time.Second})
		page := strings.Repeat("x", 1<<20)
		r := rigged(t, store, func(context.Context, vedette.Monitor) vedette.Result {
			return vedette.Result{State: vedette.Down, Failure: &vedette.Failure{
				Kind: vedette.KindStatus, Evidence: &vedette.Evidence{Body: page},
			}}
		}).start(t)
		r.sink.setFail(func(vedette.Found) error { return errors.New("disk full") })
		time.Sleep(time.Minute)
		looked, missed := r.meter.looks(), r.meter.of("sink")
		if looked < 64 || looked > 80 || looked+missed < 590 {
			t.Errorf("%d looks and %d missed of 600, want 64 MiB of looks and the rest missed", looked, missed)
		}
		r.sink.setFail(nil)
		time.Sleep(20 * time.Second)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if got := r.meter.of("sink"); got > missed+60 {
			t.Errorf("%d more missed after the sink works again", got-missed)
		}
		if n := len(r.sink.results()); n != r.meter.looks() || n < looked+120 {
			t.Errorf("%d delivered of %d", n, r.meter.looks())
		}
		if n, m := r.log.count("looks pause"), r.log.count("looks go on"); n != 1 || m != 1 {
			t.Errorf("logged %d times that it began and %d that it ended, want once each", n, m)
		}
	})
}

func TestRefusedResultIsDroppedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		ids := monitors(t, store, 100, vedette.Monitor{Interval: time.Second})
		r := rigged(t, store, allUp)
		r.sink.setFail(func(f vedette.Found) error {
			if slices.ContainsFunc(f.Results, func(r vedette.Result) bool { return r.Monitor == ids[3] }) {
				return fmt.Errorf("bad row: %w", vedette.ErrRefused)
			}
			return nil
		})
		r.start(t)
		time.Sleep(10 * time.Second)
		_ = r.stop()
		refused := r.meter.of("refused")
		if refused < 9 || r.log.count("result refused") != refused {
			t.Errorf("%d refused, %d logged", refused, r.log.count("result refused"))
		}
		if got := len(r.sink.results()); got != r.meter.looks()-refused {
			t.Errorf("%d delivered of %d with %d refused", got, r.meter.looks(), refused)
		}
	})
}

func TestStopDeliversWhatWasBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		monitors(t, store, 100, vedette.Monitor{Interval: 10 * time.Second})
		r := rigged(t, store, func(context.Context, vedette.Monitor) vedette.Result {
			time.Sleep(5 * time.Second)
			return up
		}).start(t)
		time.Sleep(12 * time.Second)
		flying := r.inFlightNow()
		began := time.Now()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); flying < 30 || took > 5100*time.Millisecond {
			t.Errorf("stopped in %v with %d in flight", took, flying)
		}
		rs := r.sink.results()
		late := 0
		for _, res := range rs {
			if res.StartedAt.After(began) {
				t.Fatalf("a look began %v after the stop", res.StartedAt.Sub(began))
			}
			if res.StartedAt.After(began.Add(-5 * time.Second)) {
				late++
			}
		}
		if len(rs) != r.meter.looks() || late != flying {
			t.Errorf("%d delivered of %d, %d of the %d in flight", len(rs), r.meter.looks(), late, flying)
		}
		left, err := store.Leases().List(t.Context(), "")
		if err != nil || len(left) > 0 {
			t.Errorf("%d leases left, %v", len(left), err)
		}
	})
}

func TestStopCutsOffWhatOutlastsTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		monitors(t, store, 10, vedette.Monitor{Interval: time.Minute, Timeout: time.Minute})
		r := rigged(t, store, func(ctx context.Context, _ vedette.Monitor) vedette.Result {
			<-ctx.Done()
			return down
		}).start(t)
		time.Sleep(59 * time.Second)
		flying := r.inFlightNow()
		began := time.Now()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 10100*time.Millisecond {
			t.Errorf("stopped in %v, want the grace period of 10s", took)
		}
		cut := 0
		for _, res := range r.sink.results() {
			if res.State == vedette.Unknown && res.Failure.Kind == vedette.KindMissed {
				cut++
			}
		}
		if cut == 0 || cut != r.meter.of("stop") || len(r.sink.results()) != flying {
			t.Errorf("%d cut off, %d counted, %d delivered of %d in flight",
				cut, r.meter.of("stop"), len(r.sink.results()), flying)
		}
	})
}

func TestStopSaysWhatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		monitors(t, store, 10, vedette.Monitor{Interval: time.Second})
		r := rigged(t, store, allUp).start(t)
		gone := errors.New("disk gone")
		r.sink.setFail(func(vedette.Found) error { return gone })
		time.Sleep(10 * time.Second)
		began := time.Now()
		err := r.stop()
		if !errors.Is(err, gone) || !strings.Contains(err.Error(), fmt.Sprint(r.meter.looks(), " are lost")) {
			t.Errorf("got %v, want %d lost since the disk is gone", err, r.meter.looks())
		}
		if took := time.Since(began); took > 11*time.Second {
			t.Errorf("stopped in %v", took)
		}
	})
}

// What the sink took is not lost, however long it took and whatever still waits.
func TestStopCountsAsLostWhatTheSinkDidNotTake(t *testing.T) {
	for _, waiting := range []int{0, 600} {
		t.Run(fmt.Sprintf("%d wait", waiting), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &sink{fail: func(vedette.Found) error {
					time.Sleep(time.Minute)
					return nil
				}}
				o := newOutbox(s, noMeter{}, slog.New(slog.DiscardHandler))
				for i := range 500 + waiting {
					o.add(vedette.Result{Monitor: vedette.MonitorID(fmt.Sprint(i))})
				}
				o.queue.Close()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				err := o.run(ctx)
				if len(s.results()) != 500 {
					t.Fatalf("%d delivered, want the first 500", len(s.results()))
				}
				lost := errors.Is(err, context.DeadlineExceeded) && strings.Contains(err.Error(), "600 are lost")
				if waiting == 0 && err != nil || waiting > 0 && !lost {
					t.Errorf("got %v with %d waiting", err, waiting)
				}
			})
		})
	}
}
