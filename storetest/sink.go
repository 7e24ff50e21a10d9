package storetest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// TestSink holds any Sink to its contract. Each call of open returns a new one, and a function
// that returns the results kept behind it by ID, at most 1000.
func TestSink(t *testing.T, open func(t *testing.T) (vedette.Sink, func() []vedette.Result)) {
	for name, test := range map[string]func(*testing.T, vedette.Sink, func() []vedette.Result){
		"keeps what it took":              testSend,
		"keeps what is sent again once":   testSendAgain,
		"keeps what many send at once":    testSendMany,
		"can be sent again after its end": testSendEnded,
		"refuses what is never taken":     testSendRefused,
	} {
		t.Run(name, func(t *testing.T) {
			sink, kept := open(t)
			test(t, sink, kept)
		})
	}
}

func send(t testing.TB, s vedette.Sink, resent bool, results ...vedette.Result) {
	t.Helper()
	if err := s.Send(t.Context(), vedette.Found{Results: results, Resent: resent}); err != nil {
		t.Fatalf("Send: %v", err)
	}
}

func testSend(t *testing.T, s vedette.Sink, kept func() []vedette.Result) {
	send(t, s, false)
	all := looks("a", noon, 20, time.Second)
	send(t, s, false, all...)
	same(t, "kept when Send returned", ids(kept()), ids(all))
}

func testSendAgain(t *testing.T, s vedette.Sink, kept func() []vedette.Result) {
	all := looks("a", noon, 20, time.Second)
	send(t, s, false, all[:12]...)
	send(t, s, true, all...)
	send(t, s, true, all[5:]...)
	same(t, "kept", ids(kept()), ids(all))
}

func testSendMany(t *testing.T, s vedette.Sink, kept func() []vedette.Result) {
	all := looks("a", noon, 160, time.Second)
	var done sync.WaitGroup
	for own := range slices.Chunk(all, 20) {
		done.Go(func() {
			for f := range slices.Chunk(own, 5) {
				if err := s.Send(t.Context(), vedette.Found{Results: f}); err != nil {
					t.Errorf("Send: %v", err)
				}
			}
		})
	}
	done.Wait()
	same(t, "kept", ids(kept()), ids(all))
}

func testSendEnded(t *testing.T, s vedette.Sink, kept func() []vedette.Result) {
	all := looks("a", noon, 20, time.Second)
	if err := s.Send(ended(t), vedette.Found{Results: all}); err == nil {
		same(t, "kept when Send said so", ids(kept()), ids(all))
	}
	send(t, s, true, all...)
	same(t, "kept after it was sent again", ids(kept()), ids(all))
}

func testSendRefused(t *testing.T, s vedette.Sink, kept func() []vedette.Result) {
	bad := look("a", noon)
	bad.State = "sideways"
	if err := s.Send(t.Context(), vedette.Found{Results: []vedette.Result{bad}}); !errors.Is(err, vedette.ErrRefused) {
		t.Errorf("Send of an unknown state: %v, want ErrRefused", err)
	}
	same(t, "kept of it", kept(), nil)
	good := look("a", noon)
	send(t, s, false, good)
	same(t, "kept afterwards", ids(kept()), ids([]vedette.Result{good}))
}
