// Package expand replaces variables of the environment in text, as a shell does. Package manifest
// expands the values of a file when it is read, package check secrets when they are used.
package expand

import (
	"fmt"
	"strings"
)

// Text replaces ${NAME}, ${NAME:-default}, ${NAME:?message} and $$ in text. As in a shell, a
// default or a message is for a name that is unset or empty. A dollar sign before anything
// else stands for itself. It reports a [FormError] for braces that hold none of these. A nil env
// knows no variable.
func Text(text string, env func(string) (string, bool)) (string, error) {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "$")
		out.WriteString(before)
		switch {
		case !found:
			return out.String(), nil
		case strings.HasPrefix(after, "$"):
			out.WriteByte('$')
			text = after[1:]
			continue
		case !strings.HasPrefix(after, "{"):
			out.WriteByte('$')
			text = after
			continue
		}
		inner, rest, closed := strings.Cut(after[1:], "}")
		if !closed {
			return "", &FormError{"${ without a } (for a plain ${ write $${)"}
		}
		value, err := variable(inner, env)
		if err != nil {
			return "", err
		}
		out.WriteString(value)
		text = rest
	}
}

// A FormError says what is wrong with the inside of ${}, and quotes it: do not show it where the
// text is a secret.
type FormError struct{ text string }

func (e *FormError) Error() string { return e.text }

// NoForm says the same as a [FormError] and quotes nothing.
const NoForm = "${ begins neither ${NAME}, ${NAME:-default} nor ${NAME:?message} (for a plain ${ write $${)"

// variable returns what the inside of ${} stands for.
func variable(inner string, env func(string) (string, bool)) (string, error) {
	name, rest, _ := strings.Cut(inner, ":")
	if !IsName(name) {
		return "", &FormError{fmt.Sprintf("${%s}: %q is no name of a variable (for a plain ${ write $${)", inner, name)}
	}
	if rest != "" && rest[0] != '-' && rest[0] != '?' || rest == "" && len(inner) > len(name) {
		return "", &FormError{fmt.Sprintf("${%s}: want ${%s}, ${%s:-default} or ${%s:?message}", inner, name, name, name)}
	}
	var value string
	var set bool
	if env != nil {
		value, set = env(name)
	}
	switch {
	case value != "" || set && rest == "":
		return value, nil
	case rest == "":
		return "", fmt.Errorf("environment variable %s is not set: set it, or write ${%s:-default}", name, name)
	case rest[0] == '?':
		return "", fmt.Errorf("environment variable %s is not set: %s", name, rest[1:])
	}
	return rest[1:], nil
}

// IsName reports whether s can name a variable.
func IsName(s string) bool {
	for i, c := range s {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// Escape writes text so that [Text] gives it back.
func Escape(text string) string {
	var out strings.Builder
	for i := range len(text) {
		out.WriteByte(text[i])
		if text[i] == '$' && i+1 < len(text) && (text[i+1] == '$' || text[i+1] == '{') {
			out.WriteByte('$')
		}
	}
	return out.String()
}
