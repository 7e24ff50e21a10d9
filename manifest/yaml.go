package manifest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	// maxDepth bounds how deep YAML nests, since the parser is recursive.
	maxDepth = 64
	// maxCopies bounds how many keys merge keys may copy, and how many nodes aliases may stand
	// for beyond those that are written.
	maxCopies = 1 << 20
)

const emptyItem = "this item of the list is empty"

// A reader makes nodes of one file.
type reader struct {
	file    int32
	line    int32 // how many lines go before the piece that is being read
	report  *report
	anchors map[string]*node
	copied  int
	sizes   map[*node]int // of anchored nodes, with all that aliases in them stand for
	size    int           // of what was read so far, likewise
}

func newReader(file int32, rep *report) *reader {
	return &reader{file: file, report: rep, anchors: map[string]*node{}, sizes: map[*node]int{}}
}

// readYAML returns what a file holds, or nil if it is empty or cannot be read, which it reports.
func readYAML(file int32, data []byte, rep *report) *node {
	if root := readPieces(file, data, rep); root != nil {
		return root
	}
	root, err := newReader(file, rep).document(data)
	if err != nil {
		rep.put(err.found)
		rep.files[file].broken = true
		return nil
	}
	return root
}

// A syntaxError says why text is no YAML of ours.
type syntaxError struct{ found }

// document returns the one document of a text, or nil if it is empty.
func (r *reader) document(data []byte) (root *node, wrong *syntaxError) {
	defer func() {
		// The parser is not ours, and what it is given is anything.
		if p := recover(); p != nil {
			root, wrong = nil, r.wrong(nil, fmt.Sprintf("the YAML parser gave up: %v", p))
		}
	}()
	tokens := lexer.Tokenize(string(data))
	if deep := tooDeep(tokens); deep != nil {
		return nil, r.wrong(deep, fmt.Sprintf("nested more than %d deep", maxDepth))
	}
	f, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		if bad, ok := errors.AsType[*yaml.SyntaxError](err); ok {
			wrong := r.wrong(bad.Token, "no YAML: "+bad.Message)
			wrong.fix = hint(bad.Message)
			return nil, wrong
		}
		return nil, r.wrong(nil, "no YAML: "+err.Error())
	}
	for i, doc := range f.Docs {
		if i > 0 && doc.Body != nil {
			return nil, r.wrong(doc.Start, "a second document: want one")
		}
	}
	if len(f.Docs) == 0 || f.Docs[0].Body == nil {
		return nil, nil
	}
	return r.node(f.Docs[0].Body), nil
}

// hint says what mostly causes a message of the parser.
func hint(message string) string {
	switch {
	case strings.Contains(message, "mapping value is not allowed"):
		return "quote a value that holds a colon and a space, or ends with a colon"
	case strings.Contains(message, "tab") || strings.Contains(message, "\t"):
		return "indent with spaces"
	}
	return ""
}

func (r *reader) wrong(at *token.Token, text string) *syntaxError {
	return &syntaxError{found{at: r.pos(at), text: text}}
}

// tooDeep returns the token at which YAML nests too deep. Block maps and lists that nest line
// by line cost their own indentation each, so it is brackets and marks within a line that count.
func tooDeep(tokens token.Tokens) *token.Token {
	open, line, marks := 0, 0, 0
	for _, t := range tokens {
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			open++
		case token.MappingEndType, token.SequenceEndType:
			open--
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			if t.Position.Line != line {
				line, marks = t.Position.Line, 0
			}
			marks++
		}
		if open > maxDepth || marks > maxDepth || t.Position.Column > 64*maxDepth && t.Type == token.SequenceEntryType {
			return t
		}
	}
	return nil
}

func (r *reader) pos(t *token.Token) pos {
	if t == nil || t.Position == nil {
		return pos{r.file, r.line + 1, 1}
	}
	//nolint:gosec // files are smaller than 2 GiB
	return pos{r.file, r.line + int32(t.Position.Line), int32(max(t.Position.Column, 1))}
}

func (r *reader) node(y ast.Node) *node {
	r.size++
	switch y := y.(type) {
	case *ast.NullNode:
		return &node{at: r.pos(y.Token)}
	case *ast.StringNode:
		return &node{kind: scalar, text: y.Value, plain: y.Token.Type == token.StringType, at: r.pos(y.Token)}
	case *ast.LiteralNode:
		return &node{kind: scalar, text: y.Value.Value, at: r.pos(y.Start)}
	case *ast.MappingNode:
		return r.dict(y)
	case *ast.MappingValueNode:
		return r.dict(&ast.MappingNode{Start: y.Start, Values: []*ast.MappingValueNode{y}})
	case *ast.SequenceNode:
		return r.list(y)
	case *ast.AnchorNode:
		return r.anchor(y)
	case *ast.AliasNode:
		return r.alias(y)
	case *ast.TagNode:
		return r.tag(y)
	case ast.ScalarNode:
		return &node{kind: scalar, text: y.GetToken().Value, plain: true, at: r.pos(y.GetToken())}
	}
	at := pos{r.file, r.line + 1, 1}
	if y != nil {
		at = r.pos(y.GetToken())
	}
	r.report.add(at, "", "this YAML is not understood here", "")
	return &node{at: at}
}

