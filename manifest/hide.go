package manifest

import (
	"bytes"
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/vedettehq/vedette/internal/expand"
)

// What is wrong is told with the line it is in, and the line may hold a secret: hide makes such
// lines fit to be shown. It goes by the names of keys, not by the structs, since a key that is
// misspelled or of another tool holds a secret all the same.

// secretKeys are the keys whose values are secrets, ours and those of other tools.
func secretKeys() []string {
	return []string{
		"headers", "bearer", "password", "proxy_url", "body",
		"authorization", "proxy-authorization", "cookie", "bearer_token", "token", "secret", "api_key", "x-api-key", "env",
	}
}

// isSecret reports whether the values under a key are secrets. A key that is nearly one of ours
// was likely meant to be it.
func isSecret(key string) bool {
	key = strings.ToLower(key)
	if slices.Contains(secretKeys(), key) {
		return true
	}
	for word := range strings.FieldsFuncSeq(key, func(c rune) bool { return c < 'a' || c > 'z' }) {
		if slices.Contains([]string{"password", "passwd", "secret", "token", "apikey", "credentials"}, word) {
			return true
		}
	}
	return key != "header" && similar(key, slices.Values(secretKeys()[:4])) != ""
}

// isReference reports whether a text only says where a value comes from.
func isReference(text string) bool {
	name, ok := strings.CutPrefix(text, "${")
	return ok && strings.HasSuffix(name, "}") && expand.IsName(strings.TrimSuffix(name, "}"))
}

// hide makes stars of the secrets in the files under top, a character each, so that columns
// stay.
func (r *report) hide(top *node) {
	h := hider{report: r, secrets: map[string]bool{}, of: make([][]*node, len(r.files))}
	h.walk(top, false)
	for i, nodes := range h.of {
		r.files[i].hide(nodes)
	}
}

// A hider finds the secrets of each file.
type hider struct {
	*report
	secrets map[string]bool // by key
	of      [][]*node
}

func (h *hider) walk(n *node, secret bool) {
	if n == nil {
		return
	}
	if n.kind == scalar && secret && n.text != "" && !isReference(n.text) {
		h.of[n.at.file] = append(h.of[n.at.file], n)
	}
	for _, item := range n.items {
		h.walk(item, secret)
	}
	for _, keys := range [][]entry{n.keys, h.dropped[n]} {
		for _, e := range keys {
			h.walk(e.val, h.isSecret(e.key) || secret && e.key != "file")
		}
	}
}

// isSecret remembers the answer: a long file has few different keys.
func (h *hider) isSecret(key string) bool {
	is, known := h.secrets[key]
	if !known {
		is = isSecret(key)
		h.secrets[key] = is
	}
	return is
}

// hide makes stars of these scalars.
func (s *source) hide(nodes []*node) {
	if len(nodes) == 0 {
		return
	}
	slices.SortFunc(nodes, func(a, b *node) int {
		return cmp.Or(cmp.Compare(a.at.line, b.at.line), cmp.Compare(a.at.col, b.at.col))
	})
	var out bytes.Buffer
	done := 0
	for _, n := range nodes {
		from, to := s.extent(n)
		if from < done {
			continue
		}
		out.Write(s.data[done:from])
		out.WriteString(stars(string(s.data[from:to])))
		done = to
	}
	out.Write(s.data[done:])
	s.data, s.starts = out.Bytes(), nil
}

// extent returns where in the file the text of a scalar stands, without its quotes.
func (s *source) extent(n *node) (from, to int) {
	line := s.line(int(n.at.line))
	from = s.starts[n.at.line-1]
	for i, c := 1, 0; i < int(n.at.col) && c < len(line); i++ {
		_, size := utf8.DecodeRune(s.data[from:])
		from, c = from+size, c+size
	}
	rest := s.data[from:]
	if len(rest) == 0 {
		return from, from
	}
	switch q := rest[0]; {
	case !n.plain && (q == '"' || q == '\''):
		return from + 1, from + closing(rest, q)
	case !n.plain && (q == '|' || q == '>'):
		header := bytes.IndexByte(rest, '\n') + 1
		return from + header, from + header + spelled(rest[header:], n.text)
	}
	return from, from + spelled(rest, n.text)
}

// closing returns where the quote that text begins with ends, or the end of its line.
func closing(text []byte, quote byte) int {
	for i := 1; i < len(text); i++ {
		switch {
		case quote == '"' && text[i] == '\\':
			i++
		case text[i] == quote && quote == '\'' && i+1 < len(text) && text[i+1] == quote:
			i++
		case text[i] == quote:
			return i
		}
	}
	return lineEnd(text)
}

// spelled returns how far into raw the text reaches, which YAML may have folded: where it does
// not stand there as it is, to the end of the line.
func spelled(raw []byte, text string) int {
	at := 0
	for _, want := range text {
		if unicode.IsSpace(want) {
			continue
		}
		for at < len(raw) && strings.IndexByte(" \t\r\n", raw[at]) >= 0 {
			at++
		}
		got, size := utf8.DecodeRune(raw[at:])
		if got != want {
			return max(at, lineEnd(raw))
		}
		at += size
	}
	return at
}

func lineEnd(text []byte) int {
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		return i
	}
	return len(text)
}

// stars hides a text and keeps its lines.
func stars(text string) string {
	return strings.Map(func(c rune) rune {
		if c == '\n' || c == '\r' {
			return c
		}
		return '*'
	}, text)
}

// fit makes a line of a file fit to be shown.
func (s *source) fit(line string) string {
	if s.broken {
		likely := regexp.MustCompile(`(?i)((?:bearer|password|proxy_url|authorization|cookie|token|secret|api[-_]?key|headers|body)[\w-]*["']?\s*:\s*)(.+)`)
		line = starred(likely, line)
	}
	if strings.Contains(line, "@") {
		// As far as the last @, since what is wrong may be a character of the password.
		line = starred(regexp.MustCompile(`(://[^/?#\s"'@:]*:)([^\s"']+)@`), line)
	}
	return line
}

// starred hides the second group of each match.
func starred(pattern *regexp.Regexp, text string) string {
	var out strings.Builder
	done := 0
	for _, at := range pattern.FindAllStringSubmatchIndex(text, -1) {
		if !isReference(text[at[4]:at[5]]) {
			out.WriteString(text[done:at[4]] + stars(text[at[4]:at[5]]))
			done = at[5]
		}
	}
	return out.String() + text[done:]
}

// withoutPassword hides the password in a URL.
func withoutPassword(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndexByte(rest[:end], '@')
	user, _, has := strings.Cut(rest[:max(at, 0)], ":")
	if !has {
		return url
	}
	return scheme + "://" + user + ":***" + rest[at:]
}
