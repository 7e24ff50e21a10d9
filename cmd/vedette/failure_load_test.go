//go:build linux

package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vedettehq/vedette"
)

// scaled is n, or less of it under the race detector.
func scaled(n, divisor int) int {
	if raced {
		return n / divisor
	}
	return n
}

// full is a listener whose backlog is full: who connects to it gets no answer.
func full(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(name.(*unix.SockaddrInet4).Port))
	// Fill it, until a connection is not made any more.
	d := net.Dialer{Timeout: 300 * time.Millisecond}
	for range 8 {
		c, err := d.DialContext(t.Context(), "tcp", address)
		if err != nil {
			return "http://" + address
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	t.Fatal("the backlog is never full")
	return ""
}

// Half of the monitors get a connection and then no word, the other half not even that. Memory
// and goroutines are bounded by the looks in flight, and no look gets lost.
func TestHostsThatNeverAnswer(t *testing.T) {
	t.Parallel()
	const every = 10 * time.Second
	monitors := scaled(10_000, 20)
	db, mute, deaf := database(t), silent(t), full(t)
	var config strings.Builder
	fmt.Fprintf(&config, "store: sqlite:%s\ndefaults: {interval: 10s, timeout: 5s, confirm: {down: 1}}\nmetrics: {max_monitors: 0}\nmonitors:\n", db)
	for i := range monitors {
		fmt.Fprintf(&config, "  - {name: site %d, url: %s/%d}\n", i, []string{mute, deaf}[i%2], i)
	}
	v := harm(t, file(t, config.String()), db, "")
	goroutines := 0.0
	v.eventually(t, 3*time.Minute, "all to be down", func() bool {
		now := v.metrics(t)
		goroutines = max(goroutines, now["go_goroutines"])
		return now["vedette_incidents_open"] == float64(monitors)
	})
	rss := v.memory(t)
	before := v.metrics(t)
	v.stop(t)

	by := v.results(t)
	inFlight := together(by)
	t.Logf("%d monitors: at most %d MB, %v goroutines, %d looks in flight", monitors, rss>>20, goroutines, inFlight)
	if limit := int64(600 << 20); !raced && rss > limit || rss > 2<<30 {
		t.Errorf("%d MB of memory", rss>>20)
	}
	if goroutines > float64(2*inFlight+200) {
		t.Errorf("%v goroutines for %d looks in flight", goroutines, inFlight)
	}
	if wanted := monitors / 2; inFlight < wanted*8/10 {
		t.Errorf("%d looks were in flight, want about %d", inFlight, wanted)
	}
	if len(by) != monitors {
		t.Errorf("%d monitors have results, want %d", len(by), monitors)
	}
	notMade := missed(before, "late", "overlap", "sink", "lease")
	if n := gaps(by, every); n > int(notMade) {
		t.Errorf("%d due times have no result, %v were missed", n, notMade)
	}
	checkTimedOut(t, by)
}

// together is how many looks were in flight at once, at most.
func together(by map[vedette.MonitorID][]vedette.Result) (most int) {
	type change struct {
		at time.Time
		by int
	}
	var all []change
	for _, results := range by {
		for _, r := range results {
			all = append(all, change{r.StartedAt, 1}, change{r.StartedAt.Add(r.Phases.Total()), -1})
		}
	}
	slices.SortFunc(all, func(a, b change) int { return cmp.Or(a.at.Compare(b.at), a.by-b.by) })
	now := 0
	for _, c := range all {
		now += c.by
		most = max(most, now)
	}
	return most
}

// checkTimedOut wants all looks but those that the stop cut off to have timed out.
func checkTimedOut(t *testing.T, by map[vedette.MonitorID][]vedette.Result) {
	t.Helper()
	wrong, kinds := 0, map[string]int{}
	for _, results := range by {
		for _, r := range results {
			kind := vedette.Kind("")
			if r.Failure != nil {
				kind = r.Failure.Kind
			}
			kinds[string(r.State)+" "+string(kind)]++
			if kind != vedette.KindMissed && (r.State != vedette.Down || kind != vedette.KindTimeout) {
				wrong++
			}
		}
	}
	t.Logf("looks by state and kind: %v", kinds)
	if wrong > 0 || kinds["down timeout"] < len(by) {
		t.Errorf("%d looks did not time out", wrong)
	}
}

// A target that takes its time costs no look, with the settings that there are by default.
func TestSlowSiteLosesNoLook(t *testing.T) {
	const monitors = 1000
	every := 2 * time.Second
	if raced {
		every = 12 * time.Second
	}
	db, site := database(t), slow(t, 200*time.Millisecond)
	v := harm(t, file(t, many(monitors, site.url, db, "interval: "+every.String())), db, "")
	v.allUp(t, monitors, "the start")
	pass(2*every + every/2)
	now := v.metrics(t)
	if n := missed(now); n != 0 {
		t.Errorf("%v looks were missed: %v", n, reasons(now))
	}
	v.stop(t)
	by := v.results(t)
	if len(by) != monitors {
		t.Errorf("%d monitors have results, want %d", len(by), monitors)
	}
	for id, results := range by {
		if len(results) < 3 {
			t.Errorf("%s: %d results in more than three intervals", id, len(results))
		}
	}
	if n := gaps(by, every); n != 0 {
		t.Errorf("%d due times have no result", n)
	}
	checkOrder(t, by)
	v.quiet(t)
}

// reasons are those for which looks were missed, with how many.
func reasons(metrics map[string]float64) map[string]float64 {
	by := map[string]float64{}
	for name, value := range metrics {
		if strings.HasPrefix(name, "vedette_checks_missed_total") && value > 0 {
			by[name] = value
		}
	}
	return by
}

// Sites that misbehave as badly as they can, again and again, use up nothing.
func TestMisbehavingSitesUseUpNothing(t *testing.T) {
	t.Parallel()
	const monitors = 40 // of each kind
	db := database(t)
	sites := []string{raw(t, reset), raw(t, drip), raw(t, endlessHeaders), serve(t, bomb())}
	every := 500 * time.Millisecond
	if raced {
		every = 2 * time.Second
	}
	var config strings.Builder
	fmt.Fprintf(&config, "store: sqlite:%s\ndefaults: {interval: %s, timeout: 400ms}\nmonitors:\n", db, every)
	for i := range monitors * len(sites) {
		fmt.Fprintf(&config, "  - {name: site %d, url: %s/%d}\n", i, sites[i%len(sites)], i)
	}
	v := harm(t, file(t, config.String()), db, "")
	pass(5 * time.Second)
	early := v.least(t)
	pass(13 * time.Second)
	late := v.least(t)
	for name, more := range map[string]float64{"process_open_fds": 80, "go_goroutines": 80, "process_resident_memory_bytes": 100 << 20} {
		t.Logf("%s: %.0f after 5s, %.0f after 20s", name, early[name], late[name])
		if late[name] > early[name]*1.25+more {
			t.Errorf("%s grows: %.0f after 5s, %.0f after 20s", name, early[name], late[name])
		}
	}
	looks := late[`vedette_checks_total{kind="reset",state="down"}`]
	if want := monitors * float64(15*time.Second/every); looks < want*0.7 {
		t.Errorf("%v looks at a site that resets, want %v", looks, want)
	}
	t.Logf("stopped in %s", v.stop(t).Round(time.Millisecond))
	kinds := map[int]map[string]int{}
	for id, results := range v.results(t) {
		n, err := strconv.Atoi(strings.TrimPrefix(string(id), "site-"))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if kinds[n%len(sites)] == nil {
				kinds[n%len(sites)] = map[string]int{}
			}
			kind := string(r.State)
			if r.Failure != nil {
				kind += " " + string(r.Failure.Kind)
			}
			kinds[n%len(sites)][kind]++
		}
	}
	for i, want := range []string{"down reset", "down timeout", "down protocol", "up"} {
		t.Logf("%s: %v", sites[i], kinds[i])
		if kinds[i][want] == 0 {
			t.Errorf("no look was %s: %v", want, kinds[i])
		}
	}
}

