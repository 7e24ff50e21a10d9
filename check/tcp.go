package check

import (
	"errors"
	"io"
	"os"
)

// tcpKind connects, and with send or an expectation on body has a short talk.
func tcpKind() *kind {
	return &kind{
		scheme: "tcp",
		knows:  []string{"body", "size", "truncated"},
		keys:   []string{"send", "pattern", "not_pattern", "contains", "not_contains"},
		probe:  probeTCP,
	}
}

func probeTCP(r *run) error {
	to := &r.probe.to
	if err := r.dial(to.host, to.port, r.probe.deny); err != nil {
		return err
	}
	send := r.plan.opts.Send
	if send == "" && !r.plan.needs("body") {
		return nil
	}
	if send != "" {
		r.clock.enter(inRequest)
		if _, err := r.conn.Write([]byte(send)); err != nil {
			return err
		}
	}
	r.clock.enter(inTTFB)
	return r.listen()
}

// listen reads until what comes is what is wanted, or no more comes. A server that says too
// little and then waits is not late: what it said is judged.
func (r *run) listen() error {
	limit := int(r.plan.maxBody())
	buf := r.buffer()
	for {
		n, err := r.conn.Read(buf)
		if n > 0 && r.size == 0 {
			r.firstByte()
		}
		n = min(n, limit-r.size)
		r.body = append(r.body, buf[:n]...)
		r.size += n
		switch {
		case r.size >= limit:
			r.truncated = true
			return nil
		case errors.Is(err, io.EOF) && r.size > 0:
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded) && r.size > 0 && !r.cancelled():
			return nil
		case err != nil:
			return err
		}
		r.collect()
		if r.unmet(r.plan.wants) == nil {
			return nil
		}
	}
}
