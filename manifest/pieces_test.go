package manifest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vedettehq/vedette/manifest"
)

// many is a file long enough to be read in pieces.
func many(n int, indent string) string {
	var b strings.Builder
	b.WriteString("x-base: &base {interval: 5s}\ndefaults: {timeout: 2s}\nmonitors:\n# first\n\n")
	for i := range n {
		fmt.Fprintf(&b, `%[2]s- name: site %[1]d
%[2]s  <<: *base
%[2]s  url: https://host%[1]d.example.com/
%[2]s  labels: &l%[1]d {team: web}

%[2]s  status:
%[2]s  - 200
%[2]s  - 301
# in between
%[2]s  send: |
%[2]s   - text
%[2]s    like an item
`, i, indent)
	}
	return b.String() + "\n# last\nlog: {level: debug}\nmaintenance: [{match: {labels: *l7}, from: 2026-01-01, for: 1h}]\n"
}

// TestPiecesAreReadAsTheWhole compares with a file that cannot be cut, since its list has a
// comment where the cut would begin.
func TestPiecesAreReadAsTheWhole(t *testing.T) {
	for name, text := range map[string]string{
		"indented":               many(1900, "  "),
		"not indented":           many(1900, ""),
		"with mistakes":          strings.Replace(many(1900, "  "), "1000.example.com/\n", "1000.example.com/\n    intervall: 3\n", 1) + "monitors: []\nlog: {}\nzzz: 1\n",
		"with an open quote":     strings.Replace(many(1900, "  "), "https://host1000", "'https://host1000", 1),
		"with a text like items": strings.Replace(many(1900, "  "), "https://host1000.example.com/", "\"https://host1000.example.com/\n\n  - a\"", 1),
		"with a second document": many(1900, "  ") + "---\nmonitors: []\n",
		"with a merged top":      "<<: {region: eu}\n" + many(1900, "  ") + "region: us\n",
		"with an unknown anchor": strings.Replace(many(1900, "  "), "*base", "*bass", 1800),
		"ending in the list":     strings.Split(many(1900, "  "), "\n# last")[0],
	} {
		t.Run(name, func(t *testing.T) {
			if len(text) < 300<<10 {
				t.Fatal("too short to be cut")
			}
			whole := strings.Replace(text, "\nmonitors:\n", "\nmonitors: # whole\n", 1)
			a, errA := manifest.Parse("a.yaml", []byte(text), manifest.Options{})
			b, errB := manifest.Parse("a.yaml", []byte(whole), manifest.Options{})
			if diff := cmp.Diff(fmt.Sprint(errB), fmt.Sprint(errA)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(b.Monitors, a.Monitors); diff != "" {
				t.Error(diff[:min(len(diff), 2000)])
			}
			if a.Log != b.Log || a.Region != b.Region {
				t.Errorf("got %+v %q, want %+v %q", a.Log, a.Region, b.Log, b.Region)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{full, many(2, "  "), string(manifest.Init(nil)), "monitors:\n- {<<: *a, name: a}\n", "- \nb: {", "a: &a [*a]", "? [a]\n: b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		file, err := manifest.Parse("fuzz.yaml", []byte(s), manifest.Options{Checker: strict{}})
		if err == nil && strings.Count(s, "include") == 0 {
			text := show(t, file, "")
			again, err := manifest.Parse("shown.yaml", []byte(text), manifest.Options{})
			if err != nil || len(again.Monitors) != len(file.Monitors) {
				t.Fatalf("%q is shown as\n%s\nwhich is read as %v", s, text, err)
			}
		}
	})
}

func BenchmarkParse10000(b *testing.B) {
	text := []byte(many(10_000, "  "))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := manifest.Parse("a.yaml", text, manifest.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
