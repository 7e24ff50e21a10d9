package watch_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/watch"
)

// Always is a Checker that finds everything well.
type Always struct{}

// Compile implements vedette.Checker.
func (Always) Compile(m vedette.Monitor) (vedette.Check, error) {
	return func(context.Context) vedette.Result {
		return vedette.Result{State: vedette.Up, Code: 200}
	}, nil
}

// Printer is a Sink that prints the first result and says so.
type Printer struct {
	once sync.Once
	done func()
}

// Send implements vedette.Sink.
func (p *Printer) Send(_ context.Context, f vedette.Found) error {
	p.once.Do(func() {
		r := f.Results[0]
		fmt.Println(r.Monitor, r.State, r.Code)
		p.done()
	})
	return nil
}

func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	store := memory.New()
	err := store.Monitors().Put(ctx, vedette.Monitor{
		ID: "home", URL: "https://example.com/", Interval: 50 * time.Millisecond,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	w, err := watch.New(watch.Config{
		Monitors: store.Monitors(),
		Leaser:   store.Leases(),
		Checker:  Always{},
		Sink:     &Printer{done: cancel},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := w.Run(ctx); err != nil {
		fmt.Println(err)
		return
	}
	// Output: home up 200
}
