package manifest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/check"
	"github.com/vedettehq/vedette/manifest"
)

// A fence is a block of code in a document, with the words that say what it is.
type fence struct {
	place, info, text string
}

func fences(t *testing.T, path string) []fence {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []fence
	for _, at := range regexp.MustCompile("(?ms)^```([^\n]*)\n(.*?)^```$").FindAllSubmatchIndex(b, -1) {
		line := 1 + strings.Count(string(b[:at[0]]), "\n")
		all = append(all, fence{fmt.Sprintf("%s:%d", path, line), string(b[at[2]:at[3]]), string(b[at[4]:at[5]])})
	}
	return all
}

// TestYAMLInTheDocsIsValid reads every block of YAML: a list is one of monitors, anything else a
// whole file.
func TestYAMLInTheDocsIsValid(t *testing.T) {
	paths, err := filepath.Glob("../docs/*.md")
	if err != nil || len(paths) < 4 {
		t.Fatal(paths, err)
	}
	count := 0
	for _, path := range append(paths, "../README.md") {
		for _, f := range fences(t, path) {
			if f.info != "yaml" || strings.HasPrefix(f.text, "- {alert:") { // rules of Prometheus
				continue
			}
			text := f.text
			if strings.HasPrefix(text, "- ") {
				text = "monitors:\n" + text
			}
			file, err := tried(t, text)
			if err != nil {
				t.Errorf("%s: %v", f.place, err)
				continue
			}
			for _, w := range file.Warnings {
				if w.Path != "monitors" {
					t.Errorf("%s: %v", f.place, w)
				}
			}
			if err := validate(t, text); err != nil {
				t.Errorf("%s: the schema refuses it: %v", f.place, err)
			}
			count++
		}
	}
	if count < 12 {
		t.Errorf("%d blocks were tried", count)
	}
}

// compile returns what is wrong with an expression for a kind of check.
func compile(t *testing.T, kind, that string) error {
	t.Helper()
	url := map[string]string{"http": "http://a/", "https": "https://a/", "tcp": "tcp://a:1", "tls": "tls://a:1", "dns": "dns://1.1.1.1/a"}[kind]
	if url == "" {
		t.Fatalf("there is no kind %q", kind)
	}
	probe, err := json.Marshal(check.Options{Expect: []check.Expectation{{That: that}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = check.Expand(vedette.Monitor{URL: url, Probe: probe})
	return err
}

func TestExpressionsInTheDocsAreValid(t *testing.T) {
	tried := map[string]int{}
	for _, f := range fences(t, "../docs/expectations.md") {
		class, kind, _ := strings.Cut(f.info, " ")
		for line := range strings.Lines(f.text) {
			line = strings.TrimSpace(line)
			switch class {
			case "expr":
				tried[kind]++
				if err := compile(t, kind, line); err != nil {
					t.Errorf("%s: %s: %v", f.place, line, err)
				}
			case "mistake":
				tried[class]++
				that, want, _ := strings.Cut(line, "=>")
				err := compile(t, kind, strings.TrimSpace(that))
				var got vedette.Mistakes
				if !errors.As(err, &got) || got.Error() != "expect[0]: "+strings.TrimSpace(want) {
					t.Errorf("%s: %s: got %v", f.place, line, err)
				}
			}
		}
	}
	if diff := cmp.Diff([]string{"dns", "http", "https", "mistake", "tcp", "tls"}, slices.Sorted(maps.Keys(tried))); diff != "" {
		t.Error(diff)
	}
}

// TestNamesInTheDocsAreKnownWhereTheySay compiles each name of the table for each kind of check.
func TestNamesInTheDocsAreKnownWhereTheySay(t *testing.T) {
	b, err := os.ReadFile("../docs/expectations.md")
	if err != nil {
		t.Fatal(err)
	}
	kinds := []string{"http", "https", "tcp", "tls", "dns"}
	args := strings.NewReplacer("(NAME)", `("X")`, "(PATH)", `("$.a")`)
	tried := 0
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(line, "|")
		if len(cells) != 10 || !strings.Contains(cells[1], "`") {
			continue
		}
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
			for i, kind := range kinds {
				err := compile(t, kind, args.Replace(name[1])+" in []")
				if known, says := err == nil, strings.TrimSpace(cells[3+i]) == "x"; known != says {
					t.Errorf("%s for %s: the table says %v, compiling %v", name[1], kind, says, err)
				}
				tried++
			}
		}
	}
	if tried < 5*20 {
		t.Errorf("%d were tried", tried)
	}
}

// keys adds the paths of the keys that a schema has. What the schema describes once, its $defs,
// begins a path of its own.
func keys(schema map[string]any, path string, all map[string]bool) {
	props, _ := schema["properties"].(map[string]any)
	for key, sub := range props {
		inner := key
		if path != "" {
			inner = path + "." + key
		}
		all[inner] = true
		keys(sub.(map[string]any), inner, all)
	}
	choices, _ := schema["anyOf"].([]any)
	for _, one := range choices {
		keys(one.(map[string]any), path, all)
	}
	if items, ok := schema["items"].(map[string]any); ok {
		keys(items, path, all)
	}
}

func TestEveryKeyIsDocumented(t *testing.T) {
	var root map[string]any
	if err := json.Unmarshal(manifest.Schema(), &root); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	keys(root, "", want)
	for _, def := range root["$defs"].(map[string]any) {
		keys(def.(map[string]any), "", want)
	}
	b, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, table := range regexp.MustCompile(`(?m)^\| key \|.*\n\|[-|]+\n((?:\|.*\n)+)`).FindAllSubmatch(b, -1) {
		for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllSubmatch(table[1], -1) {
			got[string(row[1])] = true
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("keys of the schema (-) and of the document (+):\n%s", diff)
	}
}
