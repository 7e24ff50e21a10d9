package spool_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/spool"
)

func TestOutageIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNext()
		cfg := config(t, t.TempDir(), n)
		var log bytes.Buffer
		cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		s := open(t, cfg)
		stop := run(t, s)
		n.set(away)
		for i := range 30 {
			if err := s.Send(t.Context(), vedette.Found{Results: looks("a", i, 1)}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		n.set(nil)
		time.Sleep(time.Minute)
		stop()
		for _, say := range []string{"results go to disk", "nothing waits on disk"} {
			if got := strings.Count(log.String(), say); got != 1 {
				t.Errorf("%q is said %d times, want once\n%s", say, got, log.String())
			}
		}
		if strings.Contains(log.String(), "results=0") {
			t.Errorf("nothing is said to have gone on:\n%s", log.String())
		}
	})
}

// All that is dropped is in the log, in a line a minute.
func TestDroppingIsLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNext()
		n.set(away)
		cfg := config(t, t.TempDir(), n)
		cfg.MaxBytes, cfg.WhenFull = 1<<14, spool.DropOldest
		var log bytes.Buffer
		cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		s := open(t, cfg)
		for i := range 150 {
			send(t, s, looks("a", i*10, 10))
			time.Sleep(time.Second)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		lines, sum := 0, 0
		for line := range strings.Lines(log.String()) {
			if _, tail, ok := strings.Cut(line, "dropped\" results="); ok {
				var k int
				if _, err := fmt.Sscan(tail, &k); err != nil {
					t.Fatal(err)
				}
				lines, sum = lines+1, sum+k
			}
		}
		if lines < 2 || lines > 4 || sum != n.dropped["full"] {
			t.Errorf("%d lines of %d results, want 2 to 4 of %d\n%s", lines, sum, n.dropped["full"], log.String())
		}
	})
}
