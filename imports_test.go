package vedette_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport is the architecture: for each package, the packages of this module that it may
// import. "." is the root, "*" any of them.
var mayImport = map[string]string{
	".": "",

	// leaves
	"when": "", "sketch": "", "egress": "", "rule": "when",
	"internal/batch": "", "internal/group": "", "internal/expand": "", "internal/due": "", "internal/pool": "", "internal/retry": "",
	"internal/hold": ".", "internal/pack": ".",

	// engine
	"verdict":  ". when",
	"check":    ". rule egress when internal/expand",
	"watch":    ". verdict when internal/batch internal/due internal/hold internal/pool internal/retry",
	"schedule": ". when internal/hold internal/retry",
	"worker":   ". internal/batch internal/pool internal/retry", "scrape": ". egress",
	"record": ". verdict sketch when internal/hold internal/retry internal/batch",

	// backends: never each other
	"memory": ".", "sqlite": ". internal/pack internal/retry", "postgres": ". internal/group internal/pack internal/retry",
	"redis": ". internal/group internal/pack internal/retry",
	"kafka": ". internal/retry", "codec": ".", "spool": ". internal/retry",

	// edges
	"metrics": ".", "manifest": ". check rule schedule scrape when internal/expand", "demo": ". when",

	"app": "*", "cmd/vedette": "*", "storetest": ".", "postgres/pgtest": ".",
}

const module = "github.com/vedettehq/vedette"

// TestImports holds the dependency rule. It parses the files itself, since a test that asks
// `go list` is cached although another package changed.
func TestImports(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || path == "dev" || path != "." && strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		checkImports(t, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkImports(t *testing.T, path string) {
	pkg := filepath.ToSlash(filepath.Dir(path))
	allowed, known := mayImport[pkg]
	if !known {
		t.Errorf("%s: package %s is not in the table mayImport: say what it may import", path, pkg)
		return
	}
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Error(err)
		return
	}
	for _, spec := range f.Imports {
		name, _ := strconv.Unquote(spec.Path.Value)
		ours, isOurs := strings.CutPrefix(name, module)
		if !isOurs {
			if pkg == "." && strings.Contains(strings.Split(name, "/")[0], ".") {
				t.Errorf("%s imports %s: the root imports the standard library only", path, name)
			}
			continue
		}
		ours = strings.TrimPrefix(ours, "/")
		if ours == "" {
			ours = "."
		}
		if allowed != "*" && !slices.Contains(strings.Fields(allowed), ours) || ours == "storetest" {
			t.Errorf("%s: package %s may not import %s (it may import %q)", path, pkg, ours, allowed)
		}
	}
}

// drivers names the third-party clients that may appear in one package only.
var drivers = map[string]string{
	"modernc.org/sqlite":                  "sqlite",
	"github.com/jackc/pgx":                "postgres",
	"github.com/redis/go-redis":           "redis",
	"github.com/twmb/franz-go":            "kafka",
	"github.com/twmb/avro":                "codec",
	"github.com/prometheus/client_golang": "metrics",
	"github.com/expr-lang/expr":           "rule",
	"github.com/goccy/go-yaml":            "manifest",
	"github.com/spf13/cobra":              "cmd/vedette",
	"github.com/spf13/pflag":              "cmd/vedette",
	"github.com/ohler55/ojg":              "check",
	"golang.org/x/net/dns":                "check",
	"github.com/jedib0t/go-pretty":        "cmd/vedette",
	"github.com/anishathalye/porcupine":   "storetest",
}

// TestDrivers holds each third-party client in its one package, tests included.
func TestDrivers(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasPrefix(path, "dev/") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			for prefix, home := range drivers {
				dir := filepath.ToSlash(filepath.Dir(path))
				if strings.HasPrefix(name, prefix) && dir != home && !strings.HasPrefix(dir, home+"/") {
					t.Errorf("%s imports %s, whose one home is package %s", path, name, home)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
