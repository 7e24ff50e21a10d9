package scrape

import (
	"io"
	"os"
	"sync/atomic"
	"time"
)

const (
	// linger is how long a pipe may be silent after the end of its program: others may hold
	// it open for ever.
	linger = 500 * time.Millisecond
	// leftOver is how much may be read after that end; the system's pipes hold less.
	leftOver = 4 << 20
)

// A pipe is what a program writes to, read to its end or to that of the program.
type pipe struct {
	f     *os.File
	ended atomic.Bool
	left  int
}

// newPipe returns a pipe and the end to write to.
func newPipe() (*pipe, *os.File, error) {
	r, w, err := os.Pipe()
	return &pipe{f: r, left: leftOver}, w, err
}

func (p *pipe) close() { _ = p.f.Close() }

// end says that the program has ended.
func (p *pipe) end() {
	p.ended.Store(true)
	if p.f.SetReadDeadline(time.Now().Add(linger)) != nil {
		time.AfterFunc(linger, p.close) // a system whose pipes know no deadline
	}
}

// Read reads what the program has written. Any error is the end.
func (p *pipe) Read(b []byte) (int, error) {
	if p.ended.Load() {
		if p.left <= 0 {
			return 0, io.EOF
		}
		_ = p.f.SetReadDeadline(time.Now().Add(linger))
	}
	n, err := p.f.Read(b)
	if p.ended.Load() {
		p.left -= n
	}
	return n, err
}

func (p *pipe) discard() { _, _ = io.Copy(io.Discard, p) }
