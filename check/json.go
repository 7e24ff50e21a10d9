package check

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ohler55/ojg/jp"
	"github.com/ohler55/ojg/oj"

	"github.com/vedettehq/vedette"
)

// maxDepth bounds how deep the JSON of a site may nest, since paths are followed recursively.
const maxDepth = 1000

// checkPath rejects what is no JSON path (RFC 9535), and those whose cost grows with the square
// of the document.
func checkPath(path string) error {
	if !strings.HasPrefix(path, "$") {
		return fmt.Errorf("the path %q does not begin with $", path)
	}
	x, err := jp.ParseString(path)
	if err != nil {
		return fmt.Errorf("the path %q: %w", path, err)
	}
	for _, frag := range x {
		if _, ok := frag.(*jp.Proc); ok {
			return fmt.Errorf("the path %q holds a script", path)
		}
	}
	if strings.Count(path, "..") > 1 || strings.Count(path, "$") > 1 {
		return fmt.Errorf("the path %q: want .. at most once and $ only at its start", path)
	}
	return nil
}

// json returns what path finds in the body: one value for a path that names one, else a list.
func (r *run) json(path string) (any, error) {
	if !r.parsed {
		r.parsed = true
		r.document, r.documentErr = parseJSON(r.body, r.truncated)
	}
	if r.documentErr != nil {
		return nil, r.documentErr
	}
	x, err := jp.ParseString(path)
	if err != nil {
		return nil, err
	}
	if !x.Normal() {
		return x.Get(r.document), nil
	}
	got, ok := x.FirstFound(r.document)
	if !ok {
		return nil, fmt.Errorf("the body has no %s", path)
	}
	return got, nil
}

func parseJSON(body []byte, cut bool) (any, error) {
	if cut {
		return nil, contentFault("the body was cut at max_body, so it cannot be read as JSON")
	}
	if len(body) == 0 {
		return nil, contentFault("the body is empty, want JSON")
	}
	if tooDeep(body) {
		return nil, contentFault(fmt.Sprintf("the JSON of the body nests deeper than %d", maxDepth))
	}
	var p oj.Parser
	v, err := p.Parse(body)
	if err != nil {
		return nil, contentFault("the body is not JSON: " + err.Error())
	}
	return v, nil
}

func contentFault(text string) error { return &fault{vedette.KindContent, after, text} }

func tooDeep(b []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// notTold says why an expectation cannot be told.
func notTold(err error) *fault {
	if f, ok := errors.AsType[*fault](err); ok {
		return f
	}
	return &fault{vedette.KindExpectation, after, err.Error()}
}
