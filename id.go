package vedette

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"
)

// An ID is a UUIDv7 (RFC 9562), made by whoever makes the thing, so that saying it twice is
// harmless. It begins with the time of making in microseconds: IDs sort by time. The zero ID
// names nothing. Those of [ItemID] are of version 5 and follow from what they name, not from a time.
type ID [16]byte

// NewID returns a new ID of the time at, which [ID.Time] gives back to the microsecond. The
// fraction of the millisecond stands in rand_a (RFC 9562, section 6.2, method 3); the other 62
// bits are random.
func NewID(at time.Time) ID {
	var id ID
	us := at.UnixMicro()
	ms, frac := us/1000, us%1000*4096/1000
	binary.BigEndian.PutUint64(id[:8], uint64(ms)<<16|0x7000|uint64(frac)) //nolint:gosec // times before 1970 are not made
	binary.BigEndian.PutUint64(id[8:], rand.Uint64()>>2|0x8000000000000000)
	return id
}

// FirstID returns the lowest ID of the time at: what sorts before it is older.
func FirstID(at time.Time) ID {
	id := NewID(at)
	binary.BigEndian.PutUint64(id[8:], 0x8000000000000000)
	return id
}

// Time returns the time that id was made of, to the microsecond.
func (id ID) Time() time.Time {
	top := binary.BigEndian.Uint64(id[:8])
	ms, frac := int64(top>>16), int64(top&0xfff) //nolint:gosec // 48 bits
	return time.UnixMicro(ms*1000 + (frac*1000+4095)/4096)
}

// IsZero reports whether id names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// String returns the canonical form, 36 characters.
func (id ID) String() string {
	var b [36]byte
	return string(id.appendTo(b[:0]))
}

func (id ID) appendTo(b []byte) []byte {
	b = hex.AppendEncode(b, id[:4])
	for _, part := range [...][]byte{id[4:6], id[6:8], id[8:10], id[10:]} {
		b = hex.AppendEncode(append(b, '-'), part)
	}
	return b
}

// MarshalText makes an ID a string in JSON; the zero ID is the empty string.
func (id ID) MarshalText() ([]byte, error) {
	if id.IsZero() {
		return []byte{}, nil
	}
	return id.appendTo(nil), nil
}

// UnmarshalText reads the canonical form, and the empty string as the zero ID.
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*id = ID{}
		return nil
	}
	got, err := ParseID(string(text))
	*id = got
	return err
}

// ParseID reads the canonical form of an ID.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, fmt.Errorf("id %q: want 36 characters like 019a5c1e-8a00-7000-8000-000000000000", s)
	}
	digits := s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	if _, err := hex.Decode(id[:], []byte(digits)); err != nil {
		return ID{}, fmt.Errorf("id %q: %w", s, err)
	}
	return id, nil
}
