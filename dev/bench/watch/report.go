//go:build linux

package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

func printHead(w io.Writer, window time.Duration, repeat int) {
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Fprintf(w, "%d cores, %s, load %s; %d passes of %v, medians\n\n",
		runtime.NumCPU(), runtime.Version(), strings.Join(strings.Fields(string(load))[:3], " "), repeat, window)
	fmt.Fprintf(w, "%-9s %-8s %8s %9s %6s %22s %12s %20s %7s %7s %8s\n",
		"row", "subject", "checks/s", "CPU/check", "ratio", "lag p50/p99/max ms", "missed/said", "RSS (anon+file) MB", "cache", "B/row", "cold")
}

func printRow(w io.Writer, r row, floors, ours []measured) {
	base := time.Duration(0)
	if len(floors) > 0 {
		base = median(floors, func(m measured) time.Duration { return m.cpu })
		printLine(w, r.Name, "floor", floors, base)
	}
	if len(ours) > 0 {
		printLine(w, r.Name, "vedette", ours, base)
		printAccuracy(w, ours)
	}
}

func printLine(w io.Writer, name, who string, all []measured, base time.Duration) {
	cpu := median(all, func(m measured) time.Duration { return m.cpu })
	ratio := "-"
	if base > 0 {
		ratio = fmt.Sprintf("%.2f", float64(cpu)/float64(base))
	}
	said := "-"
	if n := median(all, func(m measured) int { return m.counted }); n >= 0 {
		said = fmt.Sprint(n)
	}
	lag := func(q float64) float64 {
		return median(all, func(m measured) float64 { return quantile(m.lag, q).Seconds() * 1000 })
	}
	mb := func(of func(measured) int64) float64 { return float64(median(all, of)) / (1 << 20) }
	cache := "-"
	if n := mb(func(m measured) int64 { return m.cache }); n >= 0 {
		cache = fmt.Sprintf("%.0f", n)
	}
	rss := fmt.Sprintf("%.0f (%.0f+%.0f)", mb(func(m measured) int64 { return m.memory.rss }),
		mb(func(m measured) int64 { return m.memory.anon }), mb(func(m measured) int64 { return m.memory.file }))
	fmt.Fprintf(w, "%-9s %-8s %8.0f %9v %6s %22s %12s %20s %7s %7.0f %8v\n", name, who,
		median(all, func(m measured) float64 { return m.rate }), cpu.Round(time.Microsecond), ratio,
		fmt.Sprintf("%.2f/%.2f/%.1f", lag(.5), lag(.99), lag(1)),
		fmt.Sprintf("%d/%s", median(all, func(m measured) int { return m.missed }), said),
		rss, cache, median(all, func(m measured) float64 { return m.perRow }),
		median(all, func(m measured) time.Duration { return m.cold }).Round(10*time.Millisecond))
}

// printAccuracy prints how far reported times to the first byte were off, of the last pass.
func printAccuracy(w io.Writer, all []measured) {
	off := all[len(all)-1].errors
	for _, took := range []time.Duration{exactTime(0), exactTime(1), exactTime(2)} {
		if len(off[took]) == 0 {
			continue
		}
		slices.Sort(off[took])
		fmt.Fprintf(w, "          an answer that takes %v: ttfb off by %v p50, %v p99, %v max, of %d\n", took,
			quantile(off[took], .5), quantile(off[took], .99), quantile(off[took], 1), len(off[took]))
	}
}

// quantile returns the value below which a share q of the sorted values lies.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// median returns the middle one of what of says of all; the lower one of two.
func median[T cmp.Ordered](all []measured, of func(measured) T) T {
	values := make([]T, len(all))
	for i, m := range all {
		values[i] = of(m)
	}
	slices.Sort(values)
	return values[(len(values)-1)/2]
}
