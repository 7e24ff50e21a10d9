package sqlite

import (
	"fmt"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// TestRetireWorksInPieces retires a job with more lines in its log than one call may drop.
func TestRetireWorksInPieces(t *testing.T) {
	s := openNew(t)
	ctx := t.Context()
	held, err := s.Leases().Acquire(ctx, "me", time.Hour, "leader")
	if err != nil {
		t.Fatal(err)
	}
	j := newJob("q")
	if _, err := s.Jobs().Push(ctx, j); err != nil {
		t.Fatal(err)
	}
	if err := s.Jobs().Cancel(ctx, "", j.ID); err != nil {
		t.Fatal(err)
	}
	lines := make([]vedette.Entry, 2*piece+1)
	for i := range lines {
		lines[i] = vedette.Entry{Topic: vedette.LogTopic(j.ID), Data: vedette.Raw(fmt.Sprint(i))}
	}
	if err := s.Feed().Append(ctx, lines...); err != nil {
		t.Fatal(err)
	}
	for want := int64(piece + 1); ; want -= piece {
		more, err := s.Queue().Retire(ctx, held[0], time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if got := s.number(t, "select count(*) from entries"); got != max(want, 0) {
			t.Fatalf("%d entries left, want %d", got, want)
		}
		s.wantJob(t, j, more)
		if !more {
			return
		}
	}
}
