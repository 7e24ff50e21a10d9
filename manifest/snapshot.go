package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
)

// A Snapshot is the content of the files that were read, as one digest. It follows paths, not
// files, and looks at content, not at times: it notices when a mounted ConfigMap swaps its
// links, and nothing when a file was only touched.
type Snapshot struct {
	// Files are the paths that were read, the first one first.
	Files []string
	// Digest stands for their content.
	Digest string

	globs []string
	sums  []string // of Files
	given bool     // the first one did not come from a file
}

func (s *Snapshot) add(path string, data []byte) {
	s.Files = append(s.Files, path)
	s.sums = append(s.sums, sum(data))
}

// gone stands for the content of a file that cannot be read.
const gone = "gone"

// miss notes a file that should have been read.
func (s *Snapshot) miss(path string) {
	s.Files = append(s.Files, path)
	s.sums = append(s.sums, gone)
}

func (s *Snapshot) watch(glob string) { s.globs = append(s.globs, glob) }

func (s *Snapshot) seal() { s.Digest = digest(s.Files, s.sums) }

// Now returns the digest of what the files hold now, files included that are new to an
// include pattern. It differs from Digest if reading again may give something else. A file that
// is there but cannot be read just now counts as it was.
func (s Snapshot) Now() string {
	files := slices.Clone(s.Files)
	for _, glob := range s.globs {
		paths, err := matching(glob)
		if err != nil {
			continue
		}
		for _, path := range paths {
			if !slices.ContainsFunc(files, func(f string) bool { return same(f, path) }) {
				files = append(files, path)
			}
		}
	}
	sums := make([]string, len(files))
	for i, path := range files {
		if i == 0 && s.given {
			sums[i] = s.sums[i]
			continue
		}
		switch data, err := os.ReadFile(path); {
		case err == nil:
			sums[i] = sum(data)
		case i < len(s.sums) && !absent(err):
			sums[i] = s.sums[i]
		default:
			sums[i] = gone
		}
	}
	return digest(files, sums)
}

// same reports whether two paths lead to one file.
func same(a, b string) bool {
	if a == b {
		return true
	}
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

func sum(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

func digest(files, sums []string) string {
	lines := make([]string, len(files))
	for i := range files {
		lines[i] = fmt.Sprintf("%s %q\n", sums[i], files[i])
	}
	slices.Sort(lines)
	return sum([]byte(strings.Join(lines, "")))
}
