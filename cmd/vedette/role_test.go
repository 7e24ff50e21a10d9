package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestRegionOfAProcess(t *testing.T) {
	listed := file(t, "store: memory\nregion: eu\nregions: [eu, us]\nmonitors: []\n")
	open := file(t, "store: memory\nregions: [eu, us]\nmonitors: []\n")
	for _, c := range []struct{ args, want string }{
		{"up -c " + listed + " --region uss", "region: uss is not one of the regions: did you mean us?"},
		{"up -c " + open, "region: the regions are eu, us: which one is this?"},
		{"up -c " + open + " --role record --region ue", "region: ue is not one of the regions: did you mean eu?"},
		{"up --region a/b http://127.0.0.1:1/", `"a/b" is no name of a region`},
	} {
		if got := vedetteCmd(t, strings.Fields(c.args)...); got.code != exitUsage || !strings.Contains(got.err, c.want) {
			t.Errorf("%s: exit %d: %s", c.args, got.code, got.err)
		}
	}
}

func TestResultsSayFromWhereTheyAre(t *testing.T) {
	config := file(t, fmt.Sprintf("store: memory\nregion: eu\nregions: [eu, us]\ndefaults: {interval: 200ms}\nmonitors: [{name: a, url: %q}]\n", serve(t, ok)))
	db := "sqlite:" + filepath.Join(t.TempDir(), "a.db")
	p := startUp(t, "-c", config, "--listen", "none", "--region", "us", "--store", db)
	if r := p.next(t, 10*time.Second); r.Region != "us" {
		t.Errorf("a result of region %q, want us", r.Region)
	}
	p.kill(t)
	if got := vedetteCmd(t, "results", "-c", config, "--store", db); !regexp.MustCompile(`MONITOR +REGION +STATE[^\n]*\n[^\n]* a +us +up `).MatchString(got.out) {
		t.Errorf("the table lacks the region:\n%s%s", got.out, got.err)
	}
	if want := "vedette: from us: 1 monitor in "; !strings.Contains(p.log.String(), want) {
		t.Errorf("no %q in %s", want, p.log.String())
	}
}
