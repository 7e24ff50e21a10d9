package spool_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
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
