package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
)

// ownCPU returns the CPU time that this process has used.
func ownCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// postgresCPU returns what all processes of a server on this machine have used: those that run,
// and those that the postmaster has seen end.
func postgresCPU(ctx context.Context, pool *pgxpool.Pool) (time.Duration, error) {
	var pid int
	if err := pool.QueryRow(ctx, "select pg_backend_pid()").Scan(&pid); err != nil {
		return 0, fmt.Errorf("ask for a pid: %w", err)
	}
	own, err := stat(pid)
	if err != nil {
		return 0, fmt.Errorf("the server is not on this machine: %w", err)
	}
	master, err := stat(own.parent)
	if err != nil {
		return 0, err
	}
	sum := master.used + master.ended
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, dir := range dirs {
		n, _ := strconv.Atoi(filepath.Base(dir))
		if p, err := stat(n); err == nil && p.parent == own.parent {
			sum += p.used
		}
	}
	return sum, nil
}

// A process is what /proc says of one.
type process struct {
	parent      int
	used, ended time.Duration // its own, and that of its children that ended
}

// stat reads /proc/PID/stat, whose fields follow the name in parentheses (proc(5)); ticks are
// hundredths of a second.
func stat(pid int) (p process, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return p, err
	}
	_, rest, ok := strings.Cut(string(data), ") ")
	f := strings.Fields(rest)
	if !ok || len(f) < 15 {
		return p, errors.New("unknown layout of /proc/PID/stat")
	}
	n := func(i int) int64 { v, _ := strconv.ParseInt(f[i], 10, 64); return v }
	const tick = 10 * time.Millisecond
	return process{int(n(1)), time.Duration(n(11)+n(12)) * tick, time.Duration(n(13)+n(14)) * tick}, nil
}

// redisCPU returns what the server says that it has used.
func redisCPU(ctx context.Context, c *redis.Client) (time.Duration, error) {
	info, err := c.Info(ctx, "cpu").Result()
	if err != nil {
		return 0, fmt.Errorf("ask for its CPU: %w", err)
	}
	var sum float64
	for line := range strings.Lines(info) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch key {
		case "used_cpu_user", "used_cpu_sys", "used_cpu_user_children", "used_cpu_sys_children":
			v, _ := strconv.ParseFloat(value, 64)
			sum += v
		}
	}
	return time.Duration(sum * float64(time.Second)), nil
}
