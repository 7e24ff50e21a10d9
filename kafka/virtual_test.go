package kafka_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/kafka"
	"github.com/vedettehq/vedette/memory"
)

// A world is a cluster in virtual time with the topic "results", and a store that keeps its
// positions.
type world struct {
	*testing.T
	*kfake.Cluster
	net   kfake.VirtualNetwork
	c     kafka.Config
	store *memory.Store
	kept  []string // bodies of what was written
}

// virtually runs a test in virtual time. Its hour is the bound of every wait.
func virtually(t *testing.T, partitions int32, test func(*testing.T, *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, store: memory.New()}
		w.Cluster, w.c = fake(t, kfake.Ports(9092), kfake.ListenFn(w.net.Listen), kfake.SeedTopics(partitions, "results"))
		w.c.Dialer = w.net.DialContext
		test(t, w)
	})
}

func (w *world) reading(owner string) kafka.Reading {
	return kafka.Reading{
		Group: "recorders", Topics: []string{"results"},
		Claim: func(ctx context.Context, p ...vedette.Position) ([]vedette.Position, error) {
			return w.store.Positions().Claim(ctx, owner, p...)
		},
	}
}

func (w *world) open(owner string) vedette.Session {
	w.Helper()
	return open(w, source(w, w.c, w.reading(owner)))
}

// publish sends messages of one key.
func (w *world) publish(bodies ...string) {
	w.Helper()
	p := publisher(w, w.c)
	if err := p.Publish(w.Context(), messages(bodies...)...); err != nil {
		w.Fatalf("Publish: %v", err)
	}
}

func messages(bodies ...string) []vedette.Message {
	all := make([]vedette.Message, len(bodies))
	for i, b := range bodies {
		all[i] = vedette.Message{Topic: "results", Key: []byte("k"), Body: []byte(b)}
	}
	return all
}

// receive returns what comes once there are n messages that are not idle.
func (w *world) receive(s vedette.Session, n int) []vedette.Message {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Hour)
	defer cancel()
	var all []vedette.Message
	for n > 0 {
		m, err := s.Receive(ctx, n)
		if err != nil || ctx.Err() != nil {
			w.Fatalf("%d messages are missing: %v", n, errors.Join(err, ctx.Err()))
		}
		for _, one := range m {
			all = append(all, one)
			if one.Mark != vedette.MarkIdle {
				n--
			}
		}
	}
	return all
}

// lose returns why the session is over, after whatever else it says.
func (w *world) lose(s vedette.Session) error {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Hour)
	defer cancel()
	for ctx.Err() == nil {
		all, err := s.Receive(ctx, 100)
		if err == nil && len(all) > 0 {
			err = s.Settle(ctx, last(all))
		}
		if err != nil {
			if !errors.Is(err, vedette.ErrLeaseLost) {
				w.Errorf("the session ended with %v, want ErrLeaseLost", err)
			}
			return err
		}
	}
	w.Fatal("the session lives on")
	return nil
}

// write keeps messages and their positions in one transaction.
func (w *world) write(all []vedette.Message) error {
	moves := map[int32]int{}
	var b vedette.Batch
	for _, m := range all {
		i, ok := moves[m.Position.Partition]
		if !ok {
			i = len(b.Positions)
			moves[m.Position.Partition] = i
			b.Positions = append(b.Positions, m.Position)
		}
		p := &b.Positions[i]
		p.Next, p.Stream = m.Position.Next, m.Position.Stream
		if !m.Position.Through.IsZero() {
			p.Through = m.Position.Through
		}
	}
	if err := w.store.Write(context.Background(), b); err != nil {
		return err
	}
	for _, m := range all {
		if m.Mark == "" {
			w.kept = append(w.kept, string(m.Body))
		}
	}
	return nil
}

func (w *world) keep(s vedette.Session, all []vedette.Message) {
	w.Helper()
	if err := w.write(all); err != nil {
		w.Fatalf("Write: %v", err)
	}
	if err := s.Settle(w.Context(), last(all)); err != nil {
		w.Fatalf("Settle: %v", err)
	}
}

// last is the verdict that is done with all.
func last(all []vedette.Message) vedette.Verdict {
	return vedette.Verdict{Tag: all[len(all)-1].Tag, UpTo: true, Do: vedette.Ack}
}

// position returns that of partition 0, as it is kept.
func (w *world) position() vedette.Position {
	w.Helper()
	all, err := w.store.Positions().List(w.Context(), "recorders")
	if err != nil || len(all) == 0 {
		w.Fatalf("List: %v, %v", all, err)
	}
	return all[0]
}

// A brake stops a process's connections dead, as SIGSTOP does to the process.
type brake struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)
	mu   sync.Mutex
	on   chan struct{} // closed: not on
}

func newBrake(w *world) *brake {
	b := &brake{dial: w.net.DialContext, on: make(chan struct{})}
	close(b.on)
	return b
}

func (b *brake) pull() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.on = make(chan struct{})
}

func (b *brake) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.on)
}

func (b *brake) wait() {
	b.mu.Lock()
	on := b.on
	b.mu.Unlock()
	<-on
}

func (b *brake) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	b.wait()
	conn, err := b.dial(ctx, network, address)
	return braked{conn, b}, err
}

type braked struct {
	net.Conn
	b *brake
}

func (c braked) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.b.wait()
	return n, err
}

func (c braked) Write(p []byte) (int, error) {
	c.b.wait()
	return c.Conn.Write(p)
}

// A delay is a network that holds what is sent while it is on, and lets it in later, even
// after the sender has hung up.
type delay struct {
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	mu    sync.Mutex
	on    bool
	conns []*delayed
}

func (d *delay) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c := &delayed{Conn: conn, d: d}
	d.conns = append(d.conns, c)
	return c, nil
}

func (d *delay) hold(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.on = on
}

// release lets in what is held, and waits until it is handled.
func (d *delay) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.conns {
		if len(c.held) > 0 {
			_ = c.SetDeadline(time.Time{})
			go func() { _, _ = io.Copy(io.Discard, c.Conn) }()
			_, _ = c.Conn.Write(c.held)
		}
	}
	synctest.Wait()
	for _, c := range d.conns {
		_ = c.Conn.Close()
	}
}

// delayed is one connection. Once something of it is held, all that follows is.
type delayed struct {
	net.Conn
	d    *delay
	held []byte
}

func (c *delayed) Write(p []byte) (int, error) {
	c.d.mu.Lock()
	hold := c.d.on || len(c.held) > 0
	if hold {
		c.held = append(c.held, p...)
	}
	c.d.mu.Unlock()
	if hold {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *delayed) Close() error {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	if len(c.held) > 0 {
		return c.SetDeadline(time.Unix(1, 0)) // ends reads, and nothing else
	}
	return c.Conn.Close()
}
