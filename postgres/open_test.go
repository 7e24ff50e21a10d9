package postgres

import (
	"errors"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/postgres/pgtest"
)

func TestProcessesThatStartTogetherBothOpen(t *testing.T) {
	text := pgtest.Schema(t)
	var done sync.WaitGroup
	for range 5 {
		done.Go(func() {
			s, err := Open(t.Context(), text, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = s.Close() }()
			write(t, s, found(looks("a", noon, 3, time.Second)...))
		})
	}
	done.Wait()
	if got := one[int](t, connect(t, text), "select count(*) from schema_version"); got != 1 {
		t.Errorf("%d versions, want 1", got)
	}
}

func TestReadOnlyReadsAndRefusesTheRest(t *testing.T) {
	text := pgtest.Schema(t)
	if _, err := Open(t.Context(), text, Options{ReadOnly: true}); err == nil || !strings.Contains(err.Error(), "vedette up") {
		t.Errorf("open for reading where nothing is: %v, want what to do", err)
	}
	write(t, openAt(t, text, Options{}), found(looks("a", noon, 3, time.Second)...))
	s := openAt(t, text, Options{ReadOnly: true})
	if got := history(t, s, "a", 10); len(got) != 3 {
		t.Errorf("%d results, want 3", len(got))
	}
	if slots, err := s.Dirty(t.Context(), noon.Add(time.Hour), 10); err != nil || len(slots) != 1 {
		t.Errorf("slots %v, %v", slots, err)
	}
	if n, err := s.Shards(t.Context(), 7); err != nil || n != 7 {
		t.Errorf("%d shards, %v", n, err)
	}
	ctx := t.Context()
	_, claimed := s.Positions().Claim(ctx, "a", vedette.Position{})
	_, acquired := s.Leases().Acquire(ctx, "a", time.Hour, "x")
	_, pruned := s.Prune(ctx, noon, vedette.Retention{})
	for what, err := range map[string]error{
		"Write": s.Write(ctx, vedette.Batch{}), "Put": s.Monitors().Put(ctx, vedette.Monitor{ID: "a"}),
		"Claim": claimed, "Acquire": acquired, "Prune": pruned, "Roll": s.Roll(ctx), "Forget": s.Forget(ctx, "a"),
		"Sent": s.Letters().Sent(ctx), "Release": s.Leases().Release(ctx),
		"Cancel": s.Jobs().Cancel(ctx, "no"), "Pause": s.Queues().Pause(ctx, "q"), "Append": s.Feed().Append(ctx, vedette.Entry{Topic: "t", Data: []byte("1")}),
		"Fire": s.Schedules().Fire(ctx, vedette.Lease{}), "KV": s.KV().Put(ctx), "Push": second(s.Jobs().Push(ctx, plainJob())),
		"Beat": second(s.Queue().Beat(ctx, "w", time.Hour)), "Claim of jobs": second(s.Queue().Claim(ctx, "w", 1, vedette.Want{Queue: "q"})),
	} {
		if !errors.Is(err, vedette.ErrReadOnly) {
			t.Errorf("%s: %v, want ErrReadOnly", what, err)
		}
	}
}

func TestNewerAndForeignSchemasAreRefused(t *testing.T) {
	for script, want := range map[string]string{
		"update schema_version set version = 99": "newer Vedette",
		"drop table schema_version":              "already exists",
	} {
		_, text := openNew(t)
		pgtest.Exec(t, text, script)
		if _, err := Open(t.Context(), text, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Open: %v, want %q", script, err, want)
		}
	}
}

func TestClosedStoreSaysSo(t *testing.T) {
	s, _ := openNew(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Latest(t.Context()); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Latest of a closed store: %v, want fs.ErrClosed", err)
	}
}

// TestErrorsOfConnectingSayWhatToCheck and never the password.
func TestErrorsOfConnectingSayWhatToCheck(t *testing.T) {
	const password = "s3cr%26t/pw"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().String()
	_ = l.Close()
	for text, want := range map[string]string{
		"postgres://me:" + url.QueryEscape(password) + "@" + port + "/sites":           "postgres://" + port + "/sites",
		"postgres://me:" + url.QueryEscape(password) + "@" + port + "/":                "check host and port",
		"postgres://me:" + url.QueryEscape(password) + "@nowhere.invalid/sites":        "check the host's name",
		"postgres://me:" + url.QueryEscape(password) + "@h:5432/sites?sslmode=perhaps": "want postgres://",
		"postgres://me:" + password + "@h:port:5432/sites":                             "want postgres://",
		"postgres://me:s3cr@t@h:5432/sites":                                            "write it as %40",
	} {
		_, err := Open(t.Context(), text, Options{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q in one line", text, err, want)
			continue
		}
		for _, form := range []string{password, url.QueryEscape(password), "s3cr"} {
			if strings.Contains(err.Error(), form) {
				t.Errorf("the password is in: %v", err)
			}
		}
	}
	u, err := url.Parse(pgtest.Schema(t))
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/no_such_database"
	if _, err := Open(t.Context(), u.String(), Options{}); err == nil || !strings.Contains(err.Error(), "createdb no_such_database") {
		t.Errorf("%v, want how to make the database", err)
	}
}
