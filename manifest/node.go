package manifest

import (
	"slices"
	"strconv"
	"strings"
)

// A pos is a place in one of the files that were read. The zero pos is no place.
type pos struct{ file, line, col int32 }

func (p pos) isZero() bool { return p.line == 0 }

type kind uint8

const (
	null kind = iota
	scalar
	list
	dict
)

func (k kind) String() string {
	return [...]string{"nothing", "a value", "a list", "a map"}[k]
}

// A node is a piece of YAML with aliases and merge keys followed. Nodes that an alias shares
// are the same node, so they are never changed.
type node struct {
	kind  kind
	plain bool   // a scalar without quotes
	text  string // of a scalar
	at    pos
	keys  []entry // of a dict, in the order of the file
	items []*node // of a list
}

type entry struct {
	key string
	at  pos
	val *node
}

// many returns the items of a list, and anything else as a list of one.
func (n *node) many() []*node {
	if n.kind == list {
		return n.items
	}
	return []*node{n}
}

// get returns the value of a key, or nil.
func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	for i := range n.keys {
		if n.keys[i].key == key {
			return n.keys[i].val
		}
	}
	return nil
}

// has reports whether there is anything behind a key.
func (n *node) has(key string) bool {
	val := n.get(key)
	return val != nil && val.kind != null
}

// find follows a path as "request.headers.Host" or "expect[1]". Keys may hold dots. It returns
// the deepest node on the way that there is, and whether that is the whole way. Where one value
// stands for a list of one, [0] is that value.
func (n *node) find(path string) (*node, bool) {
	for path != "" {
		next, rest := n.step(path)
		if next == nil {
			return n, false
		}
		n, path = next, rest
	}
	return n, true
}

func (n *node) step(path string) (next *node, rest string) {
	if inner, ok := strings.CutPrefix(path, "["); ok && n.kind != dict {
		index, rest, _ := strings.Cut(inner, "]")
		i, err := strconv.Atoi(index)
		switch {
		case err == nil && n.kind == list && i >= 0 && i < len(n.items):
			return n.items[i], rest
		case n.kind == scalar && i == 0:
			return n, rest
		}
		return nil, path
	}
	path = strings.TrimPrefix(path, ".")
	size := -1
	for _, e := range n.keys {
		for _, form := range []string{e.key, `["` + e.key + `"]`, "[" + e.key + "]"} {
			tail, ok := strings.CutPrefix(path, form)
			if ok && len(form) > size && (tail == "" || tail[0] == '.' || tail[0] == '[') {
				next, rest, size = e.val, tail, len(form)
			}
		}
	}
	return next, rest
}

// A stack is what a value may come from, the strongest layer first. Layers may be nil.
type stack [3]*node

// find returns the node that path's value came from, or else the deepest one on the way to it,
// and nil if no layer knows its first key. A key with nothing behind it gives no value.
func (s stack) find(path string) (n *node, whole bool) {
	var part *node
	for _, layer := range s {
		if layer == nil {
			continue
		}
		n, whole := layer.find(path)
		if whole && n.kind != null {
			return n, true
		}
		if part == nil && n != layer {
			part = n
		}
	}
	return part, false
}

// union merges b into a, two maps of different files: maps merge, the lists named in append
// grow, and what else both have is reported with its place in a.
func union(a, b *node, appends []string, twice func(e entry, first pos)) *node {
	out := *a
	out.keys = slices.Clone(a.keys)
	for _, e := range b.keys {
		i := slices.IndexFunc(out.keys, func(o entry) bool { return o.key == e.key })
		if i < 0 {
			out.keys = append(out.keys, e)
			continue
		}
		have := &out.keys[i]
		switch {
		case strings.HasPrefix(e.key, "x-") || e.val.kind == null:
		case have.val.kind == null:
			*have = e
		case slices.Contains(appends, e.key):
			have.val = &node{kind: list, at: have.val.at, items: slices.Concat(have.val.many(), e.val.many())}
		case have.val.kind == dict && e.val.kind == dict:
			have.val = union(have.val, e.val, nil, twice)
		default:
			twice(e, have.at)
		}
	}
	return &out
}
