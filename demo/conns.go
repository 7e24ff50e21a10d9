package demo

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
)

// babble waits to be asked and answers in no known language.
func babble(c net.Conn) {
	if _, err := c.Read(make([]byte, 4096)); err == nil {
		_, _ = io.WriteString(c, "\x00\x17 lorem ipsum\r\n\r\n")
	}
}

// listenOnly reads until the other side has had enough. Over TLS it shakes hands before.
func listenOnly(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// echo answers "ping" with "pong" and everything else with itself, line by line.
func echo(c net.Conn) {
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		line := lines.Text()
		if line == "ping" {
			line = "pong"
		}
		if _, err := io.WriteString(c, line+"\n"); err != nil {
			return
		}
	}
}

// A gate is a listener that cuts each connection while it is not up.
type gate struct {
	net.Listener
	up  func() bool
	cut func(net.Conn)
}

// gated puts a gate before l. It cuts a connection when the other side has said something, and
// so is certain to meet a reset and not a closed door.
func (w *Web) gated(ctx context.Context, l net.Listener) net.Listener {
	return gate{l, w.gateUp, func(c net.Conn) {
		w.wg.Go(func() {
			defer context.AfterFunc(ctx, func() { _ = c.Close() })()
			_, _ = c.Read(make([]byte, 1))
			if tcp, ok := c.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // close with a reset
			}
			_ = c.Close()
		})
	}}
}

// Accept returns the next connection that comes while the gate is up.
func (g gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil || g.up() {
			return c, err
		}
		g.cut(c)
	}
}

// refusing returns an address at which nobody listens, and nobody will as long as the Web is
// served: its port is the near end of a connection of our own.
func (w *Web) refusing(ctx context.Context) (string, error) {
	l, err := w.listen()
	if err != nil {
		return "", err
	}
	w.serveConns(ctx, l, listenOnly)
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
	c, err := from.DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		return "", fmt.Errorf("reserve a port: %w", err)
	}
	w.ends = append(w.ends, c)
	return c.LocalAddr().String(), nil
}
