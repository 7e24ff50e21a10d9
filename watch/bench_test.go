package watch

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
)

// counter is a Sink that counts.
type counter struct{ n atomic.Int64 }

func (c *counter) Send(_ context.Context, f vedette.Found) error {
	c.n.Add(int64(len(f.Results)))
	return nil
}

// BenchmarkLooks has 20,000 and 2,000 looks a second made on their beats, of a check that does nothing, and
// tells the CPU time of each: what the watch costs beside the checks.
func BenchmarkLooks(b *testing.B) {
	for _, c := range []struct {
		monitors int
		interval time.Duration
	}{{20_000, time.Second}, {20_000, 10 * time.Second}} {
		b.Run(fmt.Sprintf("%d@%v", c.monitors, c.interval), func(b *testing.B) {
			store := memory.New()
			monitors(b, store, c.monitors, vedette.Monitor{Interval: c.interval})
			sink := &counter{}
			r := rigged(b, store, allUp, func(cfg *Config) { cfg.Sink, cfg.Meter = sink, nil })
			r.start(b)
			for sink.n.Load() == 0 {
				runtime.Gosched()
			}
			cpu, began := cpuTime(), sink.n.Load()
			for b.Loop() {
				time.Sleep(time.Second)
			}
			looks := sink.n.Load() - began
			b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(looks), "cpu-us/look")
			b.ReportMetric(float64(looks)/b.Elapsed().Seconds(), "looks/s")
			if err := r.stop(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkMonitors tells the memory that the watch takes for each of 100,000 monitors, the
// registry's and the checks' left out.
func BenchmarkMonitors(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		store := memory.New()
		monitors(b, store, n, vedette.Monitor{Interval: time.Minute})
		before := heap()
		r := rigged(b, store, allUp)
		r.start(b)
		for r.planned() < n {
			runtime.Gosched()
		}
		b.ReportMetric(float64(heap()-before)/n, "B/monitor")
		if err := r.stop(); err != nil {
			b.Fatal(err)
		}
	}
}

func (w *Watch) planned() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, sh := range w.shards {
		if sh != nil {
			n += sh.due.Len()
		}
	}
	return n
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
