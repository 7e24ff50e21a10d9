package batch_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette/internal/batch"
)

var limits = batch.Limits{Count: 10, Bytes: 1000, Age: 100 * time.Millisecond, Cap: 20, CapBytes: 5000}

// take returns a batch and how long it let us wait.
func take(t *testing.T, q *batch.Queue[int]) ([]int, time.Duration) {
	t.Helper()
	began := time.Now()
	got, err := q.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got, time.Since(began)
}

func TestBatchLeaves(t *testing.T) {
	for name, c := range map[string]struct {
		n, size int
		want    int
		after   time.Duration
	}{
		"when its first thing is old":       {n: 3, size: 1, want: 3, after: limits.Age},
		"when it is complete":               {n: 10, size: 1, want: 10},
		"no larger than complete":           {n: 15, size: 1, want: 10},
		"when it has enough bytes":          {n: 5, size: 200, want: 5},
		"with no more bytes than allowed":   {n: 4, size: 300, want: 3},
		"with one thing that is over-sized": {n: 2, size: 3000, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := batch.New[int](limits)
				go func() {
					for i := range c.n {
						q.Add(i, c.size)
					}
				}()
				got, after := take(t, q)
				if len(got) != c.want || after != c.after {
					t.Fatalf("got %d after %v, want %d after %v", len(got), after, c.want, c.after)
				}
				for i, v := range got {
					if v != i {
						t.Fatalf("got %v: out of order", got)
					}
				}
			})
		})
	}
}

func TestRestWaitsFromItsOwnArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := batch.New[int](limits)
		for i := range 12 {
			q.Add(i, 1)
		}
		time.Sleep(30 * time.Millisecond)
		take(t, q)
		if got, after := take(t, q); len(got) != 2 || after != 70*time.Millisecond {
			t.Errorf("got %d after %v, want 2 after 70ms", len(got), after)
		}
	})
}

func TestFullEndsWhenAQuarterIsFree(t *testing.T) {
	q := batch.New[int](batch.Limits{Count: 3, Bytes: 1000, Age: time.Millisecond, Cap: 20, CapBytes: 5000})
	for i := range 20 {
		if q.Full() {
			t.Fatalf("full with %d of 20", i)
		}
		q.Add(i, 1)
	}
	for _, full := range []bool{true, true, false} { // with 20, 17 and 14
		if q.Full() != full {
			t.Errorf("full is %v with %d of 20", q.Full(), q.Len())
		}
		take(t, q)
	}
}

func TestFullByBytesAddsAll(t *testing.T) {
	q := batch.New[int](limits)
	for i := range 6 {
		q.Add(i, 1000)
	}
	if !q.Full() || q.Len() != 6 {
		t.Errorf("full %v with %d, want true with 6", q.Full(), q.Len())
	}
}

func TestCloseGivesOutTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := batch.New[int](limits)
		q.Add(1, 1)
		go func() {
			time.Sleep(time.Millisecond)
			q.Close()
		}()
		if got, after := take(t, q); len(got) != 1 || after != time.Millisecond {
			t.Errorf("got %v after %v", got, after)
		}
		if _, err := q.Take(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("got %v, want io.EOF", err)
		}
	})
}

func TestOrderOverManyBatches(t *testing.T) {
	q := batch.New[int](batch.Limits{Count: 7, Bytes: 1 << 20, Age: time.Millisecond, Cap: 1 << 20, CapBytes: 1 << 30})
	next, put := 0, 0
	for round := range 200 {
		for range round % 13 {
			q.Add(put, 1)
			put++
		}
		if q.Len() < 7 {
			continue
		}
		got, err := q.Take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range got {
			if v != next {
				t.Fatalf("got %d, want %d", v, next)
			}
			next++
		}
	}
	if put-next != q.Len() {
		t.Errorf("%d put, %d taken, %d left", put, next, q.Len())
	}
}
