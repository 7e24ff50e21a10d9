package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/vedettehq/vedette/manifest"
)

const oldProducer = "../../manifest/testdata/sitemon/both/producer.yaml"

func TestImportOfSitemonPrintsAValidFile(t *testing.T) {
	got := vedetteCmd(t, "import", "sitemon", oldProducer, "../../manifest/testdata/sitemon/both/consumer.yaml")
	if got.code != exitOK {
		t.Fatalf("exit %d: %s", got.code, got.err)
	}
	if v := vedetteCmd(t, "validate", file(t, got.out)); v.code != exitOK || !strings.Contains(v.err, "5 monitors, no mistakes, 0 warnings") {
		t.Errorf("validate: exit %d: %s", v.code, v.err)
	}
	for _, want := range []string{"producer.yaml:14: log_level: ", "\nresponse_time: ", "\nsite_status: ", "\npattern: "} {
		if !strings.Contains(got.err, want) {
			t.Errorf("no %q in %s", want, got.err)
		}
	}
}

func TestImportWritesANewFileOnly(t *testing.T) {
	out := filepath.Join(t.TempDir(), "vedette.yaml")
	if got := vedetteCmd(t, "import", "sitemon", oldProducer, "-o", out); got.code != exitOK || got.out != "" {
		t.Fatalf("exit %d: %s%s", got.code, got.out, got.err)
	}
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	before, err := manifest.Load(out, manifest.Options{})
	if err != nil || len(before.Monitors) != 5 {
		t.Error(err)
	}
	if got := vedetteCmd(t, "import", "sitemon", oldProducer, "-o", out); got.code != exitFailed || !strings.Contains(got.err, "is there already") {
		t.Errorf("exit %d: %s", got.code, got.err)
	}
}

func TestImportTellsMistakes(t *testing.T) {
	old := file(t, "sites:\n  - url: https://example.com/\n    pattern: 'a(b'\n")
	got := vedetteCmd(t, "import", "sitemon", old)
	if got.code != exitFailed || got.out != "" || !strings.Contains(got.err, "vedette.yaml:3:14: error: sites[0].pattern[0]: missing closing )") {
		t.Errorf("exit %d: %s%s", got.code, got.out, got.err)
	}
}

func TestRolesByTheirNamesInSitemon(t *testing.T) {
	for _, name := range []string{"producer", "consumer"} {
		old := file(t, "kafka: {server: k, topic: t}\n")
		got := vedetteCmd(t, name, "-c", old)
		if want := fmt.Sprintf("make ours of it with `vedette import sitemon %s`", old); got.code != exitFailed || !strings.Contains(got.err, want) {
			t.Errorf("%s: exit %d: %s", name, got.code, got.err)
		}
		if help := vedetteCmd(t, "help").out; !strings.Contains(help, "  "+name+" ") {
			t.Errorf("help does not name %s:\n%s", name, help)
		}
	}
	// A producer needs another process that records, which a file of SQLite does not allow.
	ours := file(t, "store: sqlite:"+filepath.Join(t.TempDir(), "a.db")+"\nmonitors: [{name: a, url: 'tcp://127.0.0.1:1'}]\n")
	if got := vedetteCmd(t, "producer", "-c", ours); got.code != exitUsage || !strings.Contains(got.err, "watch without record") {
		t.Errorf("producer: exit %d: %s", got.code, got.err)
	}
}

func TestConsumerOnlyRecords(t *testing.T) {
	site := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the site was looked at") })
	config := file(t, fmt.Sprintf("store: memory\nregions: [eu, us]\ndefaults: {interval: 100ms}\nmonitors: [{name: a, url: %q}]\n", site))
	cmd := program(t, "consumer", "-c", config)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var told strings.Builder
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		fmt.Fprintln(&told, lines.Text())
		if strings.Contains(lines.Text(), "monitors applied") {
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, told.String())
	}
	if !strings.Contains(told.String(), "vedette: record: 1 monitor in "+config+", results in memory:;") {
		t.Error(told.String())
	}
}
