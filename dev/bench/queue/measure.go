package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"
)

// A system is a queue that is measured.
type system struct {
	name string
	// beside names the peer that a ratio is reckoned against, if any.
	beside string
	needs  string // an environment variable
	// brief leaves out both and ready, and has a tenth of the jobs: peers as their makers set them
	// and single calls would take hours.
	brief bool
	open  func(ctx context.Context) (queue, error)
}

// A queue is a system that has been opened, empty.
type queue interface {
	// insert adds n jobs as fast as it can.
	insert(ctx context.Context, n int) error
	// wake adds one job, which tells the handler when that was.
	wake(ctx context.Context) error
	// work runs the handler for each job until stopped. It hands on what wake noted, or zero.
	work(ctx context.Context, handle func(added time.Time)) (stop func() error, err error)
	// claim takes n of the jobs that are ready, or returns errNoClaim.
	claim(ctx context.Context, n int) error
	// server returns the CPU time that its server has used so far.
	server(ctx context.Context) (time.Duration, error)
	// hold keeps a snapshot open until it is called again; nil where there is no such thing.
	hold(ctx context.Context) (release func(), err error)
	close() error
}

// errNoClaim: this queue cannot be asked for a claim alone.
var errNoClaim = errors.New("no claim without work")

// Figures are what a system reached: jobs a second, microseconds of CPU a job of this process and
// of the server, and milliseconds.
type figures struct {
	Insert, InsertCPU, InsertServer float64
	Work, WorkCPU, WorkServer       float64
	Both, BothCPU, BothServer       float64
	Held, HeldServer                float64
	Wake                            [3]float64 // p50, p90, p99
	Claim                           [2]float64 // p50, p99
}

func measure(ctx context.Context, sys system, s size) (f figures, err error) {
	if sys.brief {
		s.jobs, s.both, s.ready = s.jobs/10, 0, 0
	}
	q, err := sys.open(ctx)
	if err != nil {
		return f, fmt.Errorf("open: %w", err)
	}
	defer func() {
		if e := q.close(); err == nil && e != nil {
			err = fmt.Errorf("close: %w", e)
		}
	}()
	// The first jobs warm plans, pages and pools up.
	if err := through(ctx, q, s.jobs/20, nil); err != nil {
		return f, fmt.Errorf("warm up: %w", err)
	}
	if f.Wake, err = wakes(ctx, q, s.wakes); err != nil {
		return f, fmt.Errorf("wake up: %w", err)
	}
	f.Insert, f.InsertCPU, f.InsertServer, err = meter(ctx, q, s.jobs, func() error { return q.insert(ctx, s.jobs) })
	if err != nil {
		return f, fmt.Errorf("insert: %w", err)
	}
	f.Work, f.WorkCPU, f.WorkServer, err = meter(ctx, q, s.jobs, func() error { return through(ctx, q, s.jobs, func() error { return nil }) })
	if err != nil {
		return f, fmt.Errorf("work: %w", err)
	}
	if s.both > 0 {
		f.Both, f.BothCPU, f.BothServer, err = meter(ctx, q, s.both, func() error { return through(ctx, q, s.both, nil) })
		if err != nil {
			return f, fmt.Errorf("insert and work: %w", err)
		}
	}
	if err := held(ctx, q, s.jobs/2, &f); err != nil {
		return f, fmt.Errorf("under a held snapshot: %w", err)
	}
	if s.ready > 0 {
		if f.Claim, err = claims(ctx, q, s.ready); err != nil {
			return f, fmt.Errorf("claim of many: %w", err)
		}
	}
	return f, nil
}

// meter returns how many jobs a second do went through, and the CPU that each took.
func meter(ctx context.Context, q queue, n int, do func() error) (rate, client, server float64, err error) {
	before, err := q.server(ctx)
	if err != nil {
		return 0, 0, 0, err
	}
	own, began := ownCPU(), time.Now()
	if err := do(); err != nil {
		return 0, 0, 0, err
	}
	took, ours := time.Since(began), ownCPU()-own
	after, err := q.server(ctx)
	return float64(n) / took.Seconds(), micros(ours, n), micros(after-before, n), err
}

func micros(d time.Duration, n int) float64 {
	return float64(d) / float64(n) / float64(time.Microsecond)
}

// through works n jobs, which add adds meanwhile; nil inserts them.
func through(ctx context.Context, q queue, n int, add func() error) error {
	if add == nil {
		add = func() error { return q.insert(ctx, n) }
	}
	var seen atomic.Int64
	done := make(chan struct{})
	stop, err := q.work(ctx, func(time.Time) {
		if seen.Add(1) == int64(n) {
			close(done)
		}
	})
	if err != nil {
		return err
	}
	if err := add(); err != nil {
		return err
	}
	select {
	case <-done:
	case <-ctx.Done():
	case <-time.After(10 * time.Minute):
		return fmt.Errorf("%d of %d jobs worked in ten minutes", seen.Load(), n)
	}
	// What is not finished yet is part of the work.
	if err := stop(); err != nil {
		return err
	}
	if got := seen.Load(); got != int64(n) {
		return fmt.Errorf("worked %d jobs, want %d", got, n)
	}
	return ctx.Err()
}

// wakes adds single jobs to an idle queue, and returns how long it takes until the handler runs.
func wakes(ctx context.Context, q queue, n int) (ms [3]float64, err error) {
	took := make(chan time.Duration, n)
	stop, err := q.work(ctx, func(added time.Time) { took <- time.Since(added) })
	if err != nil {
		return ms, err
	}
	defer func() { _ = stop() }()
	time.Sleep(time.Second)
	all := make([]time.Duration, 0, n)
	for range n {
		time.Sleep(20*time.Millisecond + rand.N(160*time.Millisecond))
		if err := q.wake(ctx); err != nil {
			return ms, err
		}
	}
	for len(all) < n {
		select {
		case d := <-took:
			all = append(all, d)
		case <-time.After(30 * time.Second):
			return ms, fmt.Errorf("%d of %d jobs ran", len(all), n)
		}
	}
	return [3]float64{millis(all, 50), millis(all, 90), millis(all, 99)}, nil
}

// millis returns a percentile.
func millis(all []time.Duration, percent int) float64 {
	slices.Sort(all)
	i := max((len(all)*percent+99)/100-1, 0)
	return float64(all[i]) / float64(time.Millisecond)
}

// held works n jobs while a transaction holds an old snapshot.
func held(ctx context.Context, q queue, n int, f *figures) error {
	release, err := q.hold(ctx)
	if err != nil || release == nil {
		return err
	}
	defer release()
	if err := q.insert(ctx, n); err != nil {
		return err
	}
	f.Held, _, f.HeldServer, err = meter(ctx, q, n, func() error { return through(ctx, q, n, func() error { return nil }) })
	return err
}

// claims times claims of 100 among ready jobs.
func claims(ctx context.Context, q queue, ready int) (ms [2]float64, err error) {
	const n, size = 300, 100
	if errors.Is(q.claim(ctx, 0), errNoClaim) {
		return ms, nil
	}
	if err := q.insert(ctx, ready); err != nil {
		return ms, err
	}
	all := make([]time.Duration, n)
	for i := range all {
		began := time.Now()
		if err := q.claim(ctx, size); err != nil {
			return ms, err
		}
		all[i] = time.Since(began)
	}
	return [2]float64{millis(all, 50), millis(all, 99)}, nil
}
