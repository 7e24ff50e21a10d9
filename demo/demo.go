// Package demo is a small web of misbehaving sites on the loopback interface, a configuration
// file that watches them, and a live table to look at them in. Tests of other packages use the
// same sites: [Serve], then [Web.URL].
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
)

// A Web is a set of sites being served, on free ports of 127.0.0.1.
type Web struct {
	// CAFile is a PEM file with the authority that signed the certificates of the sites,
	// except that of self-signed. It goes when the Web ends.
	CAFile string
	// Resolver is HOST:PORT of a DNS server that knows names.demo.test (A 192.0.2.7) and says
	// of every other name that it does not exist.
	Resolver string

	sites []Site
	age   func() time.Duration // since the beginning; flapping and gateway go by it
	ends  []io.Closer
	wg    sync.WaitGroup // goroutines that serve
	done  chan struct{}
}

// A Site is one site of a Web and how to watch it.
type Site struct {
	Name  string
	Group string
	URL   string
	About string   // what it does, for people
	Keys  []string // further keys of the monitor, as lines of YAML
	Want  Want
}

// A Want says what must be seen of a site.
type Want struct {
	Name string
	// States are the verdicts that must be seen, in any order.
	States []vedette.State
	// Kind is the kind of failure that must be seen; "" asks for none.
	Kind vedette.Kind
	// Muted names the parent that must be seen to hide a down; "" asks for none.
	Muted string
}

// Serve serves the sites until ctx ends. Use [Web.Wait] to wait until they are gone.
func Serve(ctx context.Context) (*Web, error) {
	began := time.Now()
	return serve(ctx, func() time.Duration { return time.Since(began) })
}

func serve(ctx context.Context, age func() time.Duration) (*Web, error) {
	w := &Web{age: age, done: make(chan struct{})}
	ctx, cancel := context.WithCancel(ctx)
	err := w.open(ctx)
	if err != nil {
		cancel()
	}
	go func() {
		defer close(w.done)
		defer cancel()
		<-ctx.Done()
		w.close()
	}()
	if err != nil {
		w.Wait()
		return nil, fmt.Errorf("serve demo sites: %w", err)
	}
	return w, nil
}

func (w *Web) close() {
	for _, end := range w.ends {
		_ = end.Close()
	}
	w.wg.Wait()
	if w.CAFile != "" {
		_ = os.Remove(w.CAFile)
	}
}

// Wait waits until ctx has ended and all sites are gone.
func (w *Web) Wait() { <-w.done }

// Sites returns the sites, in the order in which to show them.
func (w *Web) Sites() []Site { return w.sites }

// URL returns where the site called name is, and "" if there is none.
func (w *Web) URL(name string) string {
	for _, s := range w.sites {
		if s.Name == name {
			return s.URL
		}
	}
	return ""
}

// Wanted returns, for each site, what a watcher must see of it within 15 seconds.
func (w *Web) Wanted() []Want {
	all := make([]Want, len(w.sites))
	for i, s := range w.sites {
		all[i] = s.Want
	}
	return all
}

// listen opens a free port. The listener ends with the Web.
func (w *Web) listen() (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	w.ends = append(w.ends, l)
	return l, nil
}

// serveHTTP answers on l with h.
func (w *Web) serveHTTP(l net.Listener, h http.Handler) {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // watchers break off handshakes all the time
	}
	w.ends = append(w.ends, s)
	w.wg.Go(func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			_ = l.Close()
		}
	})
}

// serveConns answers each connection on l with answer, until ctx ends.
func (w *Web) serveConns(ctx context.Context, l net.Listener, answer func(net.Conn)) {
	w.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.wg.Go(func() {
				defer context.AfterFunc(ctx, func() { _ = c.Close() })()
				defer func() { _ = c.Close() }()
				answer(c)
			})
		}
	})
}
