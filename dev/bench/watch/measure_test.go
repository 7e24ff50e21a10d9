//go:build linux

package main

import (
	"slices"
	"testing"
	"time"
)

func TestJudgeFindsLagAndWhatIsMissing(t *testing.T) {
	s := spec{Row: row{Monitors: 2, Interval: time.Second}}
	from := time.Unix(1_800_000_000, 0)
	w := window{from: from, to: from.Add(3 * time.Second)}
	beatOf := func(monitor, n int) int64 {
		return from.Add(time.Duration(n)*time.Second + s.phase(monitor)).UnixMicro()
	}
	log := []arrival{
		{Monitor: 0, At: beatOf(0, -1) + 10}, // before the window
		{Monitor: 0, At: beatOf(0, 0) + 3000},
		{Monitor: 0, At: beatOf(0, 1) - 500}, // its clock is a little ahead
		{Monitor: 0, At: beatOf(0, 1) + 400_000},
		{Monitor: 0, At: beatOf(0, 2) + 20_000},
		{Monitor: 1, At: beatOf(1, 0)},
		{Monitor: 1, At: beatOf(1, 2)},
		{Monitor: 1, At: beatOf(1, 3)}, // after the window
	}
	var m measured
	arrived := m.judge(s, log, w)
	us := time.Microsecond
	if want := []time.Duration{-500 * us, 0, 0, 3000 * us, 20_000 * us}; !slices.Equal(m.lag, want) {
		t.Errorf("lag: got %v, want %v", m.lag, want)
	}
	if m.missed != 1 || len(arrived) != 5 {
		t.Errorf("got %d missed, %d arrived; want 1 and 5", m.missed, len(arrived))
	}
}

func TestFirstLooksCountsEachMonitorOnce(t *testing.T) {
	last, n := firstLooks([]arrival{{Monitor: 0, At: 5}, {Monitor: 0, At: 90}, {Monitor: 2, At: 7}}, 3)
	if last != 7 || n != 2 {
		t.Errorf("got %d of %d, want the last at 7 of 2", last, n)
	}
}

func TestCertificatesFormAChainOfThree(t *testing.T) {
	dir := t.TempDir()
	if err := makeCertificates(dir); err != nil {
		t.Fatal(err)
	}
	config, err := serverTLS(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(config.Certificates[0].Certificate); got != 3 {
		t.Errorf("got %d certificates, want 3", got)
	}
}
