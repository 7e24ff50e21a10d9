package sqlite

import (
	"os"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

func logSize(t *testing.T, s *Store) int64 {
	t.Helper()
	info, err := os.Stat(s.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func TestLogIsCopiedWhenNobodyWritesAndWrittenOver(t *testing.T) {
	s := openNew(t)
	jobs := make([]vedette.Job, 20_000)
	for i := range jobs {
		jobs[i] = newJob("q")
	}
	if _, err := s.Jobs().Push(t.Context(), jobs...); err != nil {
		t.Fatal(err)
	}
	left := func() (n int64) {
		t.Helper()
		s.do(t, func(c *conn) (err error) {
			n, err = c.log("pragma wal_checkpoint(noop)")
			return err
		})
		return n
	}
	for deadline := time.Now().Add(10 * time.Second); left() > 0; time.Sleep(pause) {
		if time.Now().After(deadline) {
			t.Fatalf("%d pages wait to be copied, want none when nobody writes", left())
		}
	}
	size := logSize(t, s)
	if size < worth*4096 {
		t.Fatalf("the log has %d bytes, too few for this test", size)
	}
	if _, err := s.Jobs().Push(t.Context(), newJob("q")); err != nil {
		t.Fatal(err)
	}
	if got := logSize(t, s); got != size || left() >= worth {
		t.Errorf("the log grew from %d to %d bytes, %d pages of it to be copied; want it written over", size, got, left())
	}
}

func TestStoreClosesWhileItRests(t *testing.T) {
	s := openNew(t)
	c := <-s.copier
	s.tire()
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	<-s.closed
	time.Sleep(2 * pause)
	select {
	case err := <-closed:
		t.Fatalf("closed while the log is copied: %v", err)
	default:
	}
	s.copier <- c
	if err := <-closed; err != nil {
		t.Error(err)
	}
}
