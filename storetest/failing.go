package storetest

import (
	"context"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
)

// Failing makes what it wraps fail on command. Its zero value fails nothing. It is safe for
// concurrent use, and one may wrap many.
type Failing struct {
	mu    sync.Mutex
	err   error
	late  bool
	calls int
}

// Fail lets all calls from now on do nothing and return err; nil mends.
func (f *Failing) Fail(err error) { f.set(err, false) }

// Lose lets all calls from now on do their work and return err all the same, as when an answer
// is lost on the way; nil mends.
func (f *Failing) Lose(err error) { f.set(err, true) }

// Calls returns how many calls came so far, failed or not.
func (f *Failing) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

func (f *Failing) set(err error, late bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err, f.late = err, late
}

// call does the work unless it fails, and says what its caller is told.
func (f *Failing) call(work func() error) error {
	f.mu.Lock()
	f.calls++
	err, late := f.err, f.late
	f.mu.Unlock()
	if err != nil && !late {
		return err
	}
	if got := work(); got != nil {
		return got
	}
	return err
}

// Sink wraps s.
func (f *Failing) Sink(s vedette.Sink) vedette.Sink { return failingSink{f, s} }

type failingSink struct {
	f    *Failing
	next vedette.Sink
}

func (s failingSink) Send(ctx context.Context, found vedette.Found) error {
	return s.f.call(func() error { return s.next.Send(ctx, found) })
}

// Writer wraps w.
func (f *Failing) Writer(w vedette.Writer) vedette.Writer { return failingWriter{f, w} }

type failingWriter struct {
	f    *Failing
	next vedette.Writer
}

func (w failingWriter) Write(ctx context.Context, b vedette.Batch) error {
	return w.f.call(func() error { return w.next.Write(ctx, b) })
}

// Leaser wraps l.
func (f *Failing) Leaser(l vedette.Leaser) vedette.Leaser { return failingLeaser{f, l} }

type failingLeaser struct {
	f    *Failing
	next vedette.Leaser
}

func (l failingLeaser) Acquire(ctx context.Context, owner string, ttl time.Duration, names ...string) (held []vedette.Lease, err error) {
	err = l.f.call(func() (err error) {
		held, err = l.next.Acquire(ctx, owner, ttl, names...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return held, nil
}

func (l failingLeaser) Release(ctx context.Context, leases ...vedette.Lease) error {
	return l.f.call(func() error { return l.next.Release(ctx, leases...) })
}

func (l failingLeaser) List(ctx context.Context, prefix string) (live []vedette.Lease, err error) {
	err = l.f.call(func() (err error) {
		live, err = l.next.List(ctx, prefix)
		return err
	})
	if err != nil {
		return nil, err
	}
	return live, nil
}
