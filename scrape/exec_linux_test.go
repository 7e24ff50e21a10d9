package scrape_test

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/vedettehq/vedette/memory"
)

func TestCPUTimeIsLimited(t *testing.T) {
	d := task(memory.New(), with(params("spin"), "cpu", "1s"))
	_, err := d.run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "it has used up its 1s of CPU time") {
		t.Errorf("error %v", err)
	}
}

func TestMemoryIsLimited(t *testing.T) {
	p := func(bytes string) map[string]any { return with(params("eat", bytes), "memory", "256MiB") }
	if result, err := task(memory.New(), p("10000000")).run(t.Context()); err != nil || result != "10000000" {
		t.Errorf("10 MB: %q, %v", result, err)
	}
	if result, err := task(memory.New(), p("600000000")).run(t.Context()); err == nil || !strings.Contains(err.Error(), "exit status 2") {
		t.Errorf("600 MB: %q, %v", result, err)
	}
}

func TestProgramDiesWithItsWorker(t *testing.T) {
	worker := exec.CommandContext(t.Context(), os.Args[0], "program", "worker", "deaf") //nolint:gosec // the test itself
	out, err := worker.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	pid := ""
	for pid == "" && lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), "ready "); ok {
			pid = strings.Trim(rest, `"`)
		}
	}
	if pid == "" {
		t.Fatal("the program never began")
	}
	_ = worker.Process.Kill()
	_ = worker.Wait()
	gone(t, pid)
}
