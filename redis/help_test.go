package redis

import (
	"context"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/vedettehq/vedette"
)

// server returns the URL of the server to test with.
func server(t testing.TB) string {
	t.Helper()
	text := os.Getenv("VEDETTE_TEST_REDIS")
	if text == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("VEDETTE_TEST_REDIS is not set: run dev/services up")
		}
		t.Skip("VEDETTE_TEST_REDIS is not set: run dev/services up")
	}
	return text
}

// place returns the URL of a place of its own on the test's server, whose keys go with the test.
func place(t testing.TB) string {
	t.Helper()
	text := with(t, server(t), vedette.NewID(time.Now()).String())
	t.Cleanup(func() { wipe(t, text) })
	return text
}

// with returns the URL of a prefix.
func with(t testing.TB, text, prefix string) string {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("prefix", "test:"+prefix)
	u.RawQuery = q.Encode()
	return u.String()
}

// wipe drops all keys of a URL's prefix.
func wipe(t testing.TB, text string) {
	t.Helper()
	opt, prefix, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	db := redis.NewClient(opt)
	defer func() { _ = db.Close() }()
	ctx := context.Background()
	for cursor := uint64(0); ; {
		var keys []string
		keys, cursor, err = db.Scan(ctx, cursor, prefix+":*", 10_000).Result()
		if err == nil && len(keys) > 0 {
			err = db.Unlink(ctx, keys...).Err()
		}
		if err != nil {
			t.Errorf("wipe %s: %v", prefix, err)
			return
		}
		if cursor == 0 {
			return
		}
	}
}

func openAt(t testing.TB, text string, o Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), text, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func openNew(t testing.TB) *Store {
	t.Helper()
	return openAt(t, place(t), Options{})
}

func scored(score int64, member string) redis.Z {
	return redis.Z{Score: float64(score), Member: member}
}
