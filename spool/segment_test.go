package spool

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// lay makes a folder with records and returns it.
func lay(t testing.TB, dir string, records ...string) *folder {
	t.Helper()
	lock, err := claim(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	f, err := openFolder(filepath.Join(dir, "0"), lock)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := f.append(frame(t, r), 1, 64); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func frame(t testing.TB, record string) []byte {
	t.Helper()
	b, err := appendFrame(nil, func(b []byte) ([]byte, error) { return append(b, record...), nil })
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// contents reads all of a folder, and counts what is lost in it.
func contents(t testing.TB, f *folder) (all []string, lost uint64) {
	t.Helper()
	for f.waiting() > 0 {
		seg := f.segs[0]
		if f.cur.next == seg.first {
			f.cur.off = headSize
		}
		buf, err := seg.read(nil, f.cur.off, 100)
		if err != nil {
			t.Fatal(err)
		}
		bodies, size, _ := cutFrames(buf, int(seg.first+seg.n-f.cur.next))
		next, off := f.cur.next+uint64(len(bodies)), f.cur.off+size
		if len(bodies) == 0 {
			next, off = seg.first+seg.n, 0
			lost += next - f.cur.next
		}
		for _, body := range bodies {
			all = append(all, string(body))
		}
		if err := f.move(next, off); err != nil {
			t.Fatal(err)
		}
	}
	return all, lost
}

// TestFailedAppendKeepsNothingOfIt is what happens when the disk is full.
func TestFailedAppendKeepsNothingOfIt(t *testing.T) {
	dir := t.TempDir()
	f := lay(t, dir, "one", "two")
	_ = f.tail.Close()
	last := f.segs[len(f.segs)-1]
	var err error
	if f.tail, err = os.Open(last.path); err != nil { // takes no writes
		t.Fatal(err)
	}
	if err := f.append(frame(t, "lost"), 1, 1<<20); err == nil {
		t.Fatal("no error")
	}
	// Half of it is on disk all the same.
	if err := os.WriteFile(last.path, append(read(t, last.path), frame(t, "lost")[:9]...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.append(frame(t, "three"), 1, 1<<20); err != nil {
		t.Fatal(err)
	}
	for _, reopen := range []bool{false, true} {
		if reopen {
			if err := f.close(); err != nil {
				t.Fatal(err)
			}
			f = lay(t, dir)
		}
		if got := f.waiting(); got != 3 {
			t.Errorf("%d records wait, want 3", got)
		}
	}
	got, lost := contents(t, f)
	if len(got) != 3 || got[2] != "three" || lost > 0 {
		t.Errorf("read %q, %d lost", got, lost)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRecordIsReadBackOrDamaged(t *testing.T) {
	b := frame(t, "hello")
	body, rest, err := cutFrame(append(bytes.Clone(b), 'x'))
	if string(body) != "hello" || string(rest) != "x" || err != nil {
		t.Errorf("read %q, %q, %v", body, rest, err)
	}
	for i := range b {
		for bit := range 8 {
			bad := bytes.Clone(b)
			bad[i] ^= 1 << bit
			if body, _, err := cutFrame(bad); err == nil {
				t.Errorf("byte %d, bit %d turned: read %q", i, bit, body)
			}
		}
	}
}

// FuzzSegment opens and reads a folder whose last or last but one segment and whose cursor are
// anything at all.
func FuzzSegment(f *testing.F) {
	dir := f.TempDir()
	made := lay(f, dir, "one", "two", "three", "a longer one that fills a segment all by itself, and more", "five")
	sound := read(f, made.segs[0].path)
	cursor := make([]byte, 600)
	f.Add(sound, cursor, true)
	f.Add(sound, cursor, false)
	f.Add(sound[:len(sound)-3], cursor, true)
	f.Add([]byte(magic), []byte{}, false)
	if err := made.move(1, headSize+11); err != nil {
		f.Fatal(err)
	}
	f.Add(sound, read(f, filepath.Join(dir, "0", "cursor")), true)
	if err := made.close(); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, segment, cursor []byte, last bool) {
		dir := t.TempDir()
		own := filepath.Join(dir, "0")
		err := errors.Join(os.Mkdir(own, 0o700),
			os.WriteFile(filepath.Join(own, "0000000000000000.seg"), segment, 0o600),
			os.WriteFile(filepath.Join(own, "cursor"), cursor, 0o600))
		if !last {
			err = errors.Join(err, os.WriteFile(filepath.Join(own, "0000000000000003.seg"), sound, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
		made := lay(t, dir)
		waiting := made.waiting()
		got, lost := contents(t, made)
		if uint64(len(got))+lost != waiting {
			t.Errorf("%d read and %d lost of %d", len(got), lost, waiting)
		}
		if err := made.append(frame(t, "new"), 1, 1<<20); err != nil {
			t.Fatal(err)
		}
		if got, lost := contents(t, made); len(got) != 1 || got[0] != "new" || lost > 0 {
			t.Errorf("after an append: %q, %d lost", got, lost)
		}
		if err := made.close(); err != nil {
			t.Fatal(err)
		}
	})
}
