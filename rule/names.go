package rule

import (
	"reflect"
	"strings"
)

// fieldNames returns the names that expressions use for the fields of t, a struct or a
// pointer to one.
func fieldNames(t reflect.Type) []string {
	if t == nil {
		return nil
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var names []string
	for f := range t.Fields() {
		if name := f.Tag.Get("expr"); name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}

// fieldsBefore returns the fields of the fact whose name stands in src at offset or before, as
// phases in "phases.dsn".
func fieldsBefore(facts reflect.Type, src string, offset int) []string {
	start := strings.LastIndexFunc(src[:offset], func(r rune) bool { return !isWord(r) && r != '.' }) + 1
	base, _, _ := strings.Cut(src[start:], ".")
	for f := range facts.Elem().Fields() {
		if f.Tag.Get("expr") == base {
			return fieldNames(f.Type)
		}
	}
	return nil
}

func isWord(r rune) bool {
	return r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
}

// DidYouMean asks for the one of names that is nearest to a mistyped word, or lists them if none
// is near.
func DidYouMean(word string, names []string) string {
	best, distance := "", len(word)/3+2
	for _, name := range names {
		if d := edits(strings.ToLower(word), strings.ToLower(name)); d < distance {
			best, distance = name, d
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	if len(names) == 0 {
		return ""
	}
	return "there are " + strings.Join(names, ", ")
}

// edits is the Levenshtein distance of a and b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
