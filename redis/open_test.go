package redis

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

func TestOpenRefusesServersThatLoseThings(t *testing.T) {
	good := map[string]string{
		"redis_version": "7.0.15", "redis_mode": "standalone", "role": "master",
		"maxmemory_policy": "noeviction", "aof_enabled": "1",
	}
	if err := refuse(good); err != nil {
		t.Fatalf("a good server: %v", err)
	}
	for _, c := range []struct{ key, value, want string }{
		{"redis_version", "6.2.14", "7.0 or later"},
		{"redis_version", "", "7.0 or later"},
		{"redis_mode", "cluster", "not a cluster"},
		{"redis_mode", "sentinel", "sentinel"},
		{"role", "slave", "replica"},
		{"maxmemory_policy", "allkeys-lru", "set it to noeviction"},
		{"aof_enabled", "0", "set appendonly yes"},
	} {
		info := maps.Clone(good)
		info[c.key] = c.value
		if err := refuse(info); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:%s: %v, want %q", c.key, c.value, err, c.want)
		}
	}
}

func TestOpenAsksARealServer(t *testing.T) {
	p := startPrivate(t, "--maxmemory-policy", "allkeys-lru")
	open := func() error {
		s, err := Open(t.Context(), p.url(), Options{})
		if err == nil {
			return s.Close()
		}
		return err
	}
	if err := open(); err == nil || !strings.Contains(err.Error(), "noeviction") {
		t.Errorf("with eviction: %v", err)
	}
	p.set("maxmemory-policy", "noeviction")
	p.set("appendonly", "no")
	if err := open(); err == nil || !strings.Contains(err.Error(), "appendonly") {
		t.Errorf("without a log: %v", err)
	}
	p.set("appendonly", "yes")
	if err := open(); err != nil {
		t.Errorf("with both: %v", err)
	}
	if err := p.client().Set(t.Context(), "vedette:layout", "99", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := open(); err == nil || !strings.Contains(err.Error(), "layout") {
		t.Errorf("with keys of another version: %v", err)
	}
}

func TestOpenSaysWhatMayBeLost(t *testing.T) {
	p := startPrivate(t)
	for policy, want := range map[string]string{"always": "", "everysec": "second", "no": "30 s"} {
		p.set("appendfsync", policy)
		var out bytes.Buffer
		openAt(t, p.url(), Options{Log: slog.New(slog.NewTextHandler(&out, nil))})
		if got := out.String(); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("appendfsync %s: logged %q, want %q", policy, got, want)
		}
	}
	if err := p.client().Do(t.Context(), "ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-config").Err(); err != nil {
		t.Fatal(err)
	}
	openAt(t, strings.Replace(p.url(), "//", "//app:secret@", 1), Options{})
}

func TestOpenRefusesWrongURLs(t *testing.T) {
	for _, text := range []string{"http://127.0.0.1", "redis://127.0.0.1/x", "redis://127.0.0.1/0?nonsense=1", "redis://\x7f"} {
		if s, err := Open(t.Context(), text, Options{}); err == nil {
			t.Errorf("opened %q", text)
			_ = s.Close()
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := Open(ctx, "redis://127.0.0.1:1/0", Options{}); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("nobody there: %v", err)
	}
}

func TestPrefixesAreStoresApart(t *testing.T) {
	a, b := openNew(t), openNew(t)
	j := job()
	pushAll(t, a, j)
	if _, err := b.Jobs().Get(t.Context(), j.ID); !errors.Is(err, vedette.ErrNotFound) {
		t.Errorf("a job of another prefix: %v", err)
	}
}

func TestReadOnly(t *testing.T) {
	text := place(t)
	s := openAt(t, text, Options{})
	known := job(func(j *vedette.Job) { j.LimitKey, j.Limit = "k", 1 })
	pushAll(t, s, known, job(func(j *vedette.Job) { j.RunAt = time.Now().Add(-time.Hour) }))
	r := openAt(t, text, Options{ReadOnly: true})
	ctx, ref := t.Context(), []vedette.Ref{{Job: known.ID}}
	for what, do := range map[string]func() error{
		"Push":   func() error { _, err := r.Jobs().Push(ctx, job()); return err },
		"Cancel": func() error { return r.Jobs().Cancel(ctx, "", known.ID) },
		"Claim":  func() error { _, err := r.Queue().Claim(ctx, "w", 1, vedette.Want{Queue: "q"}); return err },
		"Beat":   func() error { _, err := r.Queue().Beat(ctx, "w", time.Hour, ref...); return err },
		"Finish": func() error {
			_, err := r.Queue().Finish(ctx, vedette.End{Ref: ref[0], State: vedette.JobFailed})
			return err
		},
		"Rescue":  func() error { _, err := r.Queue().Rescue(ctx, vedette.Lease{}); return err },
		"Retire":  func() error { _, err := r.Queue().Retire(ctx, vedette.Lease{}, time.Now()); return err },
		"Pause":   func() error { return r.Queues().Pause(ctx, "q") },
		"Fire":    func() error { return r.Schedules().Fire(ctx, vedette.Lease{}, vedette.Firing{Scraper: "s"}) },
		"Acquire": func() error { _, err := r.Leases().Acquire(ctx, "w", time.Hour, "x"); return err },
		"Append":  func() error { return r.Feed().Append(ctx, vedette.Entry{Topic: "t", Data: vedette.Raw("1")}) },
		"Drop":    func() error { return r.Feed().Drop(ctx, "t") },
		"Put":     func() error { return r.KV().Put(ctx, vedette.Value{Key: "k"}) },
		"Keep":    func() error { return r.Scrapers().Put(ctx, vedette.Scraper{ID: "s"}) },
	} {
		if err := do(); !errors.Is(err, vedette.ErrReadOnly) {
			t.Errorf("%s: %v, want ErrReadOnly", what, err)
		}
	}
	if j, err := r.Jobs().Get(ctx, known.ID); err != nil || j.State != vedette.JobPending {
		t.Errorf("Get: %+v, %v", j, err)
	}
	st, err := r.Jobs().Queues(ctx)
	if err != nil || len(st) != 1 || st[0].Ready[0] != 2 {
		t.Errorf("queues %+v, %v; want two ready", st, err)
	}
}