func (r *reader) tag(y *ast.TagNode) *node {
	n := *r.node(y.Value)
	if n.kind == scalar {
		n.plain = n.plain && y.Start.Value != "!!str"
		n.at = r.pos(y.Value.GetToken())
	}
	return &n
}

func (r *reader) anchor(y *ast.AnchorNode) *node {
	before := r.size
	n := r.node(y.Value)
	name := y.Name.GetToken().Value
	r.anchors[name], r.sizes[n] = n, r.size-before
	return n
}

func (r *reader) alias(y *ast.AliasNode) *node {
	name := y.Value.GetToken().Value
	n, known := r.anchors[name]
	if !known {
		r.report.add(r.pos(y.Start), "", fmt.Sprintf("*%s: no anchor &%s stands before it", name, name), "")
		return &node{at: r.pos(y.Start)}
	}
	r.copied += r.sizes[n]
	r.size += r.sizes[n]
	if r.copied > maxCopies {
		r.tooMuch(r.pos(y.Start))
		return &node{at: r.pos(y.Start)}
	}
	return n
}

func (r *reader) tooMuch(at pos) {
	r.report.add(at, "", "aliases and merge keys stand for too much", "")
}

func (r *reader) list(y *ast.SequenceNode) *node {
	n := &node{kind: list, at: r.pos(y.Start), items: make([]*node, 0, len(y.Values))}
	for i, v := range y.Values {
		if !y.IsFlowStyle && i < len(y.Entries) && r.swallows(y.Entries[i].Start, v) {
			r.report.add(r.pos(y.Entries[i].Start), "", emptyItem, "")
			continue
		}
		n.items = append(n.items, r.node(v))
	}
	return n
}

// swallows reports whether the parser took for an empty item's value the map that the list
// itself is in.
func (r *reader) swallows(dash *token.Token, v ast.Node) bool {
	m, ok := v.(*ast.MappingNode)
	if !ok || len(m.Values) == 0 || dash == nil {
		return false
	}
	key := m.Values[0].Key.GetToken().Position
	return !m.IsFlowStyle && key.Line > dash.Position.Line && key.Column <= dash.Position.Column
}

func (r *reader) dict(y *ast.MappingNode) *node {
	n := &node{kind: dict, at: r.pos(y.Start), keys: make([]entry, 0, len(y.Values))}
	if !y.IsFlowStyle && len(y.Values) > 0 {
		n.at = r.pos(y.Values[0].Key.GetToken())
	}
	var merged []*node
	seen := map[string]pos{}
	for _, kv := range y.Values {
		if kv.Key.IsMergeKey() {
			merged = append(merged, r.bases(kv.Value)...)
			continue
		}
		e := entry{key: keyText(kv.Key), at: r.pos(kv.Key.GetToken())}
		e.val = r.node(kv.Value)
		if e.val.kind == null {
			e.val.at = e.at
		}
		if first, twice := seen[e.key]; twice {
			r.report.twice(e, first)
			r.report.drop(n, e)
			continue
		}
		seen[e.key] = e.at
		n.keys = append(n.keys, e)
	}
	for _, base := range merged {
		for _, e := range base.keys {
			if _, ours := seen[e.key]; ours {
				continue
			}
			if r.copied++; r.copied > maxCopies {
				r.tooMuch(n.at)
				return n
			}
			seen[e.key] = e.at
			n.keys = append(n.keys, e)
		}
	}
	return n
}

// bases returns the maps that a merge key names, the strongest first.
func (r *reader) bases(y ast.Node) []*node {
	n := r.node(y)
	of := []*node{n}
	if n.kind == list {
		of = n.items
	}
	for _, base := range of {
		if base.kind != dict {
			r.report.add(base.at, "", fmt.Sprintf("<< merges maps, and this is %s", base.kind), "")
			return nil
		}
	}
	return of
}

func keyText(k ast.MapKeyNode) string {
	switch k := k.(type) {
	case *ast.StringNode:
		return k.Value
	case *ast.MappingKeyNode:
		if inner, ok := k.Value.(*ast.StringNode); ok {
			return inner.Value
		}
	}
	return k.GetToken().Value
}
