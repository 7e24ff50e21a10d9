package expand_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/vedettehq/vedette/internal/expand"
)

func env(name string) (string, bool) {
	value, ok := map[string]string{"SET": "value", "EMPTY": "", "NESTED": "${SET}"}[name]
	return value, ok
}

func TestTextIsExpandedAsInAShell(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "",
		"plain":                  "plain",
		"a ${SET} b":             "a value b",
		"${SET}${SET}":           "valuevalue",
		"${SET:-x}${UNSET:-y}":   "valuey",
		"${EMPTY}${EMPTY:-z}":    "z",
		"${SET:?is needed}":      "value",
		"$$ $${SET} $SET $":      "$ ${SET} $SET $",
		"${NESTED} is not again": "${SET} is not again",
		"${UNSET:-a:-b}":         "a:-b",
	} {
		if got, err := expand.Text(text, env); err != nil || got != want {
			t.Errorf("%q is %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestWhatCannotBeExpandedIsSaid(t *testing.T) {
	for text, want := range map[string]string{
		"${UNSET}":              "environment variable UNSET is not set: set it, or write ${UNSET:-default}",
		"${UNSET:?ask the ops}": "environment variable UNSET is not set: ask the ops",
		"${SET":                 "${ without a } (for a plain ${ write $${)",
	} {
		if _, err := expand.Text(text, env); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	for _, text := range []string{"${}", "${1A}", "${A B}", "${SET:x}", "${SET:}", "${"} {
		_, err := expand.Text(text, env)
		if _, malformed := errors.AsType[*expand.FormError](err); !malformed {
			t.Errorf("%q: %v, want a FormError", text, err)
		}
	}
}

func TestEscapedTextIsExpandedToItself(t *testing.T) {
	text := rapid.StringMatching(`([$]{0,3}[{}a:?-]{0,3}){0,5}`)
	rapid.Check(t, func(t *rapid.T) {
		want := text.Draw(t, "text")
		got, err := expand.Text(expand.Escape(want), nil)
		if err != nil || got != want {
			t.Fatalf("%q is written %q and read as %q, %v", want, expand.Escape(want), got, err)
		}
	})
}
