package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// TestHeldJobThatWasLockedIsNotForgotten lets another transaction hold the job that is to go on
// at the moment at which its limit lets it: who looks for what is due does so.
func TestHeldJobThatWasLockedIsNotForgotten(t *testing.T) {
	s, text := openNew(t)
	beatFor(t, s, "w")
	limited := func() vedette.Job {
		j := plainJob()
		j.LimitKey, j.Limit = "k", 1
		return j
	}
	push(t, s, limited())
	first := take(t, s, "w", 1)[0]
	second := limited()
	push(t, s, second)

	c := connect(t, text)
	if _, err := c.Exec(t.Context(), "begin"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), "select from jobs where id = $1 for update", [16]byte(second.ID)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Queue().Finish(t.Context(), vedette.End{Ref: first.Ref(), State: vedette.JobSucceeded}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), "rollback"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got, err := s.Queue().Claim(ctx, "w", 1, vedette.Want{Queue: second.Queue})
	if err != nil || got[0].ID != second.ID {
		t.Errorf("claimed %v, %v, want the job that was locked", got, err)
	}
}
