//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/when"
)

// A row says what to measure.
type row struct {
	Name     string
	Monitors int
	Interval time.Duration
	Timeout  time.Duration
	TLS      bool // with a chain of three certificates
	Names    int  // how many host names there are; 0 is the address
	Gzip     bool // 50 KB of JSON, matched with a pattern and a path
	Silent   int  // one in so many is never answered; 0 is none
	Exact    bool // answers take 10, 100 or 1000 ms
	NoFloor  bool
}

func rows() []row {
	s := time.Second
	return []row{
		{Name: "plain", Monitors: 1000, Interval: s, Timeout: s},
		{Name: "many", Monitors: 20_000, Interval: 10 * s, Timeout: 10 * s},
		// A handshake costs both sides a millisecond: 1,000 a second would measure the waiting.
		{Name: "tls", Monitors: 1000, Interval: 5 * s, Timeout: 5 * s, TLS: true},
		{Name: "names", Monitors: 3000, Interval: 3 * s, Timeout: 3 * s, Names: 3000},
		{Name: "gzip", Monitors: 1000, Interval: 2 * s, Timeout: 2 * s, Gzip: true},
		{Name: "timeouts", Monitors: 1000, Interval: s, Timeout: s * 9 / 10, Silent: 20},
		{Name: "accuracy", Monitors: 20_000, Interval: 10 * s, Timeout: 10 * s, Exact: true, NoFloor: true},
		{Name: "memory", Monitors: 100_000, Interval: 60 * s, Timeout: 10 * s, NoFloor: true},
	}
}

// A spec is a row and where its target is: what the processes are told, as a JSON file.
type spec struct {
	Row      row
	Dir      string
	Addr     string // HOST:PORT of the target
	Control  string // HOST:PORT at which it is asked for its log
	Resolver string // HOST:PORT of its DNS server
}

func (s spec) write(name string) (string, error) {
	path := filepath.Join(s.Dir, name)
	data, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("write spec: %w", err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return "", fmt.Errorf("write spec: %w", err)
	}
	return path, nil
}

func readSpec(path string) (s spec, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return s, fmt.Errorf("read spec: %w", err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("read spec: %w", err)
	}
	return s, nil
}

func monitorID(i int) vedette.MonitorID { return vedette.MonitorID(fmt.Sprint("m", i)) }

// phase is when in its interval monitor i is due.
func (s spec) phase(i int) time.Duration {
	return when.Phase(monitorID(i).Hash(), s.Row.Interval)
}

// url is what monitor i looks at. The path is its number.
func (s spec) url(i int) string {
	scheme, host := "http", s.Addr
	if s.Row.TLS {
		scheme = "https"
	}
	if s.Row.Names > 0 {
		host = fmt.Sprintf("h%d.bench.test%s", i%s.Row.Names, s.Addr[len("127.0.0.1"):])
	}
	return fmt.Sprintf("%s://%s/%d", scheme, host, i)
}

func (s spec) caFile() string { return filepath.Join(s.Dir, "ca.pem") }

// exactTime is how long the answer to monitor i takes in a row that is Exact.
func exactTime(i int) time.Duration {
	return [...]time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second}[i%3]
}
