package manifest_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vedettehq/vedette/manifest"
)

// folder writes files, each as its name and its content, and returns where.
func folder(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		write(t, filepath.Join(dir, files[i]), files[i+1])
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, path string) *manifest.File {
	t.Helper()
	f, err := manifest.Load(path, manifest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestIncludedFilesAreAdded(t *testing.T) {
	dir := folder(t,
		"main.yaml", "include: [conf.d/*.yaml, none/*.yaml]\ngroups: {shop: {interval: 15s}}\nmonitors:\n- {name: a, url: 'tcp://a:1'}\n",
		"conf.d/1.yaml", "include: ../*.yaml\ngroups: {office: {interval: 5m}}\nmonitors:\n- {name: b, group: shop, url: 'tcp://a:1', depends_on: c}\n",
		"conf.d/2.yaml", "log: {level: debug}\nmaintenance: [{from: 2026-01-01, for: 1h}]\nmonitors:\n\n- {name: c, group: office, url: 'tcp://a:1'}\n",
		"conf.d/3.yaml", "# nothing yet\n",
		"conf.d/4.txt", "not read",
	)
	f := load(t, filepath.Join(dir, "main.yaml"))
	var got []string
	for _, m := range f.Monitors {
		got = append(got, strings.TrimPrefix(m.Origin, dir+"/")+" "+string(m.ID)+" "+m.Interval.String())
	}
	want := []string{"main.yaml:4 a 1m0s", "conf.d/1.yaml:4 shop/b 15s", "conf.d/2.yaml:5 office/c 5m0s"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(f.Monitors[0].Maintenance) != 1 || f.Log.Level != "debug" {
		t.Errorf("got %+v, %+v", f.Monitors[0].Maintenance, f.Log)
	}
	var files []string
	for _, path := range f.Snapshot.Files {
		files = append(files, strings.TrimPrefix(path, dir+"/"))
	}
	if diff := cmp.Diff([]string{"main.yaml", "conf.d/1.yaml", "conf.d/2.yaml", "conf.d/3.yaml"}, files); diff != "" {
		t.Error(diff)
	}
}

func TestFilesThatContradictEachOtherAreRefused(t *testing.T) {
	dir := folder(t,
		"main.yaml", "include: [b.yaml, missing.yaml, '[']\nstore: 'memory:'\ngroups: {shop: {labels: {a: '1'}}}\nmonitors:\n- {name: a, url: 'tcp://a:1'}\n",
		"b.yaml", "store: sqlite:x\ngroups: {shop: {labels: {a: '2', b: '2'}}}\nmonitors:\n- {name: a, url: 'tcp://a:1'}\n",
	)
	_, err := manifest.Load(filepath.Join(dir, "main.yaml"), manifest.Options{})
	got := strings.ReplaceAll(err.Error(), dir+"/", "")
	want := `main.yaml:1:19: include: there is no file missing.yaml
main.yaml:1:33: include: "[" is no pattern
b.yaml:1:1: store is there twice: first at main.yaml:2: keep one of them
b.yaml:2:26: a is there twice: first at main.yaml:3: keep one of them
b.yaml:4:10: monitors[1].name: the name "a" is there twice in this group: first at main.yaml:5: give one of them another name`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAMissingFileIsNoMistakeInIt(t *testing.T) {
	_, err := manifest.Load(filepath.Join(t.TempDir(), "none.yaml"), manifest.Options{})
	var wrong manifest.Errors
	if !errors.Is(err, os.ErrNotExist) || errors.As(err, &wrong) {
		t.Errorf("got %v", err)
	}
}

func TestWhatWasGivenDoesNotChange(t *testing.T) {
	dir := folder(t, "b.yaml", "{}\n")
	f, err := manifest.Parse(filepath.Join(dir, "none"), []byte("include: '*.yaml'\n"), manifest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if f.Snapshot.Now() != f.Snapshot.Digest {
		t.Error("nothing is a change")
	}
	write(t, filepath.Join(dir, "b.yaml"), "# more\n")
	if f.Snapshot.Now() == f.Snapshot.Digest {
		t.Error("another file is no change")
	}
}

func TestSnapshotsTellWhatChanged(t *testing.T) {
	const monitor = "monitors:\n- {name: a, url: 'tcp://a:1'}\n"
	// As the kubelet mounts a ConfigMap: names link to a link that it swaps.
	dir := folder(t, "..1/main.yaml", "include: extra/*.yaml\n"+monitor, "..2/main.yaml", "include: extra/*.yaml\n"+monitor, "extra/b.yaml", "{}\n")
	link := func(to, name string) {
		t.Helper()
		tmp := filepath.Join(dir, "tmp")
		if err := errors.Join(os.Symlink(to, tmp), os.Rename(tmp, filepath.Join(dir, name))); err != nil {
			t.Fatal(err)
		}
	}
	link("..1", "..data")
	link("..data/main.yaml", "main.yaml")
	path := filepath.Join(dir, "main.yaml")
	f := load(t, path)
	steady := func(what string) {
		t.Helper()
		if f.Snapshot.Now() != f.Snapshot.Digest {
			t.Errorf("%s is a change", what)
		}
	}
	changed := func(what string) {
		t.Helper()
		if f.Snapshot.Now() == f.Snapshot.Digest {
			t.Errorf("%s is no change", what)
		}
		f = load(t, path)
		steady("reading again after " + what)
	}
	steady("nothing")
	link("..2", "..data")
	steady("another file of the same content")
	write(t, filepath.Join(dir, "..2/main.yaml"), "include: extra/*.yaml\n"+monitor+"# more\n")
	changed("a comment")
	link("..1", "..data")
	changed("a swapped link")
	write(t, filepath.Join(dir, "extra/c.yaml"), "{}\n")
	changed("a new file")
	if err := os.Remove(filepath.Join(dir, "extra/b.yaml")); err != nil {
		t.Fatal(err)
	}
	changed("a file that went")
	write(t, filepath.Join(dir, "..1/main.yaml"), "intervall: 1s\ninclude: extra/*.yaml\n")
	f, err := manifest.Load(path, manifest.Options{})
	if err == nil {
		t.Fatal("no mistake")
	}
	steady("nothing, with a mistake")
	write(t, filepath.Join(dir, "extra/d.yaml"), monitor)
	if f.Snapshot.Now() == f.Snapshot.Digest {
		t.Error("a new file beside one with a mistake is no change")
	}
}

// A folder that cannot be read for a moment holds what it held: its monitors are not gone.
func TestUnreadableFolderIsNoEmptyFolder(t *testing.T) {
	dir := folder(t, "main.yaml", "include: conf.d/*.yaml\n", "conf.d/1.yaml", "monitors:\n- {name: a, url: 'tcp://a:1'}\n")
	path, conf := filepath.Join(dir, "main.yaml"), filepath.Join(dir, "conf.d")
	f := load(t, path)
	if err := os.Rename(conf, conf+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("conf.d", conf); err != nil { // a link to itself: there, but not to be read
		t.Fatal(err)
	}
	if f.Snapshot.Now() != f.Snapshot.Digest {
		t.Error("what cannot be read passes for a change")
	}
	if f, err := manifest.Load(path, manifest.Options{}); err == nil {
		t.Errorf("loaded with %d monitors and no mistake", len(f.Monitors))
	}
	if err := os.Remove(conf); err != nil {
		t.Fatal(err)
	}
	if f.Snapshot.Now() == f.Snapshot.Digest {
		t.Error("a folder that is gone is no change")
	}
}

// An included file that cannot be read is a mistake, and no news after that until it can.
func TestUnreadableFileIsNoNewsTwice(t *testing.T) {
	dir := folder(t, "main.yaml", "include: conf.d/*.yaml\nmonitors: []\n")
	file := filepath.Join(dir, "conf.d", "1.yaml")
	if err := os.MkdirAll(file, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := manifest.Load(filepath.Join(dir, "main.yaml"), manifest.Options{})
	if err == nil {
		t.Error("a folder was read as a file")
	}
	if f.Snapshot.Now() != f.Snapshot.Digest {
		t.Error("it passes for a change though nothing has changed")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	write(t, file, "monitors:\n- {name: a, url: 'tcp://a:1'}\n")
	if f.Snapshot.Now() == f.Snapshot.Digest {
		t.Error("that it can be read now is no change")
	}
}
