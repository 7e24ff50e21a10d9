//go:build linux

package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A slowSite answers after as long as it is told.
type slowSite struct {
	takes atomic.Int64 // a time.Duration
	url   string
}

func slow(t *testing.T, takes time.Duration) *slowSite {
	t.Helper()
	s := &slowSite{}
	s.takes.Store(int64(takes))
	s.url = serve(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(time.Duration(s.takes.Load())):
			ok(w, r)
		case <-r.Context().Done():
		}
	})
	return s
}

// included returns a configuration whose monitors stand in a file that it includes.
func included(t *testing.T, n int, url, store, settings string) string {
	t.Helper()
	path := file(t, fmt.Sprintf("store: sqlite:%s\ndefaults: {%s}\ninclude: [conf.d/*.yaml]\n", store, settings))
	dir := filepath.Join(filepath.Dir(path), "conf.d")
	text := "monitors:\n"
	for i := range n {
		text += fmt.Sprintf("  - {name: site %d, url: %s/%d}\n", i, url, i)
	}
	save(t, filepath.Join(dir, "sites.yaml"), text)
	return path
}

// save writes a file in one step, as an editor does.
func save(t *testing.T, path, text string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path+"~", []byte(text), 0o600)
	}
	if err == nil {
		err = os.Rename(path+"~", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// up is how many monitors are up, and known how many are up or down.
func (v *victim) up(t *testing.T) (up, known int) {
	t.Helper()
	for name, value := range v.metrics(t) {
		if strings.HasPrefix(name, "vedette_monitor_up{") {
			known++
			up += int(value)
		}
	}
	return up, known
}

// allUp waits until all n monitors are up, and says how long that took.
func (v *victim) allUp(t *testing.T, n int, since string) {
	t.Helper()
	took := v.eventually(t, 60*time.Second, "all to be up", func() bool {
		up, _ := v.up(t)
		return up == n
	})
	t.Logf("all up %s after %s", took.Round(time.Millisecond), since)
}

const (
	manySites   = 300
	everyTwo    = "interval: 2s, timeout: 5s"
	tooFewSlots = "looks are due faster than they can be made"
)

// So few descriptors that the slots do not suffice: what is not looked at is unknown.
func TestFewDescriptorsAreNoSitesDown(t *testing.T) {
	t.Parallel()
	db, site := database(t), slow(t, time.Second)
	v := harm(t, file(t, many(manySites, site.url, db, everyTwo)), db, "-n 64")
	v.eventually(t, 30*time.Second, "looks to be missed for want of slots", func() bool {
		return missed(v.metrics(t), "capacity") > 2*manySites
	})
	if _, known := v.up(t); known > manySites/2 {
		t.Errorf("%d of %d monitors are known, want most to be unknown", known, manySites)
	}
	checkToldOnce(t, v.log.String(), tooFewSlots)

	site.takes.Store(0)
	v.allUp(t, manySites, "the site became quick")
	v.stop(t)
	checkOrder(t, v.results(t))
	v.quiet(t)
}

// The limit falls while it runs, and below what is in use: looks fail for want of descriptors,
// and so do the reading of the configuration and the clients of the HTTP server.
func TestExhaustedDescriptorsAreNoSitesDown(t *testing.T) {
	t.Parallel()
	db, site := database(t), slow(t, time.Second)
	v := harm(t, included(t, manySites, site.url, db, everyTwo), db, "")
	v.allUp(t, manySites, "the start")
	logged := len(v.log.String())
	v.limit(t, unix.RLIMIT_NOFILE, 50)
	exhausted := `vedette_checks_total{kind="internal",state="unknown"}`
	v.eventually(t, 20*time.Second, "looks to be unknown", func() bool { return v.metrics(t)[exhausted] > 0 })
	pass(6 * time.Second)
	before := v.metrics(t)
	if n := before["vedette_checks_in_flight"]; n > 50 {
		t.Errorf("%v looks are in flight on 50 descriptors", n)
	}
	pass(4 * time.Second)
	after := v.metrics(t)
	failed, due := after[exhausted]-before[exhausted], 4.0*manySites/2
	t.Logf("%v of %v looks failed in the last 4s, %v in flight", failed, due, after["vedette_checks_in_flight"])
	if failed > due/4 {
		t.Errorf("the slots are not fewer: %v of %v looks failed for want of descriptors", failed, due)
	}
	checkToldOnce(t, v.log.since(logged), "descriptors run out, fewer looks at once for a while")

	v.limit(t, unix.RLIMIT_NOFILE, 10_000)
	v.allUp(t, manySites, "the limit was lifted")
	if n := v.log.count("monitors applied"); n != 1 {
		t.Errorf("monitors were applied %d times: files that could not be read were taken for others", n)
	}
	v.stop(t)
	checkOrder(t, v.results(t))
	v.quiet(t)
}

// Clients of the HTTP server that never hang up take the descriptors that looks need.
func TestClientsThatTakeAllDescriptors(t *testing.T) {
	t.Parallel()
	db, site := database(t), slow(t, 0)
	v := harm(t, file(t, many(100, site.url, db, everyTwo)), db, "-n 64")
	v.allUp(t, 100, "the start")
	_ = v.metrics(t) // holds its connection from now on
	logged := len(v.log.String())
	var clients []net.Conn
	hangUp := func() {
		for _, c := range clients {
			_ = c.Close()
		}
		clients = nil
	}
	defer hangUp()
	var d net.Dialer
	for range 60 {
		c, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(v.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	v.eventually(t, 20*time.Second, "looks to be unknown", func() bool {
		return v.metrics(t)[`vedette_checks_total{kind="internal",state="unknown"}`] > 0
	})
	pass(3 * time.Second)
	checkToldOnce(t, v.log.since(logged), "clients are not accepted, trying again")
	hangUp()
	v.allUp(t, 100, "the clients had gone")
	v.stop(t)
	checkOrder(t, v.results(t))
	v.quiet(t)
}
