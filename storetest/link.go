package storetest

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// A link is a client's connection to a Proxy and the one to the server that belongs to it.
type link struct {
	p      *Proxy
	client *net.TCPConn
	server *net.TCPConn  // nil until it is dialled; set under p.mu
	gone   chan struct{} // closed once the link is reset; under p.mu
	deaf   atomic.Bool   // the client is gone, and the server is heard out all the same
}

// run connects the link to the server and forwards until both ends are done.
func (l *link) run(ctx context.Context) {
	defer l.end()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", l.p.target)
	if err != nil {
		l.resetNow()
		return
	}
	l.p.mu.Lock()
	l.server = conn.(*net.TCPConn)
	if isClosed(l.gone) {
		l.reset()
	}
	l.p.mu.Unlock()
	var down sync.WaitGroup
	down.Go(l.toClient)
	l.toServer()
	down.Wait()
}

// end closes what is left of the link. What was forwarded may still be on its way.
func (l *link) end() {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	delete(l.p.links, l)
	_ = l.client.Close()
	if l.server != nil {
		_ = l.server.Close()
	}
}

// reset ends both connections at once, with what is on its way in them. It is called under p.mu.
func (l *link) reset() {
	if !isClosed(l.gone) {
		close(l.gone)
	}
	resetConn(l.client)
	if l.server != nil {
		resetConn(l.server)
	}
}

func (l *link) resetNow() {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	l.reset()
}

// resetConn closes c so that its other end learns of it by an error.
func resetConn(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// toServer forwards what the client says, and asks the hook about it.
func (l *link) toServer() {
	chunk := make([]byte, 64<<10)
	for {
		n, err := l.client.Read(chunk)
		if n > 0 {
			if !l.pass(ToServer) {
				return
			}
			if cut, before := l.p.pick(chunk[:n]); cut {
				l.cutAt(chunk[:n], before)
				return
			}
			if _, err := l.server.Write(chunk[:n]); err != nil {
				l.resetNow()
				return
			}
		}
		if errors.Is(err, io.EOF) {
			_ = l.server.CloseWrite()
			return
		}
		if err != nil {
			l.resetNow()
			return
		}
	}
}

// pick asks the hook whether to cut at a chunk.
func (p *Proxy) pick(chunk []byte) (cut, before bool) {
	p.asking.Lock()
	defer p.asking.Unlock()
	p.mu.Lock()
	hook, before := p.hook, p.before
	p.mu.Unlock()
	if hook == nil || !hook(chunk) {
		return false, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cuts++
	return true, before
}

// cutAt ends the link before a chunk or behind it. Behind it the client's end goes first, so
// that no answer can reach it, and the server's end is not reset, which could take the chunk
// from it.
func (l *link) cutAt(chunk []byte, before bool) {
	if before {
		l.resetNow()
		return
	}
	l.deaf.Store(true)
	resetConn(l.client)
	_, _ = l.server.Write(chunk)
	_ = l.server.CloseWrite()
}

// toClient forwards what the server says.
func (l *link) toClient() {
	chunk := make([]byte, 64<<10)
	for {
		n, err := l.server.Read(chunk)
		if n > 0 && !l.deaf.Load() {
			if !l.pass(ToClient) {
				return
			}
			if _, failed := l.client.Write(chunk[:n]); failed != nil && !l.deaf.Load() {
				l.resetNow()
				return
			}
		}
		if errors.Is(err, io.EOF) {
			_ = l.client.CloseWrite()
			return
		}
		if err != nil {
			l.resetNow()
			return
		}
	}
}

// pass waits until bytes may go a way, and says no if the link is gone before.
func (l *link) pass(w Way) bool {
	l.p.mu.Lock()
	gate := l.p.gates[w]
	l.p.mu.Unlock()
	select {
	case <-gate:
		return true
	case <-l.gone:
		return false
	}
}
