//go:build unix

package chaos

import (
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// counted holds that what workers in their present lives lost, and were refused, is in their
// metrics. It returns how many claims and ends those in all their lives are.
func counted(t *testing.T, workers []*process) (lost, refused int) {
	t.Helper()
	for _, w := range workers {
		_, life := w.lives()
		shown := w.metrics(t)
		if got, want := shown["vedette_jobs_lost_total"], lostIn(t, life); got != want {
			t.Errorf("%s shows %d lost claims, and has logged %d", w.name, got, want)
		}
		if got, want := shown["vedette_jobs_fenced_total"], len(refusedIn(life)); got != want {
			t.Errorf("%s shows %d refused ends, and has logged %d", w.name, got, want)
		}
		all, _ := w.lives()
		lost += lostIn(t, all)
		refused += len(refusedIn(all))
	}
	return lost, refused
}

// lostIn counts the claims that a worker's log tells to be lost.
func lostIn(t *testing.T, log string) int {
	t.Helper()
	lost := strings.Count(log, `msg="claim lost"`)
	for _, found := range regexp.MustCompile(`msg="the lease ran out.* lost=(\d+)`).FindAllStringSubmatch(log, -1) {
		n, err := strconv.Atoi(found[1])
		if err != nil {
			t.Fatal(err)
		}
		lost += n
	}
	return lost
}

// refusedIn returns the jobs and epochs whose ends a worker's log tells to be refused.
func refusedIn(log string) (ends [][2]string) {
	for _, found := range regexp.MustCompile(`msg="end refused.* job=(\S+) epoch=(\d+)`).FindAllStringSubmatch(log, -1) {
		ends = append(ends, [2]string{found[1], found[2]})
	}
	return ends
}

// metrics returns the counters and gauges without labels that the process shows.
func (p *process) metrics(t *testing.T) map[string]int {
	t.Helper()
	_, life := p.lives()
	address := regexp.MustCompile(`msg=serving.*(http://127\.0\.0\.1:\d+)`).FindStringSubmatch(life)
	if address == nil {
		t.Fatalf("%s does not say where it serves", p.name)
	}
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Get(address[1] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]int{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			shown[name] = int(n)
		}
	}
	return shown
}
