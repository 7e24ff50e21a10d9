package spool

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
)

// A cursor says how far a folder was sent: the number of the next record, and where it begins
// in the segment that holds it. It is kept in two slots of a file, written in turns, so that a
// write that is cut off leaves the other one. A slot, little-endian:
//
//	8 bytes   number of the next record
//	8 bytes   its offset; 0 if it is the first of a segment
//	4 bytes   CRC-32C of these
type cursor struct {
	f    *os.File
	next uint64
	off  int64
	turn int64
	lost bool // there is no sound slot
}

const (
	slotSize   = 20
	slotStride = 512 // a sector, so that one write touches one slot
)

// openCursor opens the cursor of a folder. Without a sound slot it stands at the beginning.
func openCursor(dir string) (*cursor, error) {
	f, err := os.OpenFile(filepath.Join(dir, "cursor"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	c := &cursor{f: f, lost: true}
	buf := make([]byte, slotStride+slotSize)
	if _, err := f.ReadAt(buf, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, f.Close())
	}
	for turn := range int64(2) {
		slot := buf[turn*slotStride:][:slotSize]
		next, off := binary.LittleEndian.Uint64(slot), int64(binary.LittleEndian.Uint64(slot[8:])) //nolint:gosec // as it was written
		if binary.LittleEndian.Uint32(slot[16:]) != checksum(slot[:16], nil) || off < 0 {
			continue
		}
		if next >= c.next {
			c.next, c.off, c.turn, c.lost = next, off, turn, false
		}
	}
	return c, nil
}

// begin writes the first slot of a new folder.
func (c *cursor) begin() error {
	if !c.lost {
		return nil
	}
	return c.move(0, 0)
}

// move sets the cursor and makes it last. It is set even if that fails: what was sent is then
// sent again after a crash, which is harmless.
func (c *cursor) move(next uint64, off int64) error {
	c.next, c.off, c.lost = next, off, false
	c.turn = 1 - c.turn
	slot := binary.LittleEndian.AppendUint64(nil, next)
	slot = binary.LittleEndian.AppendUint64(slot, uint64(off)) //nolint:gosec // not negative
	slot = binary.LittleEndian.AppendUint32(slot, checksum(slot, nil))
	if _, err := c.f.WriteAt(slot, c.turn*slotStride); err != nil {
		return err
	}
	return c.f.Sync()
}
