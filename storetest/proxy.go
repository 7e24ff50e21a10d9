package storetest

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
)

// A Way is a direction of bytes, or both.
type Way int

// The ways through a Proxy.
const (
	ToServer Way = 1 << iota
	ToClient
	BothWays = ToServer | ToClient
)

// A Proxy stands between clients and a real server on TCP and breaks what is between them on
// command. It is safe for concurrent use.
type Proxy struct {
	target   string
	listener net.Listener
	stop     context.CancelFunc
	running  sync.WaitGroup

	asking sync.Mutex // held while the hook is asked

	mu     sync.Mutex
	links  map[*link]bool
	gates  map[Way]chan struct{} // closed where bytes pass
	refuse bool
	closed bool
	hook   func(chunk []byte) bool
	before bool
	cuts   int
}

// NewProxy listens on a free port of 127.0.0.1 and forwards to target, a host and a port, until
// the test ends.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen for a proxy: %v", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &Proxy{
		target: target, listener: listener, stop: stop, links: map[*link]bool{},
		gates: map[Way]chan struct{}{ToServer: make(chan struct{}), ToClient: make(chan struct{})},
	}
	p.Resume(BothWays)
	p.running.Go(func() { p.accept(ctx) })
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close proxy: %v", err)
		}
	})
	return p
}

// Addr is where clients connect to: a host and a port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Cut resets all connections and returns how many there were.
func (p *Proxy) Cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for l := range p.links {
		if !isClosed(l.gone) && !l.deaf.Load() {
			n++
		}
		l.reset()
	}
	p.cuts += n
	return n
}

// Cuts returns how many connections were cut so far, by Cut or CutWhen.
func (p *Proxy) Cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

// CutWhen cuts a connection at the chunk of bytes from its client that f picks: before it, so
// that the server never gets it, or behind it, so that the server gets all of it and the client
// no answer. A chunk is what one read from the socket gave. f is asked about one chunk at a time
// and must not keep it; nil ends the hook.
func (p *Proxy) CutWhen(f func(chunk []byte) bool, before bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hook, p.before = f, before
}

// Pause stops the bytes that go one way, or both: they wait, and so do those of connections made
// meanwhile. A chunk that is on its way already may still pass.
func (p *Proxy) Pause(w Way) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, way := range w.each() {
		if isClosed(p.gates[way]) {
			p.gates[way] = make(chan struct{})
		}
	}
}

// Resume lets the bytes that wait go on.
func (p *Proxy) Resume(w Way) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, way := range w.each() {
		if !isClosed(p.gates[way]) {
			close(p.gates[way])
		}
	}
}

func (w Way) each() []Way {
	return slices.DeleteFunc([]Way{ToServer, ToClient}, func(one Way) bool { return w&one == 0 })
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Refuse lets all new connections be reset at once, or no longer.
func (p *Proxy) Refuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}

// Close resets all connections and waits until nothing of the proxy runs.
func (p *Proxy) Close() error {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	for l := range p.links {
		l.reset()
	}
	p.mu.Unlock()
	var err error
	if first {
		p.stop()
		err = p.listener.Close()
	}
	p.running.Wait()
	return err
}

func (p *Proxy) accept(ctx context.Context) {
	for {
		conn, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		l := &link{p: p, client: conn.(*net.TCPConn), gone: make(chan struct{})}
		p.mu.Lock()
		p.links[l] = true
		if p.refuse || p.closed {
			l.reset()
		}
		p.mu.Unlock()
		p.running.Go(func() { l.run(ctx) })
	}
}
