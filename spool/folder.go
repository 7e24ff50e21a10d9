package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// A folder holds the records of one process, or of one that died and left them: segments,
// oldest first, and the cursor. It is not safe for concurrent use.
type folder struct {
	path string
	lock *os.File
	cur  *cursor
	segs []*segment // those that are not wholly sent
	tail *os.File   // the last of segs, if it takes more records
	end  uint64     // number of the next record to append
	harm []harm     // found when it was opened
	cut  int64      // bytes of an append that a crash interrupted, found then too
}

// A harm is a place that cannot be read, and how many records are lost there at least.
type harm struct {
	path string
	off  int64
	n    uint64
}

// claim locks the folder of a number, or returns nil if another process has it. The lock stands
// beside the folder and stays for good: whoever removed it could lock another file than the
// next process.
func claim(dir string, number int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(number)+".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	free, err := lockFile(f)
	if err != nil || !free {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// claimFree locks the first folder that no process has.
func claimFree(dir string) (number int, lock *os.File, err error) {
	for ; number < 10_000; number++ {
		if lock, err = claim(dir, number); lock != nil || err != nil {
			return number, lock, err
		}
	}
	return 0, nil, fmt.Errorf("all of the folders up to %d are in use", number)
}

// numbers lists the folders in dir, in order.
func numbers(dir string) (all []int, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && e.IsDir() {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all, err
}

// openFolder takes over what is in a folder whose lock we hold.
func openFolder(path string, lock *os.File) (f *folder, err error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	f = &folder{path: path, lock: lock}
	if f.cur, err = openCursor(path); err != nil {
		return nil, fmt.Errorf("open cursor: %w", err)
	}
	if err = f.load(); err != nil {
		return nil, errors.Join(err, f.cur.f.Close())
	}
	return f, nil
}

// load reads the list of segments and counts their records.
func (f *folder) load() error {
	paths, err := filepath.Glob(filepath.Join(f.path, "*"+segmentExt))
	if err != nil {
		return err
	}
	slices.Sort(paths)
	for i, path := range paths {
		s, err := openSegment(path)
		switch last := i == len(paths)-1; {
		case errors.Is(err, errDamaged) && last:
			f.harm = append(f.harm, harm{path, 0, 1})
		case err != nil && !errors.Is(err, errDamaged):
			return fmt.Errorf("open segment %s: %w", path, err)
		}
		f.segs = append(f.segs, s)
		if i > 0 {
			f.segs[i-1].n = s.first - f.segs[i-1].first
		}
	}
	f.end = f.cur.next
	if len(f.segs) == 0 {
		return f.cur.begin()
	}
	if err := f.loadLast(); err != nil {
		return err
	}
	return f.place()
}

// loadLast counts the records of the last segment, whose number no next one tells. What a crash
// left behind them is not read any more: the next append begins another segment.
func (f *folder) loadLast() error {
	last := len(f.segs) - 1
	s := f.segs[last]
	off := int64(headSize)
	if f.cur.next > s.first && f.cur.off > headSize && f.cur.off <= s.size {
		s.n, off = f.cur.next-s.first, f.cur.off
	}
	n, end, err := s.scan(off)
	if errors.Is(err, errDamaged) {
		f.harm = append(f.harm, harm{s.path, end, 1})
	} else if err != nil {
		return fmt.Errorf("read segment %s: %w", s.path, err)
	}
	s.n += n
	f.end = max(f.end, s.first+s.n)
	if s.n == 0 {
		f.segs = f.segs[:last]
		return os.Remove(s.path)
	}
	f.cut += max(0, s.size-end)
	s.size = min(s.size, end)
	return nil
}

// place puts the cursor where there is something to read. One that cannot be trusted begins
// its segment anew: what is sent twice does no harm.
func (f *folder) place() error {
	if err := f.clear(); err != nil || len(f.segs) == 0 {
		return err
	}
	s := f.segs[0]
	if f.cur.next < s.first && !f.cur.lost {
		f.harm = append(f.harm, harm{f.path, 0, s.first - f.cur.next})
	}
	if f.cur.next <= s.first || f.cur.off < headSize || f.cur.off > s.size {
		f.cur.next, f.cur.off = s.first, headSize
	}
	return nil
}

func (f *folder) waiting() uint64 { return f.end - f.cur.next }

func (f *folder) bytes() (n int64) {
	for _, s := range f.segs {
		n += s.size
	}
	return n
}

// append adds n records, framed in b, and makes them last. After an error nothing is added.
func (f *folder) append(b []byte, n int, limit int64) error {
	if f.tail != nil && f.segs[len(f.segs)-1].size >= limit {
		if err := f.seal(); err != nil {
			return err
		}
	}
	if f.tail == nil {
		s, tail, err := createSegment(f.path, f.end)
		if err != nil {
			return err
		}
		f.segs, f.tail = append(f.segs, s), tail
	}
	s := f.segs[len(f.segs)-1]
	_, err := f.tail.WriteAt(b, s.size)
	if err == nil {
		err = f.tail.Sync()
	}
	if err != nil {
		// What a failed fsync left on disk is anybody's guess: nothing more goes into this file.
		err = errors.Join(err, f.tail.Truncate(s.size), f.seal())
		if s.n == 0 {
			f.segs = f.segs[:len(f.segs)-1]
			err = errors.Join(err, os.Remove(s.path))
		}
		return err
	}
	s.size += int64(len(b))
	s.n += uint64(n) //nolint:gosec // a count
	f.end += uint64(n)
	return nil
}

// seal ends the last segment.
func (f *folder) seal() error {
	if f.tail == nil {
		return nil
	}
	err := f.tail.Close()
	f.tail = nil
	return err
}

// move says that all before the record next, at off in the first segment, is done, and removes
// the segments that are.
func (f *folder) move(next uint64, off int64) error {
	return errors.Join(f.cur.move(next, off), f.clear())
}

func (f *folder) clear() (err error) {
	for len(f.segs) > 0 && f.segs[0].first+f.segs[0].n <= f.cur.next {
		if len(f.segs) == 1 {
			err = errors.Join(err, f.seal())
		}
		err = errors.Join(err, os.Remove(f.segs[0].path))
		f.segs = f.segs[1:]
	}
	return err
}

// close gives the folder back, to go on another time.
func (f *folder) close() error {
	return errors.Join(f.seal(), f.cur.f.Close(), f.lock.Close())
}

// remove gives a folder back that is empty.
func (f *folder) remove() error {
	return errors.Join(f.cur.f.Close(), os.RemoveAll(f.path), f.lock.Close())
}
