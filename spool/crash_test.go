package spool_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/codec"
	"github.com/vedettehq/vedette/spool"
)

// TestMain is also the process that TestKilledProcessesLoseNothing kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("VEDETTE_TEST_SPOOL"); dir != "" {
		first, err := strconv.Atoi(os.Getenv("VEDETTE_TEST_FIRST"))
		if err == nil {
			err = sendForEver(dir, first)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

const crashMonitors = 3

// sendForEver sends results through a spool to a sink that comes and goes. It writes a line of
// what it tries, what it is told is kept, and what arrives: "try|ack|got", then the results.
func sendForEver(dir string, first int) error {
	c, err := codec.New(codec.Config{})
	if err != nil {
		return err
	}
	s, err := spool.New(spool.Config{
		Dir: dir, Next: &moody{}, Encode: c.Encode,
		Decode: func(b []byte, r *vedette.Result) error { return c.Decode(context.Background(), b, r) },
	})
	if err != nil {
		return err
	}
	go func() { _ = s.Run(context.Background()) }()
	for ; ; first++ {
		var all []vedette.Result
		for i := range 1 + rand.IntN(2*crashMonitors) {
			m := (first + i) % crashMonitors
			all = append(all, looks(vedette.MonitorID(strconv.Itoa(m)), 20*first+i, 1)...)
		}
		say("try", all)
		if err := s.Send(context.Background(), vedette.Found{Results: all}); err != nil {
			return err
		}
		say("ack", all)
	}
}

// say writes one line at once, so that a kill leaves it whole or out.
func say(what string, all []vedette.Result) {
	for _, r := range all {
		what += fmt.Sprintf(" %s:%d", r.Monitor, r.Revision)
	}
	_, _ = os.Stdout.WriteString(what + "\n")
}

// A moody sink changes now and then between taking all, taking nothing, and taking all without
// saying so.
type moody struct {
	mu   sync.Mutex
	mood int
}

func (m *moody) Send(_ context.Context, f vedette.Found) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if rand.IntN(8) == 0 {
		m.mood = rand.IntN(3)
	}
	if m.mood == 1 {
		return errAway
	}
	say("got", f.Results)
	if m.mood == 2 {
		return errAway
	}
	return nil
}

// A tale is what all the processes said.
type tale struct {
	tried, acked map[string]bool
	got          map[string]int
	last         map[string]int // by monitor: the newest that came for the first time
}

// TestKilledProcessesLoseNothing kills process after process on one folder at any moment: what
// was acknowledged arrives, what arrives was tried, and results of a monitor arrive in order.
func TestKilledProcessesLoseNothing(t *testing.T) {
	rounds := 50
	if testing.Short() {
		rounds = 10
	}
	dir := t.TempDir()
	all := tale{tried: map[string]bool{}, acked: map[string]bool{}, got: map[string]int{}, last: map[string]int{}}
	for round := range rounds {
		all.hear(t, killed(t, dir, 100_000*round, 1+rand.IntN(150)))
	}
	n := newNext()
	run(t, open(t, config(t, dir, n)))
	for _, r := range n.results() {
		all.got1(t, string(r.Monitor), int(r.Revision))
	}
	for id := range all.acked {
		if all.got[id] == 0 {
			t.Errorf("%s was acknowledged and did not arrive", id)
		}
	}
	for id := range all.got {
		if !all.tried[id] {
			t.Errorf("%s arrived, and nobody sent it", id)
		}
	}
	t.Logf("tried %d, acknowledged %d, arrived %d", len(all.tried), len(all.acked), len(all.got))
	if len(all.acked) < 20*rounds || len(n.dropped) > 0 {
		t.Errorf("%d acknowledged in %d rounds, dropped %v", len(all.acked), rounds, n.dropped)
	}
}

// killed runs a process until it has said so many lines, and returns all it said.
func killed(t *testing.T, dir string, first, lines int) (said []string) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "VEDETTE_TEST_SPOOL="+dir, "VEDETTE_TEST_FIRST="+strconv.Itoa(first))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for r := bufio.NewReader(out); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			if err != io.EOF {
				t.Fatal(err)
			}
			break
		}
		if said = append(said, strings.TrimSpace(line)); len(said) == lines {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	if len(said) < lines {
		t.Fatalf("the process ended by itself after %d lines", len(said))
	}
	return said
}

func (a *tale) hear(t *testing.T, lines []string) {
	for _, line := range lines {
		words := strings.Fields(line)
		for _, id := range words[1:] {
			switch words[0] {
			case "try":
				a.tried[id] = true
			case "ack":
				a.acked[id] = true
			case "got":
				monitor, rev, _ := strings.Cut(id, ":")
				n, err := strconv.Atoi(rev)
				if err != nil {
					t.Fatal(err)
				}
				a.got1(t, monitor, n)
			}
		}
	}
}

// got1 takes note of one result that came.
func (a *tale) got1(t *testing.T, monitor string, rev int) {
	id := fmt.Sprintf("%s:%d", monitor, rev)
	a.got[id]++
	if a.got[id] > 1 {
		return
	}
	if rev < a.last[monitor] {
		t.Errorf("result %s arrived for the first time after %d", id, a.last[monitor])
	}
	a.last[monitor] = rev
}
