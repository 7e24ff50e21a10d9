package worker

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
)

// While a laptop sleeps its monotonic clock stands still and its wall clock does not.
func TestLeaseIsNotTrustedAfterASleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slept atomic.Int64
		s := memory.New()
		w, err := New(Config{
			Queue: s.Queue(), Feed: s.Feed(), KV: s.KV(), Owner: "w", Handlers: map[string]vedette.Handler{},
		})
		if err != nil {
			t.Fatal(err)
		}
		w.wall = func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
		l := &life{ctx: t.Context(), end: func(error) {}}
		if !w.trust(l, w.stamp()) || !w.trusted(l) {
			t.Fatal("a beat of this moment is not trusted")
		}
		slept.Store(int64(7 * time.Second))
		if !w.trusted(l) {
			t.Error("7s after a beat it is not trusted")
		}
		slept.Store(int64(8 * time.Second))
		if w.trusted(l) {
			t.Error("a second before its end it is trusted, by the wall clock")
		}
		slept.Store(int64(-time.Hour))
		if time.Sleep(8 * time.Second); w.trusted(l) {
			t.Error("a second before its end it is trusted, by the monotonic clock")
		}
		began := w.stamp()
		if time.Sleep(9 * time.Second); w.trust(l, began) {
			t.Error("an answer that came after the lease's end is trusted")
		}
		l.watch.Stop()
	})
}
