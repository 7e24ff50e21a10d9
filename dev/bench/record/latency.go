//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/codec"
	"github.com/vedettehq/vedette/kafka"
	"github.com/vedettehq/vedette/record"
)

// latency publishes at an even rate and measures from before a result is published until the
// transaction that makes it visible has been committed.
func latency(ctx context.Context, o options) error {
	w, err := newWorld(ctx, o, "avro")
	if err != nil {
		return err
	}
	defer w.close(ctx)
	var (
		mu   sync.Mutex
		took []time.Duration
	)
	told := func(n record.News) {
		now := time.Now()
		mu.Lock()
		defer mu.Unlock()
		for i := range n.Results {
			took = append(took, now.Sub(n.Results[i].StartedAt))
		}
	}
	recording, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- w.recorder(recording, told, nil) }()
	time.Sleep(5 * time.Second) // until the group has formed
	sent, err := w.publishEvenly(ctx)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	time.Sleep(2 * time.Second)
	stop()
	if err := <-ended; err != nil {
		return fmt.Errorf("record: %w", err)
	}
	if len(took) != sent {
		return fmt.Errorf("%d results published, %d recorded", sent, len(took))
	}
	if len(took) == 0 {
		return errors.New("nothing was published")
	}
	slices.Sort(took)
	at := func(q float64) time.Duration { return took[int(q*float64(len(took)-1))].Round(100 * time.Microsecond) }
	fmt.Printf("published to visible at %d results/s for %s: p50 %s, p99 %s, max %s\n", o.rate, o.latency, at(0.5), at(0.99), at(1))
	return nil
}

// publishEvenly publishes a batch every 20 ms, four at a time at most.
func (w *world) publishEvenly(ctx context.Context) (sent int, err error) {
	p, err := kafka.NewPublisher(w.kafka)
	if err != nil {
		return 0, err
	}
	defer func() { _ = p.Close() }()
	sink := codec.NewSink(p, w.topic, w.codec)
	const beat = 20 * time.Millisecond
	per := max(w.rate*int(beat)/int(time.Second), 1)
	var (
		publishing sync.WaitGroup
		mu         sync.Mutex
		fails      error
		slots      = make(chan struct{}, 4)
	)
	tick := time.NewTicker(beat)
	defer tick.Stop()
	end := time.Now().Add(w.latency)
	for n := 0; time.Now().Before(end); <-tick.C {
		now := time.Now().Truncate(time.Microsecond)
		batch := make([]vedette.Result, per)
		for i := range batch {
			batch[i] = look(w.monitors[n%len(w.monitors)].ID, now, now)
			n++
		}
		sent += per
		slots <- struct{}{}
		publishing.Go(func() {
			defer func() { <-slots }()
			if err := sink.Send(ctx, vedette.Found{Results: batch}); err != nil {
				mu.Lock()
				fails = errors.Join(fails, err)
				mu.Unlock()
			}
		})
	}
	publishing.Wait()
	return sent, fails
}
