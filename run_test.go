package vedette_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
)

// parts are three that note when they have stopped, each a second after it was told.
func parts(stopped *[]string) []vedette.Part {
	var mu sync.Mutex
	var all []vedette.Part
	for _, name := range []string{"store", "record", "watch"} {
		all = append(all, vedette.PartFunc(func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(time.Second)
			mu.Lock()
			defer mu.Unlock()
			*stopped = append(*stopped, name)
			return nil
		}))
	}
	return all
}

func TestRunStopsTheLastFirst(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		last vedette.PartFunc
		want error
	}{
		"when it is told to":            {func(ctx context.Context) error { <-ctx.Done(); return nil }, nil},
		"when a part fails":             {func(context.Context) error { return broken }, broken},
		"when a part ends without fail": {func(context.Context) error { return nil }, nil},
		"when a part fails as it stops": {func(ctx context.Context) error { <-ctx.Done(); return broken }, broken},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				var stopped []string
				err := vedette.Run(ctx, append(parts(&stopped), c.last)...)
				if !errors.Is(err, c.want) || (err != nil) != (c.want != nil) {
					t.Errorf("got %v, want %v", err, c.want)
				}
				if want := []string{"watch", "record", "store"}; !slices.Equal(stopped, want) {
					t.Errorf("stopped in the order %v, want %v", stopped, want)
				}
			})
		})
	}
}

func TestRunReturnsAllErrors(t *testing.T) {
	one, two := errors.New("one"), errors.New("two")
	err := vedette.Run(t.Context(),
		vedette.PartFunc(func(ctx context.Context) error { <-ctx.Done(); return one }),
		vedette.PartFunc(func(context.Context) error { return two }))
	if !errors.Is(err, one) || !errors.Is(err, two) {
		t.Errorf("got %v, want both errors", err)
	}
}
