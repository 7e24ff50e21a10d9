package check

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/vedettehq/vedette"
)

// buffer returns room to read into.
func (r *run) buffer() []byte {
	if r.scratch == nil {
		r.scratch = make([]byte, 16<<10)
	}
	return r.scratch
}

// readBody reads the decoded body up to max_body. All of it is kept where an expectation needs
// it, else the first KiB, in case there is a failure to show. length is that of the encoded
// body, or -1.
func (r *run) readBody(src io.Reader, length int64) error {
	if length == 0 {
		return nil
	}
	encoding := strings.ToLower(strings.TrimSpace(r.head.Get("Content-Encoding")))
	plain := encoding == "" || encoding == "identity"
	body, done, err := r.decoded(src, encoding)
	defer done()
	if err != nil {
		return r.bodyFault(err, encoding, length, plain)
	}
	limit, keep := int(r.plan.maxBody()), r.plan.keepsBody()
	buf := r.buffer()
	for {
		n, err := body.Read(buf)
		if r.size+n > limit {
			n, r.truncated = limit-r.size, true
		}
		r.size += n
		if keep {
			r.body = append(r.body, buf[:n]...)
		} else if room := maxEvidence - len(r.body); room > 0 {
			r.body = append(r.body, buf[:min(n, room)]...)
		}
		switch {
		case r.truncated || errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return r.bodyFault(err, encoding, length, plain)
		}
	}
}

// bodyFault says what is wrong with a body.
func (r *run) bodyFault(err error, encoding string, length int64, plain bool) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) && plain && length > 0:
		return r.failf(vedette.KindTruncated, "the body ends after %d of %d bytes", r.size, length)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return r.failf(vedette.KindTruncated, "the body ends before its end, after %d bytes", r.size)
	case is(err, gzip.ErrHeader, gzip.ErrChecksum, zlib.ErrHeader, zlib.ErrChecksum) || errors.As(err, &corrupt):
		return r.failf(vedette.KindProtocol, "the body is not the %s that it is said to be: %v", encoding, err)
	}
	return err
}

// An inflater unpacks gzip. Its buffers are large, so it is pooled.
type inflater struct {
	br *bufio.Reader
	z  gzip.Reader
}

// inflaters is a pool of inflaters that all checks of a Checker share.
type inflaters struct{ sync.Pool }

func (p *inflaters) get() *inflater {
	if in, ok := p.Get().(*inflater); ok {
		return in
	}
	return &inflater{br: bufio.NewReader(nil)}
}

// decoded returns src without its encoding. An encoding that nobody asked for is left as it
// is. done gives back what it used.
func (r *run) decoded(src io.Reader, encoding string) (body io.Reader, done func(), err error) {
	nothing := func() {}
	switch encoding {
	case "gzip", "x-gzip":
		in := r.inflaters.get()
		in.br.Reset(src)
		done := func() { in.br.Reset(nil); r.inflaters.Put(in) }
		if _, err := in.br.Peek(1); errors.Is(err, io.EOF) {
			return in.br, done, nil // a body that is absent needs no gzip
		}
		if err := in.z.Reset(in.br); err != nil {
			return nil, done, err
		}
		return &in.z, done, nil
	case "deflate":
		br := bufio.NewReader(src)
		head, err := br.Peek(2)
		if errors.Is(err, io.EOF) && len(head) == 0 {
			return br, nothing, nil
		}
		// RFC 9110 means zlib, but some servers send bare deflate.
		if err == nil && head[0]&0x0f == 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
			z, err := zlib.NewReader(br)
			return z, nothing, err
		}
		return flate.NewReader(br), nothing, nil
	}
	return src, nothing, nil
}
