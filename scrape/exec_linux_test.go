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
	p := func(file string) map[string]any {
		return map[string]any{"argv": []string{"tail", file}, "memory": "64MiB"}
	}
	if _, err := task(memory.New(), p("/dev/null")).run(t.Context()); err != nil {
		t.Errorf("a small program: %v", err)
	}
	result, err := task(memory.New(), p("/dev/zero")).run(t.Context()) // a line without an end
	if err == nil || !strings.Contains(err.Error(), "memory exhausted") {
		t.Errorf("%q, %v", result, err)
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
