package manifest_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vedettehq/vedette/check"
	"github.com/vedettehq/vedette/manifest"
)

func checker(t *testing.T) *check.Checker {
	t.Helper()
	c, err := check.New(check.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// golden holds a text against a file, or writes the file.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: %s", path, diff)
	}
}

// TestSitemonIsImported makes vedette.golden of the files of each folder, and notes.golden of what
// is said besides, or of what is wrong.
func TestSitemonIsImported(t *testing.T) {
	dirs, err := filepath.Glob("testdata/sitemon/*")
	if err != nil || len(dirs) < 6 {
		t.Fatal(dirs, err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			paths, err := filepath.Glob(filepath.Join(dir, "*.y*ml"))
			if err != nil {
				t.Fatal(err)
			}
			if paths[0] == filepath.Join(dir, "consumer.yaml") && len(paths) == 2 {
				paths[0], paths[1] = paths[1], paths[0]
			}
			got, err := manifest.ImportSitemon(manifest.Options{Checker: checker(t)}, paths...)
			if wrong, ok := errors.AsType[manifest.Errors](err); ok {
				var b strings.Builder
				_ = wrong.Format(&b, false) // a builder takes all
				golden(t, filepath.Join(dir, "notes.golden"), b.String())
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join(dir, "vedette.golden"), string(got.Text))
			golden(t, filepath.Join(dir, "notes.golden"), strings.Join(got.Notes, "\n")+"\n")
			if err := validate(t, string(got.Text)); err != nil {
				t.Errorf("the schema refuses it: %v", err)
			}
		})
	}
}

func TestWhatIsImportedMeansTheSame(t *testing.T) {
	got, err := manifest.ImportSitemon(manifest.Options{Checker: checker(t)}, "testdata/sitemon/both/producer.yaml", "testdata/sitemon/both/consumer.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f, err := manifest.Parse("vedette.yaml", got.Text, manifest.Options{Checker: checker(t)}) // no variables are known
	if err != nil {
		t.Fatal(err)
	}
	if want := "postgres://sitemon:p%40ss%2Fw$%7Brd%7D%25@postgres:5432/sitemon"; f.Store != want {
		t.Errorf("store %s, want %s", f.Store, want)
	}
	if want := "kafka://kafka:9092/sitemon"; f.Results != want {
		t.Errorf("results %s, want %s", f.Results, want)
	}
	m := f.Monitors[2]
	if m.URL != "https://www.python.org/downloads/?q=1&x=${HOME}" || m.Interval.Seconds() != 5 || string(m.Probe) != `{"status":["any"],"pattern":["Python \\d\\.\\d+ \\$\\{beta\\}"]}` {
		t.Errorf("got %+v %s", m, m.Probe)
	}
}

func TestFilesOfSitemonAreTold(t *testing.T) {
	for text, want := range map[string]bool{
		"sites: [{url: a}]": true, "kafka: {server: a, topic: b}": true, "postgres: {host: a}": true, "a: 1\nsites:\n  - url: b\n": true,
		"": false, "monitors: [{name: a, url: b}]\nsites: [a]": false, "results: kafka://k:1/t\nkafka: {group: g}": false, "- sites": false, "{": false, "sites:": false,
	} {
		if got := manifest.IsSitemon([]byte(text)); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestFilesThatAreNotThereAreNotImported(t *testing.T) {
	if _, err := manifest.ImportSitemon(manifest.Options{}, "testdata/sitemon/none.yaml"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
