package postgres

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

func TestRefusedCallRefusesNoOther(t *testing.T) {
	s, _ := openNew(t)
	ids := []vedette.ID{vedette.NewID(time.Now()), vedette.NewID(time.Now())}
	var all []*pushing
	for i, handler := range []string{"h", "no\x00text"} {
		p, err := pushOf([]vedette.Job{{ID: ids[i], Handler: handler}})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	got, err := apart(t.Context(), all, queue{s}.pushAll)
	if err != nil || got[0].err != nil || !errors.Is(refused(got[1].err), vedette.ErrRefused) {
		t.Errorf("pushed: %v, %v, want the second refused", got, err)
	}
	if _, err := s.Jobs().Get(t.Context(), ids[0]); err != nil {
		t.Error(err)
	}
	if _, err := s.Jobs().Get(t.Context(), ids[1]); !errors.Is(err, vedette.ErrNotFound) {
		t.Errorf("the refused one: %v", err)
	}
}

func TestFirstWordOfManyCallersCounts(t *testing.T) {
	s, _ := openNew(t)
	beatFor(t, s, "w")
	push(t, s, plainJob(), plainJob())
	jobs := take(t, s, "w", 2)
	refs := []vedette.Ref{jobs[0].Ref(), jobs[1].Ref()}
	done, failed, gone := vedette.JobSucceeded, vedette.JobFailed, vedette.Ref{Job: vedette.NewID(time.Now()), Epoch: 1}
	stale, err := queue{s}.finishAll(t.Context(), [][]vedette.End{
		{{Ref: refs[0], State: done}}, {{Ref: refs[0], State: failed}, {Ref: refs[1], State: done}}, {{Ref: gone, State: done}},
	})
	want := [][]vedette.Ref{nil, {refs[0]}, {gone}}
	if err != nil || !slices.EqualFunc(stale, want, slices.Equal) {
		t.Errorf("stale %v, %v, want %v", stale, err, want)
	}
}

func TestManyCallersShareRoundTrips(t *testing.T) {
	s, text := openNew(t)
	beatFor(t, s, "w")
	c := connect(t, text)
	const side, each = 50, 20
	before := s.pool.Stat().AcquireCount()
	var all sync.WaitGroup
	for range side {
		all.Go(func() {
			for range each {
				if _, err := s.Jobs().Push(t.Context(), plainJob()); err != nil {
					t.Error(err)
					return
				}
			}
		})
		all.Go(func() {
			for range each {
				jobs, err := s.Queue().Claim(t.Context(), "w", 1, vedette.Want{Queue: "q"})
				if err != nil || len(jobs) != 1 || jobs[0].Attempt != 1 {
					t.Errorf("claimed %v, %v", jobs, err)
					return
				}
				stale, err := s.Queue().Finish(t.Context(), vedette.End{Ref: jobs[0].Ref(), State: vedette.JobSucceeded})
				if err != nil || len(stale) > 0 {
					t.Errorf("finished %s: stale %v, %v", jobs[0].ID, stale, err)
				}
			}
		})
	}
	all.Wait()
	if calls := s.pool.Stat().AcquireCount() - before; calls > side*each {
		t.Errorf("%d calls of the server for %d jobs", calls, side*each)
	}
	if left := one[int64](t, c, "select count(*) from jobs"); left > 0 {
		t.Errorf("%d jobs are left", left)
	}
}

func TestEachEndOfACallIsTold(t *testing.T) {
	s, _ := openNew(t)
	beatFor(t, s, "w")
	push(t, s, plainJob(), plainJob(), plainJob())
	jobs := take(t, s, "w", 3)
	finish(t, s, jobs[0])
	again := jobs[2].Ref()
	again.Epoch++
	stale, err := s.Queue().Finish(t.Context(),
		vedette.End{Ref: jobs[0].Ref(), State: vedette.JobFailed}, // another word came first
		vedette.End{Ref: jobs[1].Ref(), State: vedette.JobSucceeded},
		vedette.End{Ref: again, State: vedette.JobPending}, // was never claimed so
		vedette.End{Ref: again, State: vedette.JobSucceeded},
		vedette.End{Ref: jobs[2].Ref(), State: vedette.JobPending})
	if want := []vedette.Ref{jobs[0].Ref(), again, again}; err != nil || !slices.Equal(stale, want) {
		t.Errorf("stale %v, %v, want %v", stale, err, want)
	}
	if got := []vedette.JobState{stateOf(t, s, jobs[1].ID), stateOf(t, s, jobs[2].ID)}; got[0] != vedette.JobSucceeded || got[1] != vedette.JobPending {
		t.Errorf("jobs are %v", got)
	}
}
