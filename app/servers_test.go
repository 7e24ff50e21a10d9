package app_test

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/app"
)

func TestQueueElsewhereThanTheStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := newApp(t, app.Config{
		File: "vedette.yaml", Manifest: ticking("memory:"), Store: "sqlite:" + filepath.Join(dir, "a.db"), Queue: "sqlite:" + filepath.Join(dir, "jobs.db"),
	})
	a.Handle("wait", vedette.HandlerFunc(wait))
	a.Handle("fail", vedette.HandlerFunc(wait))
	run(t, a)
	await(t, "a run", func() bool {
		return len(jobs(t, a.Desk(), vedette.Job{Scraper: "ticks", State: vedette.JobSucceeded})) > 0
	})
	other, err := app.OpenDesk(t.Context(), app.DeskConfig{Store: "sqlite:" + filepath.Join(dir, "jobs.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close() //nolint:errcheck // it was only read
	if n := len(jobs(t, other, vedette.Job{Scraper: "ticks"})); n == 0 {
		t.Error("the jobs are not in the queue's file")
	}
	if lines, err := other.Scrapers(t.Context(), app.Filter{}); err != nil || len(lines) != 0 {
		t.Errorf("scrapers lie beside the jobs: %v, %v", lines, err)
	}
}

func TestRedisIsNoStoreOfResults(t *testing.T) {
	for _, roles := range [][]string{nil, {"watch", "record"}, {"schedule", "api"}} {
		_, err := app.New(app.Config{Store: "redis://127.0.0.1:1", Roles: roles})
		if !errors.Is(err, app.ErrRole) || !strings.Contains(err.Error(), "neither results nor states nor incidents") {
			t.Errorf("%v: %v", roles, err)
		}
	}
	_, err := app.New(app.Config{File: "a.yaml", Manifest: []byte("store: redis://127.0.0.1:1\nmonitors: [{name: a, url: 'tcp://a:1'}]\n"), Roles: []string{"work"}})
	if err == nil || !strings.Contains(err.Error(), "take the monitors out of a.yaml") {
		t.Errorf("got %v", err)
	}
}

// redisURL returns that of the real server, with a prefix of this test's own, whose keys go with
// the test.
func redisURL(t *testing.T) string {
	t.Helper()
	server := os.Getenv("VEDETTE_TEST_REDIS")
	switch {
	case server != "":
	case os.Getenv("CI") == "true":
		t.Fatal("VEDETTE_TEST_REDIS is not set: run dev/services up")
	default:
		t.Skip("VEDETTE_TEST_REDIS is not set: run dev/services up")
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	prefix := "app-" + vedette.NewID(time.Now()).String()
	q := u.Query()
	q.Set("prefix", prefix)
	u.RawQuery = q.Encode()
	t.Cleanup(func() { dropKeys(t, u, prefix) })
	return u.String()
}

// dropKeys speaks just enough of the protocol to drop the keys of a prefix.
func dropKeys(t *testing.T, u *url.URL, prefix string) {
	t.Helper()
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close() //nolint:errcheck // it was read from last
	say := func(words ...string) {
		fmt.Fprintf(c, "*%d\r\n", len(words))
		for _, w := range words {
			fmt.Fprintf(c, "$%d\r\n%s\r\n", len(w), w)
		}
		if answer, err := bufio.NewReader(c).ReadString('\n'); err != nil || answer[0] == '-' {
			t.Errorf("redis says %q, %v", answer, err)
		}
	}
	if password, ok := u.User.Password(); ok {
		say("AUTH", cmp.Or(u.User.Username(), "default"), password)
	}
	if db := strings.Trim(u.Path, "/"); db != "" {
		say("SELECT", db)
	}
	say("EVAL", "for _, k in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', k) end return 1", "0", "*"+prefix+"*")
}

func TestJobsInRedisBesideAStore(t *testing.T) {
	t.Parallel()
	url := redisURL(t)
	work := newApp(t, app.Config{File: "vedette.yaml", Manifest: ticking("memory:"), Store: url, Roles: []string{"schedule", "work"}, Grace: 100 * time.Millisecond})
	work.Handle("wait", vedette.HandlerFunc(wait))
	work.Handle("fail", vedette.HandlerFunc(wait))
	run(t, work)
	beside, err := app.OpenDesk(t.Context(), app.DeskConfig{Store: "memory:", Queue: url, Change: true})
	if err == nil {
		t.Error("a memory of another process was opened")
		_ = beside.Close()
	}
	d, err := app.OpenDesk(t.Context(), app.DeskConfig{Store: url, Change: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	await(t, "a run", func() bool { return len(jobs(t, d, vedette.Job{Scraper: "ticks", State: vedette.JobSucceeded})) > 0 })
	if _, err := app.OpenView(t.Context(), url, nil); err == nil || !strings.Contains(err.Error(), "neither results") {
		t.Errorf("a view of what is not kept: %v", err)
	}
	if err := work.Watch(t.Context(), vedette.Monitor{URL: "tcp://a:1"}); err == nil {
		t.Error("a monitor was taken")
	}
}
