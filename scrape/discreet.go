package scrape

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// What is said of a run is read by more people than its params are. So messages quote nothing of
// arguments, variables, headers and bodies, and of URLs no passwords, queries and fragments.

// hidden stands for what is not said.
const hidden = "***"

// maskURL returns a URL, or what was meant to be one, without its secrets.
func maskURL(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return maskQuery(s)
	}
	host := strings.IndexAny(rest, "/?#")
	if _, err := url.Parse(s); err != nil || host < 0 {
		host = len(rest) // what seems to end the host may stand in a password
	}
	user := ""
	if at := strings.LastIndexByte(rest[:host], '@'); at >= 0 {
		name, _, named := strings.Cut(rest[:at], ":")
		if user = hidden; named && !strings.ContainsAny(name, "/?#") {
			user = name + ":" + hidden
		}
		rest = rest[at:]
	}
	return scheme + "://" + user + maskQuery(rest)
}

// maskQuery hides the values of a query, and a fragment.
func maskQuery(s string) string {
	s, _, fragment := strings.Cut(s, "#")
	s, query, asked := strings.Cut(s, "?")
	if asked && query != "" {
		parts := strings.Split(query, "&")
		for i, part := range parts {
			name, _, valued := strings.Cut(part, "=")
			if parts[i] = hidden; valued {
				parts[i] = name + "=" + hidden
			}
		}
		s += "?" + strings.Join(parts, "&")
	}
	if fragment {
		s += "#" + hidden
	}
	return s
}

// links are what looks like a URL in a text, or like the end of one.
var links = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^\s"']+|/[^\s"'?]*\?[^\s"']+`) //nolint:gochecknoglobals // a constant

// discreet returns err without the secrets of the URLs in its text.
func discreet(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if about, ok := errors.AsType[*url.Error](err); ok { // whose URL may hold anything
		text = strings.ReplaceAll(text, about.URL, maskURL(about.URL))
	}
	return quiet{err, links.ReplaceAllStringFunc(text, maskURL)}
}

// A quiet error reads otherwise.
type quiet struct {
	error
	text string
}

func (q quiet) Error() string { return q.text }

func (q quiet) Unwrap() error { return q.error }

// maskParam returns the value of a param without its secrets.
func maskParam(key string, raw []byte) []byte {
	var line string
	switch {
	case key == "argv" && json.Unmarshal(raw, &line) == nil:
		return strconv.AppendQuote(nil, maskLine(line))
	case slices.Contains([]string{"argv", "env", "headers", "body", "url"}, key):
		return maskJSON(raw)
	}
	return raw
}

// leaves are the texts of JSON, with the colons behind those that are keys, and its numbers.
var leaves = regexp.MustCompile(`"(?:[^"\\]|\\.)*"(?:\s*:)?|-?[0-9][0-9.eE+-]*`) //nolint:gochecknoglobals // a constant

// maskJSON returns JSON with the same keys, whose texts and numbers are hidden.
func maskJSON(raw []byte) []byte {
	return leaves.ReplaceAllFunc(raw, func(leaf []byte) []byte {
		switch {
		case bytes.HasSuffix(leaf, []byte(":")), string(leaf) == `""`:
			return leaf
		case leaf[0] == '"':
			return []byte(`"` + hidden + `"`)
		}
		return []byte(hidden)
	})
}

// maskAssignment hides the value in NAME=value.
func maskAssignment(s string) string {
	if name, value, ok := strings.Cut(s, "="); ok && value != "" {
		return name + "=" + hidden
	}
	return s
}

// maskLine returns of a line for a shell its first word.
func maskLine(s string) string {
	first, _, more := strings.Cut(s, " ")
	if first = maskAssignment(first); more {
		first += " …"
	}
	return first
}

// unbegun says why a program could not be begun. A whole line for a shell may stand in place of its name.
func unbegun(name string, err error) error {
	if strings.Contains(name, " ") {
		name = maskLine(name) + " (argv is a list: each argument is an item of its own)"
	}
	var lookup *exec.Error
	var path *fs.PathError
	switch {
	case errors.As(err, &lookup):
		err = lookup.Err
	case errors.As(err, &path) && path.Op != "chdir":
		err = path.Err
	}
	return fmt.Errorf("begin %s: %w", name, err)
}
