package codec

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/vedettehq/vedette"
)

// quick reads what most bodies are, in today's schema: a result without hops and failure. It says
// no to any other, and to what is damaged: package avro reads those, or says what is wrong.
func quick(b []byte, r *vedette.Result, names *names) bool {
	s := scan{b: b}
	*r = vedette.Result{ID: vedette.ID(s.bytes(16))}
	r.Monitor = vedette.MonitorID(names.ofBytes(s.text()))
	r.Revision = s.long()
	r.Region = names.ofBytes(s.text())
	r.Token = s.long()
	r.DueAt = s.optionalTime()
	r.StartedAt = time.UnixMicro(s.long()).UTC()
	r.State = stateOf(string(s.text()))
	code := s.long()
	r.Code = int(code)
	r.Phases = vedette.Phases{
		DNS: spanOf(s.long()), Connect: spanOf(s.long()), TLS: spanOf(s.long()),
		Request: spanOf(s.long()), TTFB: spanOf(s.long()), Transfer: spanOf(s.long()),
	}
	hops := s.long()
	r.Addr = names.ofBytes(s.text())
	r.CertNotAfter = s.optionalTime()
	failure := s.long()
	return !s.bad && len(s.b) == 0 && hops == 0 && failure == 0 && code == int64(int32(code)) //nolint:gosec // that is the question
}

// A scan reads Avro from the front. After it went bad it gives zeros.
type scan struct {
	b   []byte
	bad bool
}

// long reads a number. One in more bytes than it takes is bad, for how many of them package avro
// reads depends on the field.
func (s *scan) long() int64 {
	n, size := binary.Varint(s.b)
	if size <= 0 || size > 1 && s.b[size-1] == 0 {
		s.b, s.bad = nil, true
		return 0
	}
	s.b = s.b[size:]
	return n
}

var zeros [16]byte

func (s *scan) bytes(n int64) []byte {
	if n < 0 || n > int64(len(s.b)) {
		s.b, s.bad = nil, true
		return zeros[:min(max(n, 0), int64(len(zeros)))]
	}
	b := s.b[:n]
	s.b = s.b[n:]
	return b
}

func (s *scan) text() []byte {
	n := s.long()
	if n > math.MaxInt32 {
		n = -1
	}
	return s.bytes(n)
}

// optionalTime reads a union of null and microseconds.
func (s *scan) optionalTime() time.Time {
	switch s.long() {
	case 0:
		return time.Time{}
	case 1:
		return time.UnixMicro(s.long()).UTC()
	}
	s.bad = true
	return time.Time{}
}
