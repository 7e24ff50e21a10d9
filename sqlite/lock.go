package sqlite

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/vedettehq/vedette"
)

// own makes this process the owner of the store at path, until the file it returns is closed.
// It reports ErrInUse with the owner's pid. The lock file stays: whoever removed it could lock
// another one than the next process.
func own(path string) (*os.File, error) {
	kind, err := remote(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("look at its file system: %w", err)
	}
	if kind != "" {
		return nil, fmt.Errorf("it is on a network file system (%s), where SQLite is not safe: use a local disk", kind)
	}
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o644) //nolint:gosec // others may read the pid
	if err != nil {
		return nil, err
	}
	free, err := lockFile(f)
	if err == nil && !free {
		pid, _ := io.ReadAll(io.LimitReader(f, 32))
		err = fmt.Errorf("%w by process %s, which holds %s.lock", vedette.ErrInUse, strings.TrimSpace(string(pid)), path)
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
