package sqlite_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/sqlite"
)

func look(m vedette.MonitorID, at time.Time) vedette.Result {
	at = at.Truncate(time.Microsecond)
	return vedette.Result{ID: vedette.NewID(at), Monitor: m, StartedAt: at, State: vedette.Up, Code: 200}
}

func batch(results ...vedette.Result) vedette.Batch {
	return vedette.Batch{Found: vedette.Found{Results: results}}
}

func TestSecondOwnerIsToldThePid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vedette.db")
	s := open(t, path, sqlite.Options{})
	_, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if !errors.Is(err, vedette.ErrInUse) || !strings.Contains(err.Error(), " "+strconv.Itoa(os.Getpid())+",") {
		t.Errorf("second owner: %v, want ErrInUse and the pid %d", err, os.Getpid())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, path, sqlite.Options{})
}

func TestLeasesEndWhenTheStoreIsOwnedAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vedette.db")
	s := open(t, path, sqlite.Options{})
	old, err := s.Leases().Acquire(t.Context(), "a", time.Hour, "shard/0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path, sqlite.Options{})
	if list, err := s.Leases().List(t.Context(), ""); err != nil || len(list) != 0 {
		t.Errorf("live leases of a process that is gone: %v, %v", list, err)
	}
	held, err := s.Leases().Acquire(t.Context(), "b", time.Hour, "shard/0")
	if err != nil || len(held) != 1 || held[0].Token <= old[0].Token {
		t.Errorf("b holds %+v after %+v, %v", held, old, err)
	}
}

func TestReaderSeesWhatTheOwnerWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vedette #1?.db")
	owner := open(t, path, sqlite.Options{})
	reader := open(t, path, sqlite.Options{ReadOnly: true})
	if n, err := reader.Shards(t.Context(), 8); n != 8 || err != nil {
		t.Errorf("shards before there is a count: %d, %v", n, err)
	}
	if n, err := owner.Shards(t.Context(), 64); n != 64 || err != nil {
		t.Errorf("shards: %d, %v", n, err)
	}
	for i := range 3 {
		if err := owner.Write(t.Context(), batch(look("a", time.Now()))); err != nil {
			t.Fatal(err)
		}
		got, err := reader.History(t.Context(), "a", vedette.Span{})
		if err != nil || len(got) != i+1 {
			t.Errorf("%d results, want %d; %v", len(got), i+1, err)
		}
	}
	if n, err := reader.Shards(t.Context(), 8); n != 64 || err != nil {
		t.Errorf("shards: %d, %v", n, err)
	}

	if err := owner.Monitors().Put(t.Context(), vedette.Monitor{ID: "a"}); err != nil {
		t.Fatal(err)
	}
	_, _, rev, err := reader.Monitors().Changes(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	news := make(chan error, 1)
	go func() {
		now, _, _, err := reader.Monitors().Changes(t.Context(), rev)
		if err == nil && (len(now) != 1 || now[0].ID != "b") {
			err = errors.New("want the change of b")
		}
		news <- err
	}()
	if err := owner.Monitors().Put(t.Context(), vedette.Monitor{ID: "b"}); err != nil {
		t.Fatal(err)
	}
	if err := <-news; err != nil {
		t.Errorf("changes by another: %v", err)
	}
}

func TestReaderWorksWithoutAnOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vedette.db")
	if _, err := sqlite.Open(t.Context(), path, sqlite.Options{ReadOnly: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading a store that is not there: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading made a file: %v", err)
	}
	owner := open(t, path, sqlite.Options{})
	if err := owner.Write(t.Context(), batch(look("a", time.Now()))); err != nil {
		t.Fatal(err)
	}
	if err := owner.Close(); err != nil {
		t.Fatal(err)
	}
	reader := open(t, path, sqlite.Options{ReadOnly: true})
	if got, err := reader.History(t.Context(), "", vedette.Span{}); err != nil || len(got) != 1 {
		t.Errorf("%d results, %v", len(got), err)
	}
	open(t, path, sqlite.Options{}) // a reader does not own it
}

func TestReaderWritesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vedette.db")
	open(t, path, sqlite.Options{})
	s := open(t, path, sqlite.Options{ReadOnly: true})
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"Write":   func() error { return s.Write(ctx, batch(look("a", time.Now()))) },
		"Put":     func() error { return s.Monitors().Put(ctx, vedette.Monitor{ID: "a"}) },
		"Delete":  func() error { return s.Monitors().Delete(ctx, vedette.Monitor{ID: "a"}) },
		"Release": func() error { return s.Leases().Release(ctx, vedette.Lease{Name: "x"}) },
		"Acquire": func() error { _, err := s.Leases().Acquire(ctx, "a", time.Hour, "x"); return err },
		"Prune":   func() error { _, err := s.Prune(ctx, time.Now(), vedette.Retention{}); return err },
		"Roll":    func() error { return s.Roll(ctx, vedette.Rollup{Monitor: "a"}) },
		"Forget":  func() error { return s.Forget(ctx, "a") },
	} {
		if err := call(); !errors.Is(err, vedette.ErrReadOnly) {
			t.Errorf("%s: %v, want ErrReadOnly", name, err)
		}
	}
	if _, err := s.Dirty(ctx, time.Now(), 10); err != nil {
		t.Errorf("Dirty only reads: %v", err)
	}
}

func TestClosedStoreSaysSo(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "vedette.db"), sqlite.Options{})
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Write(t.Context(), batch(look("a", time.Now()))); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Write: %v", err)
	}
	if _, err := s.Latest(t.Context()); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Latest: %v", err)
	}
}

func TestOpenIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "vedette.db"), sqlite.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Open: %v", err)
	}
	if _, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "no", "such", "vedette.db"), sqlite.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open in no directory: %v", err)
	}
}
