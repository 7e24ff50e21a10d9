package storetest_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedettehq/vedette/storetest"
)

// A server answers each line with "got" and the line, and remembers what it got.
type server struct {
	net.Listener
	got chan string
}

func serve(t *testing.T) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{l, make(chan string, 100)}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			done.Go(func() { s.answer(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		done.Wait()
	})
	return s
}

func (s *server) answer(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		s.got <- lines.Text()
		if _, err := fmt.Fprintln(conn, "got", lines.Text()); err != nil {
			return
		}
	}
}

// A client says a line at a time.
type client struct {
	net.Conn
	lines *bufio.Reader
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &client{conn, bufio.NewReader(conn)}
}

func (c *client) say(line string) (answer string, err error) {
	if _, err := fmt.Fprintln(c, line); err != nil {
		return "", err
	}
	return c.lines.ReadString('\n')
}

// works checks that the connection carries a line and its answer.
func (c *client) works(t *testing.T, s *server, line string) {
	t.Helper()
	if answer, err := c.say(line); err != nil || answer != "got "+line+"\n" {
		t.Fatalf("said %q, answer %q, %v", line, answer, err)
	}
	if got := <-s.got; got != line {
		t.Fatalf("said %q, the server got %q", line, got)
	}
}

func wantNothing(t *testing.T, s *server) {
	t.Helper()
	select {
	case got := <-s.got:
		t.Errorf("the server got %q, want nothing", got)
	default:
	}
}

// wantReset checks that a new connection is of no use; it may be reset while it is dialled.
func wantReset(t *testing.T, p *storetest.Proxy) {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		return
	}
	c := client{conn, bufio.NewReader(conn)}
	defer func() { _ = c.Close() }()
	if answer, err := c.say("hello"); err == nil {
		t.Errorf("answer %q through a proxy that refuses", answer)
	}
}

func TestProxyForwards(t *testing.T) {
	s := serve(t)
	p := storetest.NewProxy(t, s.Addr().String())
	c := dial(t, p.Addr())
	big := strings.Repeat("0123456789", 6000)
	c.works(t, s, "one")
	c.works(t, s, big)
	dial(t, p.Addr()).works(t, s, "of another")
	if _, err := fmt.Fprintln(c, "last"); err != nil {
		t.Fatal(err)
	}
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(c.lines); err != nil || string(rest) != "got last\n" {
		t.Errorf("after the client's end: %q, %v; want the last answer and the end", rest, err)
	}
}

func TestProxyCutsAllConnections(t *testing.T) {
	s := serve(t)
	p := storetest.NewProxy(t, s.Addr().String())
	a, b := dial(t, p.Addr()), dial(t, p.Addr())
	a.works(t, s, "a")
	b.works(t, s, "b")
	if n := p.Cut(); n != 2 || p.Cuts() != 2 {
		t.Errorf("cut %d, counted %d, want 2", n, p.Cuts())
	}
	for _, c := range []*client{a, b} {
		if answer, err := c.say("still there?"); err == nil {
			t.Errorf("answer %q on a connection that is cut", answer)
		}
	}
	wantNothing(t, s)
	dial(t, p.Addr()).works(t, s, "c")
}

func TestProxyCutsBeforeOrBehindAChunk(t *testing.T) {
	for _, before := range []bool{true, false} {
		t.Run(fmt.Sprint(before), func(t *testing.T) {
			s := serve(t)
			p := storetest.NewProxy(t, s.Addr().String())
			c, other := dial(t, p.Addr()), dial(t, p.Addr())
			other.works(t, s, "other")
			p.CutWhen(func(chunk []byte) bool { return bytes.Contains(chunk, []byte("commit")) }, before)
			c.works(t, s, "begin")
			if answer, err := c.say("commit"); err == nil {
				t.Errorf("answer %q", answer)
			}
			if before {
				wantNothing(t, s)
			} else if got := <-s.got; got != "commit" {
				t.Errorf("the server got %q, want commit", got)
			}
			if p.Cuts() != 1 {
				t.Errorf("%d cuts, want 1", p.Cuts())
			}
			other.works(t, s, "more")
			p.CutWhen(nil, false)
			dial(t, p.Addr()).works(t, s, "commit")
		})
	}
}

func TestProxyPausesEachWay(t *testing.T) {
	s := serve(t)
	p := storetest.NewProxy(t, s.Addr().String())
	c := dial(t, p.Addr())
	c.works(t, s, "one")

	p.Pause(storetest.ToClient)
	answers := make(chan string, 1)
	go func() {
		answer, err := c.say("two")
		answers <- fmt.Sprint(answer, err)
	}()
	if got := <-s.got; got != "two" {
		t.Errorf("the server got %q", got)
	}
	select {
	case answer := <-answers:
		t.Errorf("answer %q through a pause", answer)
	case <-time.After(20 * time.Millisecond): // a broken pause would be seen within this time
	}
	p.Pause(storetest.ToClient)
	p.Resume(storetest.BothWays)
	if answer := <-answers; answer != "got two\n<nil>" {
		t.Errorf("answer %q", answer)
	}

	p.Pause(storetest.BothWays)
	go func() {
		answer, err := c.say("three")
		answers <- fmt.Sprint(answer, err)
	}()
	select {
	case got := <-s.got:
		t.Errorf("the server got %q through a pause", got)
	case <-time.After(20 * time.Millisecond):
	}
	p.Resume(storetest.ToServer)
	<-s.got
	p.Resume(storetest.ToClient)
	<-answers
}

func TestProxyRefusesNewConnections(t *testing.T) {
	s := serve(t)
	p := storetest.NewProxy(t, s.Addr().String())
	old := dial(t, p.Addr())
	old.works(t, s, "old")
	p.Refuse(true)
	wantReset(t, p)
	wantNothing(t, s)
	old.works(t, s, "still")
	p.Refuse(false)
	dial(t, p.Addr()).works(t, s, "new")
}

func TestProxyResetsClientsOfAServerThatIsGone(t *testing.T) {
	s := serve(t)
	p := storetest.NewProxy(t, s.Addr().String())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantReset(t, p)
}

// running returns the stacks of all goroutines.
func running() string {
	stacks := make([]byte, 1<<20)
	return string(stacks[:runtime.Stack(stacks, true)])
}

func TestProxyLeavesNothingRunning(t *testing.T) {
	s := serve(t)
	p := storetest.NewProxy(t, s.Addr().String())
	idle, paused := dial(t, p.Addr()), dial(t, p.Addr())
	idle.works(t, s, "idle")
	paused.works(t, s, "paused")
	p.CutWhen(func(chunk []byte) bool { return bytes.HasPrefix(chunk, []byte("cut")) }, false)
	_, _ = dial(t, p.Addr()).say("cut")
	p.Pause(storetest.BothWays)
	if _, err := fmt.Fprintln(paused, "never"); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(running(), "storetest.(*link).pass(") {
		runtime.Gosched()
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if stacks := running(); strings.Contains(stacks, "storetest.(*link)") {
		t.Errorf("a link outlives its proxy:\n%s", stacks)
	}
	if conn, err := net.Dial("tcp", p.Addr()); err == nil {
		_ = conn.Close()
		t.Error("a closed proxy listens")
	}
	if err := p.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}
