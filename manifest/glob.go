package manifest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// matching is [filepath.Glob], but for directories that are there and cannot be read: those it
// reports. Else files that cannot be seen for a moment, for want of descriptors perhaps, would
// pass for files that are gone, and their monitors with them.
func matching(pattern string) ([]string, error) {
	if _, err := filepath.Match(pattern, ""); err != nil {
		return nil, err
	}
	if !hasMeta(pattern) {
		if _, err := os.Lstat(pattern); absent(err) {
			return nil, nil
		}
		return []string{pattern}, nil // whoever reads it sees what is wrong with it
	}
	dirs := []string{filepath.Dir(pattern)}
	if hasMeta(dirs[0]) {
		var err error
		if dirs, err = matching(dirs[0]); err != nil {
			return nil, err
		}
	}
	var paths []string
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !absent(err) {
			return nil, fmt.Errorf("look for %s: %w", pattern, err)
		}
		for _, e := range entries {
			if ok, _ := filepath.Match(filepath.Base(pattern), e.Name()); ok { // it was tried above
				paths = append(paths, filepath.Join(dir, e.Name()))
			}
		}
	}
	return paths, nil
}

// hasMeta reports whether a pattern stands for more than itself.
func hasMeta(pattern string) bool {
	return strings.ContainsAny(pattern, `*?[`) || os.PathSeparator != '\\' && strings.Contains(pattern, `\`)
}

// absent reports whether err says that there is no such file.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