// least is the smallest of several scrapes, value by value: what passes is not in it.
func (v *victim) least(t *testing.T) map[string]float64 {
	t.Helper()
	least := v.metrics(t)
	for range 10 {
		pass(200 * time.Millisecond)
		for name, value := range v.metrics(t) {
			least[name] = min(least[name], value)
		}
	}
	return least
}

// raw serves connections with f, one after another of each client.
func raw(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close() //nolint:errcheck // it is meant to misbehave
				_ = c.SetDeadline(time.Now().Add(5 * time.Second))
				f(c)
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func reset(c net.Conn) {
	_, _ = c.Read(make([]byte, 100))
	_ = c.(*net.TCPConn).SetLinger(0)
}

func drip(c net.Conn) {
	text := "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
	for i := 0; ; i++ {
		if _, err := c.Write([]byte{text[i%len(text)]}); err != nil {
			return
		}
		pass(time.Second)
	}
}

func endlessHeaders(c net.Conn) {
	_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n")
	line := strings.Repeat("X-Endless: and so on\r\n", 100)
	for err == nil {
		_, err = io.WriteString(c, line)
	}
}

// bomb answers with a little that unpacks to a GiB: the same MiB again and again.
func bomb() http.HandlerFunc {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(make([]byte, 1<<20))
	if err = errors.Join(err, z.Close()); err != nil {
		panic(err) // a buffer takes all
	}
	answer := bytes.Repeat(b.Bytes(), 1<<10)
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(answer) // who asked may be gone
	}
}
