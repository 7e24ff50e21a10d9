//go:build linux

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

// An arrival is one request that came to the target.
type arrival struct {
	Monitor int
	At      int64 // when its connection was accepted, in microseconds since 1970
	Took    int64 // how long the answer took to begin, in microseconds
}

// A target answers and keeps a log of what it was asked, in memory.
type target struct {
	row    row
	packed []byte // the body, compressed

	mu  sync.Mutex
	log []arrival
}

// runTarget serves until its standard input ends, which it does when the bench goes. It prints
// the spec with its addresses.
func runTarget(ctx context.Context, s spec) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer stop()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	t := &target{row: s.Row, packed: packed()}
	site, err := serve(ctx, s, t.site())
	if err != nil {
		return err
	}
	control, err := serve(ctx, spec{}, t.control())
	if err != nil {
		return err
	}
	s.Addr, s.Control = site, control
	if s.Resolver, err = serveDNS(ctx); err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(s); err != nil {
		return fmt.Errorf("tell addresses: %w", err)
	}
	<-ctx.Done()
	return nil
}

// acceptedAt is the key of the time at which a request's connection was accepted.
type acceptedAt struct{}

// serve answers with h on a free port until ctx ends, and returns the address.
func serve(ctx context.Context, s spec, h http.Handler) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen: %w", err)
	}
	addr := l.Addr().String()
	if s.Row.TLS {
		config, err := serverTLS(s.Dir)
		if err != nil {
			return "", err
		}
		l = tls.NewListener(l, config)
	}
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, acceptedAt{}, time.Now().UnixMicro())
		},
	}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() { _ = server.Serve(l) }()
	return addr, nil
}

func (t *target) site() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		i, err := strconv.Atoi(r.URL.Path[1:])
		if err != nil {
			http.NotFound(w, r)
			return
		}
		at, _ := r.Context().Value(acceptedAt{}).(int64)
		switch {
		case t.row.Silent > 0 && i%t.row.Silent == 0:
			t.add(arrival{i, at, 0})
			<-r.Context().Done()
			return
		case t.row.Exact:
			time.Sleep(exactTime(i))
		}
		t.add(arrival{i, at, time.Since(began).Microseconds()})
		t.answer(w)
	})
}

func (t *target) answer(w http.ResponseWriter) {
	if t.row.Gzip {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(t.packed)
		return
	}
	_, _ = io.WriteString(w, "hello, sentry!\n")
}

func (t *target) add(a arrival) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.log = append(t.log, a)
}

// control hands out the log at /log and begins a new one at /reset.
func (t *target) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/log", func(w http.ResponseWriter, _ *http.Request) {
		t.mu.Lock()
		log := slices.Clip(t.log)
		t.mu.Unlock()
		_ = gob.NewEncoder(w).Encode(log)
	})
	mux.HandleFunc("/count", func(w http.ResponseWriter, _ *http.Request) {
		t.mu.Lock()
		defer t.mu.Unlock()
		_, _ = fmt.Fprint(w, len(t.log))
	})
	mux.HandleFunc("/reset", func(http.ResponseWriter, *http.Request) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.log = make([]arrival, 0, 1<<20)
	})
	return mux
}

// packed returns 50 KB of JSON, compressed.
func packed() []byte {
	items := make([]map[string]any, 0, 700)
	for i := range 700 {
		items = append(items, map[string]any{"id": i, "name": fmt.Sprintf("item %d of the list", i), "price": float64(i*7919%9973) / 100})
	}
	text, _ := json.Marshal(map[string]any{"items": items, "status": "ok"})
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(text)
	_ = z.Close()
	return b.Bytes()
}
