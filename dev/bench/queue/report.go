package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// A table gathers the best figures of each system, in the order in which they came.
type table struct {
	order []system
	best  map[string]figures
}

func (t *table) add(sys system, f figures) {
	if t.best == nil {
		t.best = map[string]figures{}
	}
	old, known := t.best[sys.name]
	if !known {
		t.order = append(t.order, sys)
		t.best[sys.name] = f
		return
	}
	if f.Insert < old.Insert {
		f.Insert, f.InsertCPU, f.InsertServer = old.Insert, old.InsertCPU, old.InsertServer
	}
	if f.Work < old.Work {
		f.Work, f.WorkCPU, f.WorkServer = old.Work, old.WorkCPU, old.WorkServer
	}
	if f.Both < old.Both {
		f.Both, f.BothCPU, f.BothServer = old.Both, old.BothCPU, old.BothServer
	}
	if f.Held < old.Held {
		f.Held, f.HeldServer = old.Held, old.HeldServer
	}
	if f.Wake[2] > old.Wake[2] {
		f.Wake = old.Wake
	}
	if f.Claim[1] > old.Claim[1] {
		f.Claim = old.Claim
	}
	t.best[sys.name] = f
}

// line is what is said of one pass.
func (f figures) line(name string) string {
	return fmt.Sprintf("%s: insert %.0f/s, work %.0f/s, both %.0f/s, held %.0f/s, wake-up p99 %.2f ms",
		name, f.Insert, f.Work, f.Both, f.Held, f.Wake[2])
}

func (t *table) print(w io.Writer) {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...string) { fmt.Fprintln(out, strings.Join(cells, "\t")+"\t") }
	row("system", "insert/s", "us own+server", "work/s", "us own+server", "x peer", "both/s", "us own+server",
		"held/s", "us server", "wake-up p50/p90/p99 ms", "claim p50/p99 ms")
	for _, sys := range t.order {
		f := t.best[sys.name]
		ratio := "-"
		if peer := t.best[sys.beside]; peer.Work > 0 {
			ratio = fmt.Sprintf("%.1f", f.Work/peer.Work)
		}
		row(sys.name, rate(f.Insert), cpu(f.InsertCPU, f.InsertServer), rate(f.Work), cpu(f.WorkCPU, f.WorkServer), ratio,
			rate(f.Both), cpu(f.BothCPU, f.BothServer), rate(f.Held), number("%.1f", f.HeldServer),
			fmt.Sprintf("%.2f/%.2f/%.2f", f.Wake[0], f.Wake[1], f.Wake[2]), claimCell(f.Claim))
	}
	_ = out.Flush()
}

func rate(v float64) string { return number("%.0f", v) }

func number(format string, v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

func cpu(own, server float64) string {
	if own == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f+%.1f", own, server)
}

func claimCell(c [2]float64) string {
	if c[1] == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f/%.1f", c[0], c[1])
}
