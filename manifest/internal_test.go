package manifest

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestOnlyNearWordsAreMeant(t *testing.T) {
	words := slices.Values([]string{"interval", "timeout", "ip", "pattern", "not_pattern", "tls"})
	for word, want := range map[string]string{
		"intervall": "interval", "Interval": "interval", "itnerval": "interval", "intrvl": "interval",
		"timeot": "timeout", "iq": "ip", "id": "ip", "patern": "pattern", "no_pattern": "not_pattern",
		"tsl": "tls", "retries": "", "x": "", "": "", "interv": "interval", "inter": "",
	} {
		if got := similar(word, words); got != want {
			t.Errorf("%q is near %q, want %q", word, got, want)
		}
	}
}

func TestDistanceIsAMetricOnNeighbours(t *testing.T) {
	word := rapid.StringMatching(`[ab]{0,6}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		d := distance(a, b)
		if d != distance(b, a) || (d == 0) != (a == b) || d > max(len(a), len(b)) {
			t.Fatalf("%q and %q are %d apart", a, b, d)
		}
	})
}

func TestPathsLeadToValues(t *testing.T) {
	rep := &report{files: []source{{name: "a"}}}
	root := readYAML(0, []byte("a: {b.c: [x, y], b: {c: z}}\n\"$.x[0]\": w\none: v\n"), rep)
	for path, want := range map[string]string{
		"a.b.c[1]": "y", "a.b.c": "", "a.b": "", "$.x[0]": "w", `["$.x[0]"]`: "w", "one[0]": "v",
	} {
		n, whole := root.find(path)
		if !whole || n.text != want {
			t.Errorf("%s leads to %+v, %v; want %q", path, n, whole, want)
		}
	}
	for _, path := range []string{"a.x", "a.b.c[7]", "one[1]", "one.x"} {
		if n, whole := root.find(path); whole || n == root {
			t.Errorf("%s leads to %+v, %v", path, n, whole)
		}
	}
}
