package manifest

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"sync"

	"github.com/vedettehq/vedette"
)

// try compiles every monitor and tells what the checker finds with the places in the files.
func (f *File) try(c vedette.Checker) {
	if c == nil {
		return
	}
	found := make([]error, len(f.Monitors))
	var wg sync.WaitGroup
	procs := runtime.GOMAXPROCS(0)
	for p := range procs {
		wg.Go(func() {
			for i := p; i < len(f.Monitors); i += procs {
				if f.Monitors[i].URL != "" {
					_, found[i] = c.Compile(f.Monitors[i])
				}
			}
		})
	}
	wg.Wait()
	f.report.unread = maps.Clone(f.report.wrong)
	for i, err := range found {
		if err != nil {
			f.report.checker(err, f.layers[i], f.Monitors[i].Name)
		}
	}
	for i, url := range f.doc.Connectivity.Targets {
		target := vedette.Monitor{ID: "connectivity", Meta: vedette.Meta{Name: "connectivity"}, URL: url}
		target.Interval, target.Timeout = f.doc.Defaults.Interval, f.doc.Defaults.Timeout
		if _, err := c.Compile(target); err != nil {
			path := fmt.Sprintf("connectivity.targets[%d]", i)
			n, _ := stack{f.top}.find(path)
			l := layered{own: n, stack: stack{n}, path: path}
			f.report.checker(err, l, "")
		}
	}
}

// checker reports what a checker found in one monitor, by its name where it inherits what is
// wrong.
func (r *report) checker(err error, l layered, name string) {
	var all vedette.Mistakes
	if !errors.As(err, &all) {
		r.add(l.own.at, l.path, err.Error(), "")
		return
	}
	for _, m := range all {
		n, whole := l.stack.find(m.Path)
		if that := n.get("that"); that != nil {
			n = that // an expectation with words to say
		}
		at := l.at(m.Path)
		if n != nil {
			at = n.at
			if n.kind == scalar && r.unread[at] {
				continue // the checker was given nothing instead
			}
		}
		if whole && m.Offset > 0 && n.kind == scalar {
			at = r.inside(n, m.Offset)
		}
		heir := ""
		if whole && l.inherited(m.Path) {
			heir = name
		}
		r.put(found{at: at, path: join(l.path, m.Path), text: m.Text, fix: m.Fix, warning: m.Warning, heir: heir})
	}
}

// inside returns the place of the byte at offset in a scalar's text, or of the scalar itself
// if the text does not stand in the file as it is.
func (r *report) inside(n *node, offset int) pos {
	src := &r.files[n.at.file]
	line := []rune(src.line(int(n.at.line)))
	start := int(n.at.col) - 1
	if start >= len(line) || offset > len(n.text) || strings.Contains(n.text, "${") {
		return n.at
	}
	switch line[start] {
	case '|':
		return r.insideBlock(n, src, offset)
	case '>':
		return n.at
	}
	return insideLine(n, line[start:], offset)
}

// insideLine walks the characters of a scalar on one line, with or without quotes.
func insideLine(n *node, line []rune, offset int) pos {
	quote := rune(0)
	at := 0
	if !n.plain && (line[0] == '\'' || line[0] == '"') {
		quote, at = line[0], 1
	}
	for done := 0; at < len(line); at++ {
		if done == offset {
			return pos{n.at.file, n.at.line, n.at.col + int32(at)} //nolint:gosec // within a line
		}
		switch c := line[at]; {
		case quote == '"' && c == '\\':
			if at+1 >= len(line) || !strings.ContainsRune(`"\/ntr0abefv `, line[at+1]) {
				return n.at // longer escapes are rare
			}
			at++
			done++
		case quote == '\'' && c == '\'':
			at++
			done++
		case c == '$' && at+1 < len(line) && line[at+1] == '$':
			at++
			done++
		default:
			done += len(string(c))
		}
	}
	return n.at
}

func (r *report) insideBlock(n *node, src *source, offset int) pos {
	before := n.text[:offset]
	down := strings.Count(before, "\n")
	in := len([]rune(before[strings.LastIndexByte(before, '\n')+1:]))
	first := src.line(int(n.at.line) + 1)
	indent := len(first) - len(strings.TrimLeft(first, " "))
	//nolint:gosec // within a file
	return pos{n.at.file, n.at.line + 1 + int32(down), int32(indent + in + 1)}
}
