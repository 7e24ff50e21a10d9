package check

import (
	"bufio"
	"errors"
	"io"
	"math"
	"net/http"

	"github.com/vedettehq/vedette"
)

// maxHead bounds the head of an answer, interim answers included.
const maxHead = 64 << 10

var errLongHead = errors.New("the head of the answer is longer than 64KiB")

// A wire reads the present connection, marks the first byte and bounds the head.
type wire struct {
	r     *run
	br    *bufio.Reader
	left  int
	begun bool
	err   error // of the connection; the parser loses it after half a line
}

func (w *wire) Read(p []byte) (int, error) {
	if w.left <= 0 {
		w.err = errLongHead
		return 0, w.err
	}
	n, err := w.r.conn.Read(p[:min(len(p), w.left)])
	w.err = err
	if n > 0 {
		w.left -= n
		if !w.begun {
			w.begun = true
			w.r.firstByte()
		}
	}
	return n, err
}

// firstByte marks the beginning of the answer.
func (r *run) firstByte() {
	r.clock.enter(inTransfer)
	r.facts.FirstByte = r.clock.last.Sub(r.clock.begun)
}

// exchange1 speaks HTTP/1.1 over the present connection.
func (r *run) exchange1(q *ask) error {
	r.clock.enter(inRequest)
	r.wire = wire{r: r, br: r.wire.br, left: maxHead}
	if r.wire.br == nil {
		r.wire.br = bufio.NewReader(&r.wire)
	} else {
		r.wire.br.Reset(&r.wire)
	}
	r.out = q.append(r.out[:0], r.agent, r.reuses())
	_, sendErr := r.conn.Write(r.out)
	r.clock.enter(inTTFB)
	// A server may answer before it has read all and hang up: the answer counts.
	resp, err := r.readHead(q.method) //nolint:bodyclose // the connection is closed, which is all there is
	if err != nil {
		return r.noHead(err, sendErr)
	}
	r.code, r.proto, r.head = resp.StatusCode, resp.Proto, resp.Header
	if err := r.readBody(resp.Body, resp.ContentLength); err != nil {
		return err
	}
	if r.reuses() && sendErr == nil && !resp.Close && !r.truncated && r.wire.br.Buffered() == 0 {
		r.keep()
	}
	return nil
}

// noHead says why there was no answer.
func (r *run) noHead(err, sendErr error) error {
	if r.wire.err != nil && !errors.Is(r.wire.err, io.EOF) {
		err = r.wire.err
	}
	switch {
	case errors.Is(err, errLongHead):
		return r.failf(vedette.KindProtocol, "%s: %v", r.who(), err)
	case r.wire.begun:
		return err
	case r.reused && !r.late(err) && !r.cancelled():
		return errStale
	case sendErr != nil && !r.late(err):
		r.clock.now = inRequest
		return sendErr
	case errors.Is(err, io.ErrUnexpectedEOF):
		return io.EOF
	}
	return err
}

// readHead reads the head of the final answer; interim ones are skipped.
func (r *run) readHead(method string) (*http.Response, error) {
	var req *http.Request
	if method != http.MethodGet {
		req = &http.Request{Method: method}
	}
	for {
		resp, err := http.ReadResponse(r.wire.br, req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			r.wire.left = math.MaxInt
			return resp, nil
		}
	}
}
