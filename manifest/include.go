package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/vedettehq/vedette/internal/expand"
)

// maxSize bounds a file.
const maxSize = 256 << 20

// An includer reads files, each once, so that a cycle ends.
type includer struct {
	*report
	env      func(string) (string, bool)
	snapshot *Snapshot
	seen     map[string]bool // by absolute path, links followed
}

// read returns one file merged with those it includes, or nil if there is nothing in them.
func (in *includer) read(name string, data []byte) *node {
	in.once(name)
	in.snapshot.add(name, data)
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	file := int32(len(in.files)) //nolint:gosec // nobody has so many files
	in.files = append(in.files, source{name: name, data: data})
	if len(data) > maxSize {
		in.add(pos{file, 1, 1}, "", fmt.Sprintf("larger than %d MiB", maxSize>>20), "")
		return nil
	}
	top := readYAML(file, data, in.report)
	if top == nil {
		return nil
	}
	if top.kind != dict {
		in.add(top.at, "", fmt.Sprintf("want a map with the key monitors, not %s", top.kind), "")
		return nil
	}
	for _, pattern := range patterns(top.get("include")) {
		for _, path := range in.matches(name, pattern) {
			if more := in.open(path, pattern); more != nil {
				top = union(top, more, []string{"monitors", "scrapers", "maintenance", "include"}, in.twice)
			}
		}
	}
	return top
}

// patterns returns the scalars of an include key; what is wrong with it the decoder says.
func patterns(n *node) (of []*node) {
	switch {
	case n == nil:
		return nil
	case n.kind == scalar:
		return []*node{n}
	}
	return slices.DeleteFunc(slices.Clone(n.items), func(i *node) bool { return i.kind != scalar })
}

// matches returns the files that a pattern in the file called name stands for.
func (in *includer) matches(name string, pattern *node) []string {
	glob, err := expand.Text(pattern.text, in.env)
	if err != nil {
		return nil // the decoder says why
	}
	if !filepath.IsAbs(glob) {
		glob = filepath.Join(filepath.Dir(name), glob)
	}
	in.snapshot.watch(glob)
	paths, err := matching(glob)
	switch {
	case errors.Is(err, filepath.ErrBadPattern):
		in.add(pattern.at, "include", fmt.Sprintf("%q is no pattern", pattern.text), "")
	case err != nil:
		in.add(pattern.at, "include", err.Error(), "")
	case len(paths) == 0 && !hasMeta(glob):
		in.add(pattern.at, "include", fmt.Sprintf("there is no file %s", glob), "")
	}
	return paths
}

func (in *includer) open(path string, pattern *node) *node {
	if !in.once(path) {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		in.add(pattern.at, "include", err.Error(), "")
		in.snapshot.miss(path)
		return nil
	}
	return in.read(path, data)
}

// once reports whether a file was not asked for before.
func (in *includer) once(path string) bool {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		target = path
	}
	if abs, err := filepath.Abs(target); err == nil {
		target = abs
	}
	if in.seen == nil {
		in.seen = map[string]bool{}
	}
	first := !in.seen[target]
	in.seen[target] = true
	return first
}
