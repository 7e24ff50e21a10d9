package manifest

import (
	"bytes"
	"slices"
	"strings"
)

// The parser keeps some 10 KB for each monitor until it is done. A long list of monitors is
// therefore read in pieces, each of which is forgotten before the next.
const (
	longFile = 256 << 10 // what is read in pieces
	piece    = 64 << 10
)

// readPieces returns the same as reading the file as a whole, or nil if that must be done: it
// is short, has no long list, or is not well-formed, which only the whole tells rightly.
func readPieces(file int32, data []byte, rep *report) *node {
	if len(data) < longFile {
		return nil
	}
	head, items, tail, ok := cut(data)
	if !ok {
		return nil
	}
	own := &report{files: rep.files}
	r := newReader(file, own)
	root, wrong := r.document(head)
	if wrong != nil || root == nil || root.kind != dict || len(root.keys) == 0 {
		return nil
	}
	r.skip(head)
	all := &node{kind: list}
	for _, text := range items {
		part, wrong := r.document(text)
		if wrong != nil || part == nil || part.kind != list {
			return nil
		}
		if all.items == nil {
			all.at = part.at
		}
		all.items = append(all.items, part.items...)
		r.skip(text)
	}
	root.keys[len(root.keys)-1].val = all
	rest, wrong := r.document(tail)
	if wrong != nil || rest != nil && rest.kind != dict {
		return nil
	}
	if rest != nil {
		root = r.append(root, rest)
	}
	for _, f := range own.found {
		rep.put(f)
	}
	for n, keys := range own.dropped {
		for _, e := range keys {
			rep.drop(n, e)
		}
	}
	return root
}

func (r *reader) skip(text []byte) { r.line += int32(bytes.Count(text, []byte("\n"))) } //nolint:gosec // lines of a file

// append adds the keys of rest, which follow those of root.
func (r *reader) append(root, rest *node) *node {
	for _, e := range rest.keys {
		if i := slices.IndexFunc(root.keys, func(o entry) bool { return o.key == e.key }); i >= 0 {
			r.report.twice(e, root.keys[i].at)
			r.report.drop(root, e)
			continue
		}
		root.keys = append(root.keys, e)
	}
	return root
}

// cut splits a file at the list of its key monitors: what goes before its items with the key
// itself, the items in pieces, and what follows. Nothing else in YAML can stand as far left as
// an item's dash but the next item, a comment, or text in quotes and brackets, and then a
// piece is not well-formed.
func cut(data []byte) (head []byte, items [][]byte, tail []byte, ok bool) {
	indent, from, begun := -1, 0, false
	for at := 0; at < len(data); {
		end := len(data)
		if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		line := string(bytes.TrimRight(data[at:end], "\r\n "))
		body := strings.TrimLeft(line, " ")
		depth := len(line) - len(body)
		switch {
		case strings.HasPrefix(line, "<<") || strings.HasPrefix(line, "...") || begun && strings.HasPrefix(line, "---"):
			return nil, nil, nil, false
		case !begun:
			if line == "monitors:" {
				head, from, begun = data[:end], end, true
			}
		case body == "" || body[0] == '#':
		case indent < 0:
			if !isItem(body) {
				return nil, nil, nil, false
			}
			indent = depth
		case depth == indent && isItem(body):
			if at-from > piece {
				items, from = append(items, data[from:at]), at
			}
		case depth <= indent:
			return head, append(items, data[from:at]), data[at:], depth == 0
		}
		at = end
	}
	return head, append(items, data[from:]), nil, indent >= 0
}

func isItem(body string) bool { return body == "-" || strings.HasPrefix(body, "- ") }
