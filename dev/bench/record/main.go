//go:build unix

// Command record measures the way of results from Kafka into PostgreSQL, exactly once, beside its
// floor: the same rows, copied into the same tables by COPY alone. Both run on the same servers
// in the same run:
//
//	dev/services up postgres kafka
//	env $(dev/services env) go run ./dev/bench/record
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"runtime"
	"strings"
	"time"
)

type options struct {
	rows, sites, partitions, lanes int
	count                          int
	formats                        string
	latency                        time.Duration
	rate                           int
	profile                        string
	skipFloor                      bool
	postgres, kafka                string
}

func main() {
	log.SetFlags(0)
	var o options
	flag.IntVar(&o.rows, "rows", 3_000_000, "results in the topic before recording begins")
	flag.IntVar(&o.sites, "sites", 10_000, "monitors that they are looks at")
	flag.IntVar(&o.partitions, "partitions", 8, "of the topic")
	flag.IntVar(&o.lanes, "lanes", 4, "sessions read side by side, and connections of the floor")
	flag.IntVar(&o.count, "count", 0, "messages in a batch at most; 0 is what `vedette up` takes")
	flag.StringVar(&o.formats, "formats", "avro,json", "how messages are written; json has a third of the rows")
	flag.DurationVar(&o.latency, "latency", 30*time.Second, "how long to measure from publishing to visible; 0 does not")
	flag.IntVar(&o.rate, "rate", 10_000, "results a second while that is measured")
	flag.StringVar(&o.profile, "cpuprofile", "", "file for a CPU profile of recording")
	flag.BoolVar(&o.skipFloor, "skip-floor", false, "measure ours alone")
	flag.Parse()
	o.postgres, o.kafka = os.Getenv("VEDETTE_TEST_POSTGRES"), os.Getenv("VEDETTE_TEST_KAFKA")
	if o.postgres == "" || o.kafka == "" {
		log.Fatal("VEDETTE_TEST_POSTGRES and VEDETTE_TEST_KAFKA are not set: run dev/services up postgres kafka, and this with env $(dev/services env)")
	}
	if err := run(context.Background(), o); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, o options) error {
	fmt.Printf("%d CPUs, load %s, %s; servers on the same machine\n\n", runtime.NumCPU(), load(), runtime.Version())
	for format := range strings.SplitSeq(o.formats, ",") {
		own := o
		if format == "json" {
			own.rows /= 3
		}
		if err := compare(ctx, own, format); err != nil {
			return fmt.Errorf("%s: %w", format, err)
		}
	}
	if o.latency > 0 {
		return latency(ctx, o)
	}
	return nil
}

// compare records what is in a topic, and then copies the rows that came of it into tables anew.
func compare(ctx context.Context, o options, format string) error {
	w, err := newWorld(ctx, o, format)
	if err != nil {
		return err
	}
	defer w.close(ctx)
	bytes, err := w.fill(ctx, o.rows)
	if err != nil {
		return fmt.Errorf("fill the topic: %w", err)
	}
	ours, err := w.record(ctx, o.rows)
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	if err := w.verify(ctx, o.rows); err != nil {
		return err
	}
	fmt.Printf("%-5s %d results of %d bytes, %d sites, %d partitions, %d lanes\n", format, o.rows, bytes/o.rows, o.sites, o.partitions, o.lanes)
	fmt.Printf("      ours   %7.0f rows/s   %.1f s, recorder %.2f us CPU a row, %.0f rows a batch\n",
		ours.rate(o.rows), ours.took.Seconds(), ours.cpu.Seconds()*1e6/float64(o.rows), float64(o.rows)/float64(ours.batches))
	if o.skipFloor {
		return nil
	}
	floor, err := w.copyAgain(ctx, o)
	if err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	fmt.Printf("      floor  %7.0f rows/s   %.1f s, COPY alone, %d connections\n", floor.rate(o.rows), floor.took.Seconds(), o.lanes)
	fmt.Printf("      ratio  %.2f\n\n", ours.rate(o.rows)/floor.rate(o.rows))
	return nil
}

// A pass is what one way of writing all rows took.
type pass struct {
	took, cpu time.Duration
	batches   int64
}

func (p pass) rate(rows int) float64 { return float64(rows) / p.took.Seconds() }

func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(b), " ")
	return first
}
