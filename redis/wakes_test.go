package redis

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
)

// TestWakesHaveEdges counts what is sent behind the first news of a queue: one for all of it.
func TestWakesHaveEdges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(context.Background())
		w := &wakes{ctx: ctx, stop: stop, change: make(chan struct{}, 1), rooms: map[string][]*waiter{}, edges: map[string]bool{}}
		x := w.join("queue:q")
		sent := func() int {
			w.mu.Lock()
			defer w.mu.Unlock()
			return len(w.out)
		}
		w.woken([]string{"+q"}) // the script told of it
		for range 10 {
			if got := w.lately(); got != "\x00q\x00" {
				t.Errorf("told lately: %q", got)
			}
			w.woken([]string{"-q"})
		}
		if len(x.news) != 1 || sent() != 0 {
			t.Errorf("%d told here, %d elsewhere, want the first one, and none yet", len(x.news), sent())
		}
		time.Sleep(edge)
		synctest.Wait()
		if sent() != 1 {
			t.Errorf("%d sent, want one for all that followed", sent())
		}
		time.Sleep(10 * edge)
		synctest.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.out) != 1 || len(w.edges) != 0 {
			t.Errorf("%d sent, %d edges left; want no more, and none", len(w.out), len(w.edges))
		}
		w.begin("late", true) // what is owed when the time of the last one is over
		if len(w.out) != 2 {
			t.Errorf("%d sent, want what is owed", len(w.out))
		}
		stop()
	})
}

// TestWhoLeavesPassesOn checks that no news of a queue is lost with who was told.
func TestWhoLeavesPassesOn(t *testing.T) {
	w := &wakes{change: make(chan struct{}, 1), rooms: map[string][]*waiter{}, edges: map[string]bool{}}
	a, b, follower := w.join("queue:q"), w.join("queue:q", "queue:r"), w.join("feed:t")
	w.ring("queue:q", false)
	if len(a.news) != 1 || len(b.news) != 0 {
		t.Fatal("not one woke")
	}
	w.leave(a)
	if len(b.news) != 1 || len(follower.news) != 0 {
		t.Error("who left did not pass it on")
	}
	w.leave(b)
	w.leave(follower)
	if len(w.rooms["feed:t"]) != 0 || len(w.rooms["queue:q"]) != 0 {
		t.Errorf("left: %v", w.rooms)
	}
}

// TestClosesAmidASubscription closes while what runs is at any point of its way to the first subscription.
func TestClosesAmidASubscription(t *testing.T) {
	db := openAt(t, place(t), Options{}).db
	for i := range 300 {
		w := newWakes(db, "amid", slog.New(slog.DiscardHandler))
		w.join("queue:q")
		time.Sleep(time.Duration(i) * time.Microsecond)
		closed := make(chan struct{})
		go func() {
			w.close()
			close(closed)
		}()
		select {
		case <-closed:
		case <-time.After(20 * time.Second):
			t.Fatalf("not closed %dus after somebody waited", i)
		}
	}
}

// BenchmarkWake measures how long after a Push of another process a Claim has its job, on an idle queue.
func BenchmarkWake(b *testing.B) {
	text := place(b)
	here, there := openAt(b, text, Options{}), openAt(b, text, Options{})
	if _, err := here.Queue().Beat(b.Context(), "w", time.Hour); err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	var done sync.WaitGroup
	for b.Loop() {
		var woke time.Time
		done.Go(func() {
			if _, err := here.Queue().Claim(b.Context(), "w", 1, vedette.Want{Queue: "q"}); err != nil {
				b.Error(err)
			}
			woke = time.Now()
		})
		time.Sleep(20 * time.Millisecond)
		at := time.Now()
		if _, err := there.Jobs().Push(b.Context(), job()); err != nil {
			b.Fatal(err)
		}
		done.Wait()
		took = append(took, woke.Sub(at))
	}
	slices.Sort(took)
	for _, p := range []int{50, 90, 99} {
		b.ReportMetric(float64(took[(len(took)-1)*p/100].Microseconds()), fmt.Sprintf("us-p%d", p))
	}
}
