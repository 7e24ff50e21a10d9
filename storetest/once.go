package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// A contest is eight readers of two partitions, each of which claims what another reads.
type contest struct {
	s   Store
	end int64 // offset of the end of each partition

	mu   sync.Mutex
	said []vedette.ID // results of writes that were kept
}

// testMoveRace checks that each offset of both partitions is kept once, and all that a write
// said it kept. Each read of an offset makes a new Result, so that a second one would show.
func testMoveRace(t *testing.T, s Store) {
	r := contest{s: s, end: 60}
	var done sync.WaitGroup
	for w := range 8 {
		done.Go(func() {
			if err := r.read(t.Context(), fmt.Sprint(w), 12); err != nil {
				t.Errorf("reader %d: %v", w, err)
			}
		})
	}
	done.Wait()
	if err := r.finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := make([]int64, r.end)
	for i := range want {
		want[i] = int64(i)
	}
	stored := map[vedette.ID]bool{}
	for partition := range int32(2) {
		results := history(t, s, raced(partition), vedette.Span{})
		same(t, fmt.Sprintf("offsets of partition %d", partition), seqs(results), want)
		for _, result := range results {
			stored[result.ID] = true
		}
	}
	for _, id := range r.said {
		if !stored[id] {
			t.Errorf("result %s is lost, though its write was kept", id)
		}
	}
	for _, p := range listed(t, s, "vedette") {
		same(t, "the end", p.Next, r.end)
	}
}

// raced names the monitor whose results are those of a partition.
func raced(partition int32) vedette.MonitorID { return monitorID(int(partition)) }

// read claims one partition or both, in any order, and reads them until another claims them, a
// few times over.
func (r *contest) read(ctx context.Context, owner string, times int) error {
	for range times {
		places := []vedette.Position{place(0), place(1)}
		rand.Shuffle(2, func(i, j int) { places[i], places[j] = places[j], places[i] })
		if rand.IntN(3) == 0 {
			places = places[:1]
		}
		if err := r.readOn(ctx, owner, places); !errors.Is(err, vedette.ErrLeaseLost) {
			return err
		}
	}
	return nil
}

// finish reads what is left when nobody disturbs.
func (r *contest) finish(ctx context.Context) error {
	return r.readOn(ctx, "last", []vedette.Position{place(0), place(1)})
}

// readOn reads to the ends of partitions.
func (r *contest) readOn(ctx context.Context, owner string, places []vedette.Position) error {
	held, err := r.s.Positions().Claim(ctx, owner, places...)
	if err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	for {
		b := r.batch(held)
		if len(b.Positions) == 0 {
			return nil
		}
		if err := r.s.Write(ctx, b); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		r.mu.Lock()
		for _, result := range b.Results {
			r.said = append(r.said, result.ID)
		}
		r.mu.Unlock()
	}
}

// batch reads a few offsets of each partition and moves held behind them.
func (r *contest) batch(held []vedette.Position) (b vedette.Batch) {
	for i := range held {
		p := &held[i]
		first := max(p.Next, 0)
		if first >= r.end {
			continue
		}
		*p = move(*p, min(first+1+rand.Int64N(5), r.end))
		for offset := first; offset < p.Next; offset++ {
			result := look(raced(p.Partition), noon.Add(time.Duration(offset)*time.Second))
			result.Seq = offset
			b.Results = append(b.Results, result)
		}
		b.Positions = append(b.Positions, *p)
	}
	return b
}

// seqs returns the Seq of results in ascending order.
func seqs(results []vedette.Result) []int64 {
	all := make([]int64, len(results))
	for i, r := range results {
		all[i] = r.Seq
	}
	slices.Sort(all)
	return all
}
