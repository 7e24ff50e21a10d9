//go:build unix

package chaos

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"testing"
	"time"
)

// services are servers of this test's own.
type services struct {
	t   *testing.T
	dir string
	env map[string]string
}

// variables say where dev/services tells the address of each.
func variables() map[string]string {
	return map[string]string{"postgres": "VEDETTE_TEST_POSTGRES", "kafka": "VEDETTE_TEST_KAFKA", "redis": "VEDETTE_TEST_REDIS"}
}

func startServices(t *testing.T, names ...string) *services {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "vedette-chaos-") //nolint:usetesting // what failed is to be looked at
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // PostgreSQL runs as a user of its own
		t.Fatal(err)
	}
	s := &services{t: t, dir: dir, env: make(map[string]string)}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("servers' data and all logs are left in %s", dir)
			_, _ = s.run(context.Background(), "down")
			return
		}
		_, _ = s.run(context.Background(), "down", "--wipe")
		_ = os.RemoveAll(dir)
	})
	s.must(append([]string{"up"}, names...)...)
	out, err := s.run(t.Context(), append([]string{"env"}, names...)...)
	if err != nil {
		t.Fatalf("dev/services env: %v\n%s", err, out)
	}
	for line := range bytes.Lines(out) {
		name, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte("="))
		s.env[string(name)] = string(bytes.Trim(value, `'"`))
	}
	for _, name := range names {
		if s.url(name) == "" {
			t.Fatalf("dev/services does not say where %s is:\n%s", name, out)
		}
	}
	return s
}

// url returns the address of a server.
func (s *services) url(name string) string { return s.env[variables()[name]] }

// crash lets a server die and come back after a while.
func (s *services) crash(name string, after func()) {
	s.t.Helper()
	s.must("crash", name)
	after()
	s.must("up", name)
}

func (s *services) must(args ...string) {
	s.t.Helper()
	if out, err := s.run(s.t.Context(), args...); err != nil {
		s.t.Fatalf("dev/services %v: %v\n%s", args, err, out)
	}
}

func (s *services) run(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "../services", args...)
	cmd.Env = append(os.Environ(), "VEDETTE_SERVICES_DIR="+s.dir)
	var out, told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &told
	err := cmd.Run()
	if err != nil {
		return append(out.Bytes(), told.Bytes()...), err
	}
	return out.Bytes(), nil
}
