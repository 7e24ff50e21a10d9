package sqlite

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// TestLooksThatFailPause lets each look for what is due fail as on a full disk, while there is something.
func TestLooksThatFailPause(t *testing.T) {
	var log bytes.Buffer
	s := openNew(t)
	s.log = slog.New(slog.NewTextHandler(&log, nil))
	if _, err := s.Queue().Beat(t.Context(), "w", time.Hour); err != nil {
		t.Fatal(err)
	}
	s.script(t, "create trigger full before update on jobs begin select raise(abort, 'no room'); end")
	soon := newJob("q")
	soon.RunAt = time.Now().Add(50 * time.Millisecond)
	if _, err := s.Jobs().Push(t.Context(), soon); err != nil {
		t.Fatal(err)
	}
	claimed := make(chan []vedette.Job, 1)
	go func() {
		got, err := s.Queue().Claim(t.Context(), "w", 1, vedette.Want{Queue: "q"})
		if err != nil {
			t.Error(err)
		}
		claimed <- got
	}()
	time.Sleep(time.Second)
	s.script(t, "drop trigger full")
	if got := <-claimed; len(got) != 1 || got[0].ID != soon.ID {
		t.Errorf("claimed %v when there was room again, want %s", got, soon.ID)
	}
	var lines int
	s.do(t, func(*conn) error {
		lines = bytes.Count(log.Bytes(), []byte("no room"))
		return nil
	})
	if lines < 2 || lines > 12 {
		t.Errorf("%d looks failed, want some in a second and after it", lines)
	}
}
