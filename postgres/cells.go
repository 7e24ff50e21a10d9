package postgres

import (
	"encoding/binary"
	"time"

	"github.com/vedettehq/vedette"
)

// Cells are the values of one row that the server gave, in binary form; nil is null. Each type of
// column has one method, which reads null as the zero value.
type cells [][]byte

func (c cells) text(i int) string { return string(c[i]) }

func (c cells) bool(i int) bool { return len(c[i]) == 1 && c[i][0] == 1 }

func (c cells) int(i int) int64 { return intOf(c[i]) }

// intOf reads an integer of any size.
func intOf(b []byte) int64 {
	switch len(b) {
	case 8:
		return int64(binary.BigEndian.Uint64(b)) //nolint:gosec // the bits
	case 4:
		return int64(int32(binary.BigEndian.Uint32(b))) //nolint:gosec // the bits
	case 2:
		return int64(int16(binary.BigEndian.Uint16(b))) //nolint:gosec // the bits
	}
	return 0
}

func (c cells) id(i int) (id vedette.ID) {
	copy(id[:], c[i])
	return id
}

func (c cells) time(i int) time.Time {
	if c[i] == nil {
		return time.Time{}
	}
	return time.UnixMicro(c.int(i) + epoch).UTC()
}

// json reads a column of type jsonb.
func (c cells) json(i int) []byte {
	if len(c[i]) == 0 {
		return nil
	}
	return c[i][1:]
}

// list reads an array.
func (c cells) list(i int) cells {
	const head, lengths = 20, 4
	b := c[i]
	if len(b) < head {
		return nil
	}
	all := make(cells, 0, binary.BigEndian.Uint32(b[12:]))
	for b = b[head:]; len(b) >= lengths; {
		n := int(int32(binary.BigEndian.Uint32(b))) //nolint:gosec // the bits
		if b = b[lengths:]; n < 0 {
			all = append(all, nil)
			continue
		}
		all, b = append(all, b[:n]), b[n:]
	}
	return all
}

// texts reads an array of text.
func (c cells) texts(i int) []string {
	var all []string
	for _, one := range c.list(i) {
		all = append(all, string(one))
	}
	return all
}

// ids reads an array of uuid.
func (c cells) ids(i int) []vedette.ID {
	list := c.list(i)
	all := make([]vedette.ID, len(list))
	for k := range all {
		all[k] = list.id(k)
	}
	return all
}
