package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A segment is a file of records. Records are numbered without gaps, and the file is named by
// the number of its first, in 16 hexadecimal digits. All numbers in it are little-endian:
//
//	8 bytes   "vdspool1"
//	8 bytes   when it was begun, in microseconds since 1970
//	then records:
//	4 bytes   length of the body
//	4 bytes   CRC-32C of the length and the body
//	body      a result, as Config.Encode wrote it
type segment struct {
	path  string
	first uint64
	n     uint64 // records
	size  int64  // bytes that are kept for sure; there may be garbage behind
	begun time.Time
}

const (
	magic      = "vdspool1"
	headSize   = 16
	frameSize  = 8
	maxRecord  = 16 << 20 // more is damage
	segmentExt = ".seg"
)

var errDamaged = errors.New("damaged")

func crcTable() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// appendFrame appends a record to b, whose body is appended by encode.
func appendFrame(b []byte, encode func([]byte) ([]byte, error)) ([]byte, error) {
	at := len(b)
	b = append(b, make([]byte, frameSize)...)
	b, err := encode(b)
	if err != nil {
		return b[:at], err
	}
	n := len(b) - at - frameSize
	if n > maxRecord {
		return b[:at], fmt.Errorf("record of %d bytes", n)
	}
	binary.LittleEndian.PutUint32(b[at:], uint32(n)) //nolint:gosec // below maxRecord
	binary.LittleEndian.PutUint32(b[at+4:], checksum(b[at:at+4], b[at+frameSize:]))
	return b, nil
}

func checksum(length, body []byte) uint32 {
	return crc32.Update(crc32.Update(0, crcTable(), length), crcTable(), body)
}

// cutFrame returns the body of the first record of b and what is behind it. It reports
// io.ErrUnexpectedEOF if b may be the beginning of a sound record, and errDamaged if not.
func cutFrame(b []byte) (body, rest []byte, err error) {
	if len(b) < frameSize {
		return nil, b, io.ErrUnexpectedEOF
	}
	n := int(binary.LittleEndian.Uint32(b))
	switch {
	case n > maxRecord:
		return nil, b, errDamaged
	case len(b)-frameSize < n:
		return nil, b, io.ErrUnexpectedEOF
	}
	body = b[frameSize : frameSize+n]
	if checksum(b[:4], body) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, b, errDamaged
	}
	return body, b[frameSize+n:], nil
}

// createSegment begins a segment and makes its name last.
func createSegment(dir string, first uint64) (*segment, *os.File, error) {
	s := &segment{path: filepath.Join(dir, fmt.Sprintf("%016x%s", first, segmentExt)), first: first, size: headSize, begun: time.Now()}
	f, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, nil, err
	}
	head := binary.LittleEndian.AppendUint64([]byte(magic), uint64(s.begun.UnixMicro())) //nolint:gosec // after 1970
	_, err = f.WriteAt(head, 0)
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close(), os.Remove(s.path))
	}
	return s, f, nil
}

// openSegment reads the head of a segment. Its n is not known yet. A file whose head was never
// written has no size. One that begins like something else has none either, and the error is
// errDamaged.
func openSegment(path string) (*segment, error) {
	first, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(path), segmentExt), 16, 64)
	if err != nil {
		return nil, fmt.Errorf("name of segment: %w", err)
	}
	f, err := os.Open(path) //nolint:gosec // in our own folder
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s := &segment{path: path, first: first, size: info.Size(), begun: info.ModTime()}
	head := make([]byte, headSize)
	if _, err := f.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.Count(head, []byte{0}) == headSize:
		s.size = 0
		return s, nil
	case string(head[:len(magic)]) != magic:
		s.size = 0
		return s, errDamaged
	}
	s.begun = time.UnixMicro(int64(binary.LittleEndian.Uint64(head[len(magic):]))) //nolint:gosec // as it was written
	return s, nil
}

// read returns the bytes from off up to at most n of them. A record that does not fit is read
// as a whole.
func (s *segment) read(buf []byte, off int64, n int) ([]byte, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	buf, err = readUpTo(f, buf, off, min(int64(n), s.size-off))
	if err != nil || len(buf) < frameSize {
		return buf, err
	}
	whole := int64(binary.LittleEndian.Uint32(buf)) + frameSize
	if whole > int64(len(buf)) && whole <= s.size-off && whole <= maxRecord+frameSize {
		buf, err = readUpTo(f, buf, off, whole)
	}
	return buf, err
}

func readUpTo(f *os.File, buf []byte, off, n int64) ([]byte, error) {
	if n <= 0 {
		return buf[:0], nil
	}
	if int64(cap(buf)) < n {
		buf = make([]byte, n)
	}
	got, err := f.ReadAt(buf[:n], off)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return buf[:got], err
}

// scan counts the sound records of s from off on, and says where they end. It reports
// errDamaged if what follows cannot be the beginning of a record.
func (s *segment) scan(off int64) (n uint64, end int64, err error) {
	var buf []byte
	for off < s.size {
		if buf, err = s.read(buf, off, 1<<20); err != nil {
			return n, off, err
		}
		bodies, size, err := cutFrames(buf, math.MaxInt)
		n += uint64(len(bodies))
		off += size
		if errors.Is(err, errDamaged) {
			return n, off, s.torn(off)
		}
		if len(bodies) == 0 {
			return n, off, nil
		}
	}
	return n, off, nil
}

// torn returns errDamaged unless all from off on is zero: that is how a file system shows what
// it had no time to write.
func (s *segment) torn(off int64) error {
	buf, err := s.read(nil, off, math.MaxInt)
	if err == nil && bytes.Count(buf, []byte{0}) != len(buf) {
		err = errDamaged
	}
	return err
}

// cutFrames returns the bodies of up to limit records at the beginning of b, the bytes that
// they take, and what is wrong with the next one as cutFrame says.
func cutFrames(b []byte, limit int) (bodies [][]byte, size int64, err error) {
	for len(b) > 0 && len(bodies) < limit {
		var body []byte
		if body, b, err = cutFrame(b); err != nil {
			break
		}
		bodies = append(bodies, body)
		size += int64(frameSize + len(body))
	}
	return bodies, size, err
}
