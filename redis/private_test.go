package redis

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// A private is a server of a test's own, to be stopped and broken.
type private struct {
	t    *testing.T
	dir  string
	port int
	args []string
	cmd  *exec.Cmd
}

// startPrivate starts one, with settings beside those that a store asks for.
func startPrivate(t *testing.T, args ...string) *private {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("no redis-server in the PATH to start and break")
	}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "redis") //nolint:usetesting // a child of the server may still write there
	if err != nil {
		t.Fatal(err)
	}
	p := &private{t: t, dir: dir, port: l.Addr().(*net.TCPAddr).Port, args: args}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	p.start()
	return p
}

func (p *private) url() string { return fmt.Sprintf("redis://127.0.0.1:%d/0", p.port) }

func (p *private) start() {
	p.t.Helper()
	args := append([]string{
		"--bind", "127.0.0.1", "--port", fmt.Sprint(p.port), "--dir", p.dir, "--logfile", filepath.Join(p.dir, "log"),
		"--appendonly", "yes", "--save", "",
	}, p.args...)
	p.cmd = exec.CommandContext(context.Background(), "redis-server", args...)
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	db := p.client()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if err := db.Ping(context.Background()).Err(); err == nil {
			return
		} else if time.Now().After(deadline) {
			text, _ := os.ReadFile(filepath.Join(p.dir, "log"))
			p.t.Fatalf("redis-server does not answer: %v\n%s", err, text)
		}
	}
}

// kill ends the server at once.
func (p *private) kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		p.cmd = nil
	}
}

// stop ends the server, and drops its folder as soon as what it had begun there ends, too.
func (p *private) stop() {
	p.kill()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if err := os.RemoveAll(p.dir); err == nil || time.Now().After(deadline) {
			return
		}
	}
}

func (p *private) client() *redis.Client {
	opt, _, err := parse(p.url())
	if err != nil {
		p.t.Fatal(err)
	}
	db := redis.NewClient(opt)
	p.t.Cleanup(func() { _ = db.Close() })
	return db
}

func (p *private) set(name, value string) {
	p.t.Helper()
	if err := p.client().ConfigSet(context.Background(), name, value).Err(); err != nil {
		p.t.Fatalf("config set %s %s: %v", name, value, err)
	}
}

// log returns the append-only file that is written to, and how much of it is written.
func (p *private) log() (path string, size int64) {
	p.t.Helper()
	found, err := filepath.Glob(filepath.Join(p.dir, "appendonlydir", "*.incr.aof"))
	if err != nil || len(found) != 1 {
		p.t.Fatalf("append-only files: %v, %v", found, err)
	}
	info, err := os.Stat(found[0])
	if err != nil {
		p.t.Fatal(err)
	}
	return found[0], info.Size()
}
