package postgres

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/vedettehq/vedette"
)

// Object identifiers of types, as PostgreSQL numbers them, and of their arrays.
const (
	oidText   = 25
	oidInt8   = 20
	oidInt4   = 23
	oidInt2   = 21
	oidSpan   = 1186 // interval
	oidBool   = 16
	oidBytea  = 17
	oidUUID   = 2950
	oidTime   = 1184
	oidJSON   = 114
	oidJSONB  = 3802
	oidInt4s  = 1007
	oidTexts  = 1009
	oidInt8s  = 1016
	oidInt2s  = 1005
	oidBools  = 1000
	oidByteas = 1001
	oidUUIDs  = 2951
	oidTimes  = 1185
	oidJSONs  = 199
	oidJSONBs = 3807
)

// arrayOf returns the array type of a type.
func arrayOf(oid uint32) uint32 {
	switch oid {
	case oidText:
		return oidTexts
	case oidInt8:
		return oidInt8s
	case oidInt4:
		return oidInt4s
	case oidInt2:
		return oidInt2s
	case oidBool:
		return oidBools
	case oidBytea:
		return oidByteas
	case oidUUID:
		return oidUUIDs
	case oidTime:
		return oidTimes
	case oidJSON:
		return oidJSONs
	}
	return oidJSONBs
}

// A row is made of values in PostgreSQL's binary form, each behind its length. COPY and arrays
// share that form, so that one function says how a thing is kept, whichever way it goes.
type row []byte

func (b row) null() row { return binary.BigEndian.AppendUint32(b, math.MaxUint32) }

func (b row) text(s string) row {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...) //nolint:gosec // a message is shorter than 1 GiB
}

func (b row) bytes(p []byte) row {
	if p == nil {
		return b.null()
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...) //nolint:gosec // a message is shorter than 1 GiB
}

func (b row) int8(n int64) row {
	b = binary.BigEndian.AppendUint32(b, 8)
	return binary.BigEndian.AppendUint64(b, uint64(n)) //nolint:gosec // the bits
}

func (b row) int4(n int32) row {
	b = binary.BigEndian.AppendUint32(b, 4)
	return binary.BigEndian.AppendUint32(b, uint32(n)) //nolint:gosec // the bits
}

func (b row) int2(n int16) row {
	b = binary.BigEndian.AppendUint32(b, 2)
	return binary.BigEndian.AppendUint16(b, uint16(n)) //nolint:gosec // the bits
}

func (b row) bool(v bool) row {
	b = binary.BigEndian.AppendUint32(b, 1)
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func (b row) uuid(id [16]byte) row {
	return append(binary.BigEndian.AppendUint32(b, 16), id[:]...)
}

// epoch is 2000-01-01 in microseconds since 1970: where PostgreSQL counts from.
const epoch = 946_684_800_000_000

func (b row) time(t time.Time) row { return b.int8(t.UnixMicro() - epoch) }

// when is time, or null for none.
func (b row) when(t time.Time) row {
	if t.IsZero() {
		return b.null()
	}
	return b.time(t)
}

// some is text, or null for "".
func (b row) some(s string) row {
	if s == "" {
		return b.null()
	}
	return b.text(s)
}

// micros is a phase; one that does not fit in four bytes, 35 minutes, is cut.
func (b row) micros(d time.Duration) row {
	return b.int4(int32(min(max(d.Microseconds(), math.MinInt32), math.MaxInt32)))
}

// jsonb is text in JSON, or null for none.
func (b row) jsonb(text []byte) row {
	if text == nil {
		return b.null()
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(text)+1)) //nolint:gosec // a message is shorter than 1 GiB
	return append(append(b, 1), text...)
}

// span is an interval of microseconds.
func (b row) span(d time.Duration) row {
	b = binary.BigEndian.AppendUint32(b, 16)
	b = binary.BigEndian.AppendUint64(b, uint64(d.Microseconds())) //nolint:gosec // the bits
	return append(b, 0, 0, 0, 0, 0, 0, 0, 0)                       // days and months
}

// texts is an array of text.
func (b row) texts(all []string) row {
	r := rows{oids: []uint32{oidText}}
	for _, s := range all {
		r.add(func(b row) row { return b.text(s) })
	}
	return b.array(&r)
}

// int8s is an array of int8.
func (b row) int8s(all []int64) row {
	r := rows{oids: []uint32{oidInt8}}
	for _, n := range all {
		r.add(func(b row) row { return b.int8(n) })
	}
	return b.array(&r)
}

// uuids is an array of uuid.
func (b row) uuids(all []vedette.ID) row {
	r := rows{oids: []uint32{oidUUID}, buf: make([]byte, 0, 20*len(all))}
	for _, id := range all {
		r.add(func(b row) row { return b.uuid(id) })
	}
	return b.array(&r)
}

// array is the one column of r.
func (b row) array(r *rows) row {
	values, _ := r.arrays()
	return b.bytes(values[0])
}

// split returns the n values of b.
func (b row) split(n int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		size := binary.BigEndian.Uint32(b)
		if b = b[4:]; size != math.MaxUint32 {
			all[i], b = b[:size:size], b[size:]
		}
	}
	return all
}

// A rows is some rows of one kind.
type rows struct {
	oids []uint32 // of the columns
	buf  []byte
	n    int
}

// add adds a row that f appends.
func (r *rows) add(f func(row) row) {
	r.buf = f(r.buf)
	r.n++
}

// arrays turns rows into a parameter a column.
func (r *rows) arrays() (values [][]byte, oids []uint32) {
	values, oids = make([][]byte, len(r.oids)), make([]uint32, len(r.oids))
	each := len(r.buf)/len(r.oids) + 32
	for i, oid := range r.oids {
		oids[i] = arrayOf(oid)
		h := make([]byte, 0, each)
		h = binary.BigEndian.AppendUint32(h, 1) // dimensions
		h = binary.BigEndian.AppendUint32(h, 1) // there may be nulls
		h = binary.BigEndian.AppendUint32(h, oid)
		h = binary.BigEndian.AppendUint32(h, uint32(r.n)) //nolint:gosec // a batch is smaller
		values[i] = binary.BigEndian.AppendUint32(h, 1)   // the first index
	}
	rest := r.buf
	for i := 0; len(rest) > 0; i = (i + 1) % len(values) {
		end := 4
		if n := binary.BigEndian.Uint32(rest); n != math.MaxUint32 {
			end += int(n)
		}
		values[i] = append(values[i], rest[:end]...)
		rest = rest[end:]
	}
	if r.n == 0 {
		for i := range values {
			values[i] = empty(r.oids[i])
		}
	}
	return values, oids
}

// empty is an array without elements.
func empty(oid uint32) []byte {
	b := make([]byte, 0, 12)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, 0)
	return binary.BigEndian.AppendUint32(b, oid)
}

// copyHeader opens the stream of a binary COPY; copyEnd ends it.
const (
	copyHeader = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	copyEnd    = "\xff\xff"
)

// copied turns rows into what COPY reads.
func (r *rows) copied() []byte {
	b := make([]byte, 0, len(copyHeader)+len(r.buf)+2*r.n+len(copyEnd))
	b = append(b, copyHeader...)
	rest := r.buf
	for range r.n {
		b = binary.BigEndian.AppendUint16(b, uint16(len(r.oids))) //nolint:gosec // a few
		end := 0
		for range r.oids {
			n := binary.BigEndian.Uint32(rest[end:])
			if end += 4; n != math.MaxUint32 {
				end += int(n)
			}
		}
		b = append(b, rest[:end]...)
		rest = rest[end:]
	}
	return append(b, copyEnd...)
}
