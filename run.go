package vedette

import (
	"context"
	"errors"
)

// A Part of the system runs until ctx ends, finishes what it has begun, and returns nil. It
// owns its goroutines and waits for them.
type Part interface {
	Run(ctx context.Context) error
}

// PartFunc makes a function a Part.
type PartFunc func(ctx context.Context) error

// Run calls f.
func (f PartFunc) Run(ctx context.Context) error { return f(ctx) }

// Run runs parts, each of which may use those before it, until ctx ends or one of them
// returns. Then it stops the last first, waiting for each, so that nothing is sent to what has
// gone. It returns what went wrong in any of them.
func Run(ctx context.Context, parts ...Part) (err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for _, p := range parts {
		own, end := context.WithCancel(context.WithoutCancel(ctx))
		done := make(chan error, 1)
		go func() {
			defer stop()
			done <- p.Run(own)
		}()
		defer func() {
			end()
			err = errors.Join(err, <-done)
		}()
	}
	<-ctx.Done()
	return nil
}
