package manifest

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

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

// FuzzSitemon imports anything: what is made of it is a configuration, or its mistakes are told.
func FuzzSitemon(f *testing.F) {
	paths, err := filepath.Glob("testdata/sitemon/*/*.y*ml")
	if err != nil || len(paths) < 6 {
		f.Fatal(paths, err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := newSitemon(Options{})
		s.read("a.yaml", data)
		_, err := s.imported()
		var wrong Errors
		if err == nil {
			return
		}
		if !errors.As(err, &wrong) {
			t.Fatal(err)
		}
		for _, one := range wrong {
			if one.File != "a.yaml" {
				t.Fatalf("not valid: %v\n%s", one, s.write())
			}
		}
	})
}

// TestImportedTextsAreTheSameTexts: whatever a text holds, YAML and variables leave it alone.
func TestImportedTextsAreTheSameTexts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching("[${}a#: '\\\\\"%-]{1,8}")).Draw(t, "text")
		s := newSitemon(Options{})
		s.store, s.every = "memory:", time.Second
		s.sites = []oldSite{{url: "http://a/" + text, pattern: text, every: time.Second}}
		f, err := Parse("a.yaml", s.write(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Monitors) != 1 || f.Monitors[0].URL != "http://a/"+text {
			t.Fatalf("got %+v", f.Monitors)
		}
		var probe struct{ Pattern []string }
		if err := json.Unmarshal(f.Monitors[0].Probe, &probe); err != nil || text != "" && (len(probe.Pattern) != 1 || probe.Pattern[0] != text) {
			t.Fatalf("got %s", f.Monitors[0].Probe)
		}
	})
}
