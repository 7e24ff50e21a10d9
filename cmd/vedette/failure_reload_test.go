//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// applied waits until the process watches this many monitors by its n-th configuration.
func (v *victim) applied(t *testing.T, n, monitors int) {
	t.Helper()
	want := fmt.Sprintf(`msg="monitors applied" all=%d `, monitors)
	took := v.eventually(t, 10*time.Second, fmt.Sprintf("%d monitors to be applied", monitors), func() bool {
		lines := strings.Split(v.log.String(), `msg="monitors applied"`)
		return len(lines) == n+1 && strings.HasPrefix(`msg="monitors applied"`+lines[n], want)
	})
	t.Logf("configuration %d in force after %s", n, took.Round(time.Millisecond))
}

func sitesFile(store, url string, n int) string {
	return many(n, url, store, "interval: 500ms, timeout: 5s")
}

// A file that is broken, gone or a folder's is refused whole, and the old one stays in force
// until there is a good one.
func TestBrokenFileIsRefusedAndTheOldOneGoesOn(t *testing.T) {
	t.Parallel()
	db, site := database(t), serve(t, ok)
	config := file(t, sitesFile(db, site, 10))
	v := harm(t, config, db, "")
	v.allUp(t, 10, "the start")

	const refused = "configuration refused, the old one stays in force"
	save(t, config, sitesFile(db, site, 10)+"  - {name: broken, url: htp://nowhere, intervall: 3}\n")
	v.eventually(t, 5*time.Second, "the broken file to be refused", func() bool { return v.log.count(refused) >= 2 })
	told := v.log.count(refused)
	v.signal(t, syscall.SIGHUP)
	v.eventually(t, 5*time.Second, "it to be refused again on SIGHUP", func() bool { return v.log.count(refused) == 2*told })
	if log := v.log.String(); !strings.Contains(log, config+":14:") || !strings.Contains(log, "did you mean interval?") {
		t.Error("the log does not say where the mistakes are and what would be right")
	}
	if code, text := v.ready(t); code != 200 || !strings.Contains(text, "refused") {
		t.Errorf("/readyz: %d %s", code, text)
	}
	if v.metrics(t)["vedette_config_last_reload_successful"] != 0 {
		t.Error("the reload passes for successful")
	}
	v.goesOn(t)
	if n := v.log.count(refused); n != 2*told {
		t.Errorf("the same broken file was refused %d times, want once and once more on SIGHUP", n/told)
	}

	if err := os.Remove(config); err != nil {
		t.Fatal(err)
	}
	v.eventually(t, 5*time.Second, "the missing file to be told", func() bool { return v.log.count("no such file") == 1 })
	v.goesOn(t)
	if n := v.log.count("no such file"); n != 1 {
		t.Errorf("the missing file was told %d times", n)
	}
	save(t, config, sitesFile(db, site, 12))
	v.applied(t, 2, 12)
	v.allUp(t, 12, "the file was there again")
	if _, text := v.ready(t); strings.Contains(text, "refused") {
		t.Errorf("/readyz: %s", text)
	}
	v.stop(t)
	checkOrder(t, v.results(t))
}

// goesOn wants two seconds of looks as ever.
func (v *victim) goesOn(t *testing.T) {
	t.Helper()
	before := len(v.kept())
	pass(2 * time.Second)
	if n := len(v.kept()) - before; n < 20 {
		t.Errorf("%d looks in 2s of 10 monitors at 500ms", n)
	}
}

// A ConfigMap is a folder whose files are links through one link, ..data, which is moved to
// another folder all at once.
func TestSwappedConfigMapIsNoticed(t *testing.T) {
	t.Parallel()
	db, site, dir := database(t), serve(t, ok), t.TempDir()
	swap := func(version, main, more string) {
		t.Helper()
		save(t, filepath.Join(dir, version, "vedette.yaml"), main)
		save(t, filepath.Join(dir, version, "more.yaml"), more)
		link(t, version, filepath.Join(dir, "..data"))
	}
	more := "monitors: [{name: more, url: " + site + "}]\n"
	main := func(n int) string { return "include: more.yaml\n" + sitesFile(db, site, n) }
	swap("..1", main(3), more)
	link(t, "..data/vedette.yaml", filepath.Join(dir, "vedette.yaml"))
	link(t, "..data/more.yaml", filepath.Join(dir, "more.yaml"))
	v := harm(t, filepath.Join(dir, "vedette.yaml"), db, "")
	v.applied(t, 1, 4)
	swap("..2", main(5), more)
	v.applied(t, 2, 6)
	swap("..3", main(5), "monitors: []\n") // the included file alone
	v.applied(t, 3, 5)
	swap("..4", main(5), "monitors: []\n") // a swap without a change
	pass(time.Second)
	v.applied(t, 3, 5)
	v.stop(t)
}

// link makes a link, or moves it in one step.
func link(t *testing.T, to, path string) {
	t.Helper()
	err := os.Symlink(to, path+"~")
	if err == nil {
		err = os.Rename(path+"~", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A file that an include pattern takes in appears, changes, is broken for a while, disappears.
func TestIncludedFileComesAndGoes(t *testing.T) {
	t.Parallel()
	db, site := database(t), serve(t, ok)
	config := file(t, "include: conf.d/*.yaml\n"+sitesFile(db, site, 3))
	more := filepath.Join(filepath.Dir(config), "conf.d", "more.yaml")
	v := harm(t, config, db, "")
	v.applied(t, 1, 3)
	one := "{name: one, url: " + site + "/one}"
	save(t, more, "monitors: ["+one+"]\n")
	v.applied(t, 2, 4)
	save(t, more, "monitors: ["+one+", {name: two, url: "+site+"/two}]\n")
	v.applied(t, 3, 5)
	save(t, more, "monitors: ["+one+", {name: one, url: "+site+"/two}]\n")
	v.eventually(t, 5*time.Second, "the broken file to be refused", func() bool { return v.log.count("configuration refused") > 0 })
	if err := os.RemoveAll(filepath.Dir(more)); err != nil {
		t.Fatal(err)
	}
	v.applied(t, 4, 3)
	v.allUp(t, 3, "the file had gone")
	v.stop(t)
	if n := v.log.count(`deleted=2`); n != 1 {
		t.Error("the monitors of the file that is gone are not")
	}
}
