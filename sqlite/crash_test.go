package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/sqlite"
)

// TestMain is also the processes that tests kill.
func TestMain(m *testing.M) {
	for name, live := range map[string]func(string) error{"VEDETTE_TEST_OWN": writeForEver, "VEDETTE_TEST_WORK": workForEver} {
		if path := os.Getenv(name); path != "" {
			if err := live(path); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
	}
	os.Exit(m.Run())
}

// writeForEver writes batches and says the ids of each on standard output once it is kept.
func writeForEver(path string) error {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	status := vedette.Status{Monitor: "a"}
	if all, err := s.Latest(ctx, "a"); err != nil {
		return err
	} else if len(all) == 1 {
		status = all[0]
	}
	for {
		var results []vedette.Result
		for i := range 50 {
			results = append(results, look(vedette.MonitorID(fmt.Sprint(i)), time.Now()))
		}
		b := batch(results...)
		status.Seq++
		b.Statuses = []vedette.Status{status}
		if err := s.Write(ctx, b); err != nil {
			return err
		}
		status.Version++
		for _, r := range results {
			fmt.Fprintln(os.Stdout, r.ID)
		}
	}
}

// TestKilledOwnerLosesNothing kills an owner again and again: each time all it has said is
// there, once, and nobody waits for it.
func TestKilledOwnerLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vedette.db")
	said := map[string]bool{}
	for kill := range 5 {
		for _, id := range runAndKill(t, "VEDETTE_TEST_OWN", path, 120+kill*210) {
			said[id] = true
		}
		s := open(t, path, sqlite.Options{})
		kept := readAll(t, s)
		for id := range said {
			if kept[id] != 1 {
				t.Fatalf("kill %d: result %s, which was acknowledged, is there %d times", kill, id, kept[id])
			}
		}
		if len(kept)%50 != 0 {
			t.Errorf("kill %d: %d results: half a batch of 50 is kept", kill, len(kept))
		}
		all, err := s.Latest(t.Context(), "a")
		if err != nil || len(all) != 1 || int(all[0].Seq) != len(kept)/50 {
			t.Errorf("kill %d: status %+v, want one of %d batches; %v", kill, all, len(kept)/50, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// runAndKill starts an owner and kills it when it has said so many lines, and returns them.
func runAndKill(t *testing.T, name, path string, lines int) (said []string) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), name+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for scan := bufio.NewScanner(out); scan.Scan(); {
		if len(scan.Text()) >= 36 {
			said = append(said, scan.Text())
		}
		if len(said) == lines {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	if len(said) < lines {
		t.Fatalf("the owner ended by itself after %d lines", len(said))
	}
	return said
}

// readAll counts all results by id.
func readAll(t *testing.T, s *sqlite.Store) map[string]int {
	kept := map[string]int{}
	for span := (vedette.Span{N: 10_000}); ; {
		page, err := s.History(t.Context(), "", span)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			kept[r.ID.String()]++
			span.After = r.ID
		}
		if len(page) < span.N {
			return kept
		}
	}
}
