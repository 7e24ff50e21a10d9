package manifest

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
)

// An Error is one thing wrong with a file, or doubtful if it is a warning.
type Error struct {
	File         string
	Line, Column int // from 1; columns count characters
	// Path names the key from the top of the file inwards: "monitors[2].interval".
	Path string
	Text string // what is wrong
	Fix  string // what would be right; may be empty
	// Warning marks what is allowed but is probably not meant.
	Warning bool
	// Source is the line as it stands in the file, with stars for what is secret.
	Source string
}

// Error returns "FILE:LINE:COLUMN: PATH: TEXT: FIX" without the parts that are empty.
func (e Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: ", e.File, e.Line, e.Column)
	if e.Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(e.words())
	return b.String()
}

func (e Error) words() string {
	parts := slices.DeleteFunc([]string{e.Path, e.Text, e.Fix}, func(s string) bool { return s == "" })
	return strings.Join(parts, ": ")
}

// Errors is all that is wrong, in the order of the files and their lines.
type Errors []Error

// Error returns one line for each mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Format writes each mistake with the line it is in and a mark under the place, in colour if
// asked for.
func (e Errors) Format(w io.Writer, color bool) error {
	paint := func(code, text string) string {
		if !color {
			return text
		}
		return "\x1b[" + code + "m" + text + "\x1b[0m"
	}
	for _, one := range e {
		class := paint("1;31", "error")
		if one.Warning {
			class = paint("1;33", "warning")
		}
		place := paint("1", fmt.Sprintf("%s:%d:%d:", one.File, one.Line, one.Column))
		text := fmt.Sprintf("%s %s: %s\n", place, class, one.words())
		if one.Source != "" {
			line, mark := underline(one.Source, one.Column)
			text += fmt.Sprintf("%5d | %s\n      | %s%s\n", one.Line, line, mark, paint("1;32", "^"))
		}
		if _, err := io.WriteString(w, text); err != nil {
			return fmt.Errorf("write mistakes: %w", err)
		}
	}
	return nil
}

// shown is how much of a long line is worth showing.
const shown = 120

// underline returns the part of the line around a column that fits, and what goes before the
// mark under it.
func underline(line string, column int) (part, indent string) {
	runes := []rune(strings.ReplaceAll(line, "\t", " "))
	at := min(column-1, len(runes))
	from := 0
	if at > shown*2/3 {
		from = at - shown/2
	}
	to := min(len(runes), from+shown)
	return string(runes[from:to]), strings.Repeat(" ", at-from)
}

// A report collects what is wrong while files are read.
type report struct {
	files []source
	found []found
	seen  map[found]int // with the index in found
	wrong map[pos]bool  // where there are mistakes, which warnings would only repeat
	// unread is where values could not be read: the checker sees nothing there, and is not to judge it.
	unread map[pos]bool
	// dropped are the keys that are there twice.
	dropped map[*node][]entry
}

type source struct {
	name   string
	data   []byte
	starts []int // of the lines, once one was asked for
	broken bool  // no YAML
}

// found is an Error that still knows its place as such.
type found struct {
	at              pos
	path, text, fix string
	warning         bool
	// heir is a monitor that inherits what is wrong, and others how many do beside it.
	heir   string
	others int
}

// told returns the text with who inherits what is wrong.
func (f found) told() string {
	switch {
	case f.heir == "":
		return f.text
	case f.others == 0:
		return fmt.Sprintf("%s (inherited by %s)", f.text, f.heir)
	}
	return fmt.Sprintf("%s (inherited by %s and %d more)", f.text, f.heir, f.others)
}

func (r *report) add(at pos, path, text, fix string) {
	r.put(found{at: at, path: path, text: text, fix: fix})
}

func (r *report) warn(at pos, path, text, fix string) {
	r.put(found{at: at, path: path, text: text, fix: fix, warning: true})
}

// put keeps one of those that say the same of the same place: a value that many monitors
// inherit is wrong once.
func (r *report) put(f found) {
	same := f
	same.path, same.heir = "", ""
	if r.seen == nil {
		r.seen, r.wrong = map[found]int{}, map[pos]bool{}
	}
	if i, known := r.seen[same]; known {
		if f.heir != r.found[i].heir {
			r.found[i].others++
		}
		return
	}
	if f.warning && r.wrong[f.at] {
		return
	}
	r.seen[same] = len(r.found)
	r.wrong[f.at] = r.wrong[f.at] || !f.warning
	r.found = append(r.found, f)
}

func (r *report) twice(e entry, first pos) {
	r.add(e.at, "", fmt.Sprintf("%s is there twice: first at %s", e.key, r.place(first)), "keep one of them")
}

// drop keeps a key of n that is there twice, whose line may be shown.
func (r *report) drop(n *node, e entry) {
	if r.dropped == nil {
		r.dropped = map[*node][]entry{}
	}
	r.dropped[n] = append(r.dropped[n], e)
}

// place writes a position the way editors follow it.
func (r *report) place(p pos) string {
	if p.isZero() {
		return "built-in default"
	}
	return fmt.Sprintf("%s:%d", r.files[p.file].name, p.line)
}

// errors returns what was found, apart by whether it is a warning.
func (r *report) errors() (wrong, warnings Errors) {
	slices.SortStableFunc(r.found, func(a, b found) int {
		return comparePos(a.at, b.at)
	})
	for _, f := range r.found {
		e := Error{
			File: r.files[f.at.file].name, Line: int(max(f.at.line, 1)), Column: int(max(f.at.col, 1)),
			Path: f.path, Text: f.told(), Fix: f.fix, Warning: f.warning,
			Source: r.line(f.at),
		}
		if e.Warning {
			warnings = append(warnings, e)
		} else {
			wrong = append(wrong, e)
		}
	}
	return wrong, warnings
}

func comparePos(a, b pos) int {
	for _, d := range [...]int32{a.file - b.file, a.line - b.line, a.col - b.col} {
		if d != 0 {
			return int(d)
		}
	}
	return 0
}

// line returns the line of the file that p is in.
func (r *report) line(p pos) string {
	src := &r.files[p.file]
	return src.fit(src.line(int(p.line)))
}

func (s *source) line(n int) string {
	if s.starts == nil {
		s.starts = []int{0}
		for i, b := range s.data {
			if b == '\n' {
				s.starts = append(s.starts, i+1)
			}
		}
	}
	if n < 1 || n > len(s.starts) {
		return ""
	}
	line, _, _ := bytes.Cut(s.data[s.starts[n-1]:], []byte("\n"))
	return strings.ToValidUTF8(strings.TrimSuffix(string(line), "\r"), "?")
}

// forget drops the text of the files, which is not needed once all is well.
func (r *report) forget() {
	for i := range r.files {
		r.files[i].data, r.files[i].starts = nil, nil
	}
	r.seen, r.wrong, r.found, r.dropped = nil, nil, nil, nil
}
