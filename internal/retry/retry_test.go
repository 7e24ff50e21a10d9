package retry_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette/internal/retry"
)

func TestWaitsDoubleWithJitterUpToMax(t *testing.T) {
	b := retry.Backoff{Min: 100 * time.Millisecond, Max: time.Second}
	spread := map[time.Duration]bool{}
	for range 50 {
		b.Reset()
		for _, millis := range []int{100, 200, 400, 800, 1000, 1000} {
			full := time.Duration(millis) * time.Millisecond
			got := b.Next()
			spread[got] = true
			if got < full/2 || got > full {
				t.Fatalf("waited %v, want between %v and %v", got, full/2, full)
			}
		}
	}
	if len(spread) < 100 {
		t.Errorf("only %d different waits of 300: no jitter", len(spread))
	}
}

func TestWaitEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := retry.Backoff{Min: time.Hour, Max: time.Hour}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		began := time.Now()
		if err := b.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(began); got < 30*time.Minute || got > time.Hour {
			t.Errorf("waited %v, want 30m to 1h", got)
		}
	})
}
