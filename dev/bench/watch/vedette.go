//go:build linux

package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	_ "modernc.org/sqlite" // to measure a store that Vedette has closed
)

// vedetteSubject is Vedette, with a new store, as something to measure.
func vedetteSubject(dir, binary string, s spec) subject {
	config, listen := filepath.Join(dir, "vedette.yaml"), ""
	store := filepath.Join(dir, "vedette.db")
	files := []string{store, store + "-wal"}
	return subject{
		start: func(ctx context.Context) (p *process, err error) {
			for _, f := range append(files, store+"-shm", store+".lock") {
				if err := os.Remove(f); err != nil && !errors.Is(err, os.ErrNotExist) {
					return nil, fmt.Errorf("remove old store: %w", err)
				}
			}
			if listen, err = freePort(ctx); err != nil {
				return nil, err
			}
			if err := os.WriteFile(config, s.config(store, listen), 0o600); err != nil {
				return nil, fmt.Errorf("write configuration: %w", err)
			}
			return startProcess(ctx, dir, "vedette", binary, "up", "-c", config)
		},
		running: func(ctx context.Context, m *measured) error {
			m.cache = cached(ctx, files...)
			return ask(ctx, "http://"+listen+"/metrics", m.readMissed)
		},
		ended: func(ctx context.Context, m *measured, arrived map[beat]arrival) (err error) {
			if m.perRow, err = bytesPerResult(ctx, store); err != nil || !s.Row.Exact {
				return err
			}
			m.errors, err = accuracy(ctx, s, binary, config, arrived)
			return err
		},
	}
}

func freePort(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// config is the file that Vedette runs with.
func (s spec) config(store, listen string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "store: %q\nhttp: {listen: %q}\n", "sqlite:"+store, listen)
	fmt.Fprintf(&b, "defaults:\n  interval: %s\n  timeout: %s\n", s.Row.Interval, s.Row.Timeout)
	if s.Row.TLS {
		fmt.Fprintf(&b, "  tls: {ca_file: %q}\n", s.caFile())
	}
	if s.Row.Names > 0 {
		fmt.Fprintf(&b, "  resolver: %q\n", s.Resolver)
	}
	if s.Row.Gzip {
		b.WriteString("  pattern: ['item 69[0-9] of']\n  json: {$.status: ok}\n")
	}
	b.WriteString("monitors:\n")
	for i := range s.Row.Monitors {
		fmt.Fprintf(&b, "  - {id: %[1]s, name: %[1]s, url: %[2]q}\n", monitorID(i), s.url(i))
	}
	return []byte(b.String())
}

// readMissed adds up the checks that Vedette itself says it missed.
func (m *measured) readMissed(r io.Reader) error {
	m.counted = 0
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "vedette_checks_missed_total") {
			continue
		}
		text := lines.Text()[strings.LastIndexByte(lines.Text(), ' ')+1:]
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("read metrics: %w", err)
		}
		m.counted += int(n)
	}
	return lines.Err()
}

// bytesPerResult is the size of the table of results with its indexes, by result.
func bytesPerResult(ctx context.Context, store string) (float64, error) {
	db, err := sql.Open("sqlite", "file:"+store+"?mode=ro")
	if err != nil {
		return 0, fmt.Errorf("open store: %w", err)
	}
	defer func() { _ = db.Close() }()
	var size, n int64
	err = db.QueryRowContext(ctx, `
		select (select sum(pgsize) from dbstat where name in (select name from sqlite_schema where tbl_name = 'results')),
		       (select count(*) from results)`).Scan(&size, &n)
	if err != nil {
		return 0, fmt.Errorf("measure store: %w", err)
	}
	return float64(size) / float64(max(n, 1)), nil
}

// accuracy returns, for each time that an answer took, how far the reported time to the first
// byte was from the one that the target measured. It reads what Vedette prints.
func accuracy(ctx context.Context, s spec, binary, config string, arrived map[beat]arrival) (map[time.Duration][]time.Duration, error) {
	cmd := exec.CommandContext(ctx, binary, "results", "-c", config, "-o", "jsonl")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	off := map[time.Duration][]time.Duration{}
	lines := json.NewDecoder(out)
	for {
		var r struct {
			Monitor string    `json:"monitor"`
			DueAt   time.Time `json:"due_at"`
			Phases  struct {
				TTFB float64 `json:"ttfb"`
			} `json:"phases_ms"`
		}
		if err := lines.Decode(&r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, errors.Join(fmt.Errorf("read results: %w", err), cmd.Wait())
		}
		i, err := strconv.Atoi(strings.TrimPrefix(r.Monitor, "m"))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("read results: %w", err), cmd.Wait())
		}
		if a, ok := arrived[beat{i, s.due(i, r.DueAt.UnixMicro())}]; ok {
			said := time.Duration(r.Phases.TTFB * float64(time.Millisecond))
			off[exactTime(i)] = append(off[exactTime(i)], said-time.Duration(a.Took)*time.Microsecond)
		}
	}
	return off, cmd.Wait()
}
