package sketch

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The binary form is one byte of version, then unsigned varints: the number of zero durations,
// the index of the lowest bucket in use, and the counts from there on. A count of 0 is followed
// by how many more empty buckets there are in that row. Nothing follows the number of zero
// durations if no other was counted.
const version = 1

// most bounds the sum of counts that is read, so that merging cannot overflow.
const most = 1 << 48

// MarshalBinary returns a compact form: one or two bytes for a bucket in use, and less for most
// that are not. Its error is always nil.
func (s *Sketch) MarshalBinary() ([]byte, error) {
	counts, low := s.used()
	b := make([]byte, 0, 8+2*len(counts))
	b = binary.AppendUvarint(append(b, version), s.none)
	if len(counts) == 0 {
		return b, nil
	}
	b = binary.AppendUvarint(b, uint64(low)) //nolint:gosec // buckets count from 0
	for i := 0; i < len(counts); i++ {
		b = binary.AppendUvarint(b, counts[i])
		if counts[i] != 0 {
			continue
		}
		first := i
		for counts[i+1] == 0 { // the last count is not 0
			i++
		}
		b = binary.AppendUvarint(b, uint64(i-first)) //nolint:gosec // not negative
	}
	return b, nil
}

// used returns the counts without the empty ones at both ends.
func (s *Sketch) used() (counts []uint64, low int) {
	counts, low = s.counts, s.low
	for len(counts) > 0 && counts[0] == 0 {
		counts, low = counts[1:], low+1
	}
	for len(counts) > 0 && counts[len(counts)-1] == 0 {
		counts = counts[:len(counts)-1]
	}
	return counts, low
}

var errShort = errors.New("it ends too early")

// UnmarshalBinary replaces s by what MarshalBinary wrote. Any other bytes are an error, and s
// is left as it was.
func (s *Sketch) UnmarshalBinary(b []byte) error {
	got, err := read(b)
	if err != nil {
		return fmt.Errorf("read sketch: %w", err)
	}
	*s = got
	return nil
}

func read(b []byte) (s Sketch, err error) {
	if len(b) == 0 {
		return s, errShort
	}
	if b[0] != version {
		return s, fmt.Errorf("version %d is unknown", b[0])
	}
	r := reader{rest: b[1:]}
	s.none = r.uvarint(most)
	s.total = s.none
	if len(r.rest) == 0 {
		return s, r.err
	}
	s.low = int(r.uvarint(top)) //nolint:gosec // at most top
	for len(r.rest) > 0 && r.err == nil {
		n := r.uvarint(most)
		s.counts = append(s.counts, n)
		if s.total += n; s.total > most {
			return s, errors.New("its counts are too high")
		}
		if n == 0 {
			s.counts = append(s.counts, make([]uint64, r.uvarint(top))...)
		}
		if s.low+len(s.counts)-1 > top {
			return s, errors.New("it has too many buckets")
		}
	}
	if r.err == nil && (len(s.counts) == 0 || s.counts[len(s.counts)-1] == 0) {
		return s, errShort
	}
	return s, r.err
}

// A reader reads varints until the first that is wrong.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(r.rest)
	switch {
	case r.err != nil:
		return 0
	case n <= 0:
		r.err = errShort
		return 0
	case v > limit:
		r.err = fmt.Errorf("%d is more than %d", v, limit)
		return 0
	}
	r.rest = r.rest[n:]
	return v
}
