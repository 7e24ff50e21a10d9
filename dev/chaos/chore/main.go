//go:build unix

// Command chore is what the jobs of the chaos test run: it writes down that it began, sleeps, and
// writes down how it ended.
//
//	chore -log FILE -from 100ms -to 4s -fail 20 -stubborn
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	path := flag.String("log", "", "file to append to")
	from := flag.Duration("from", 0, "how long to sleep at least")
	to := flag.Duration("to", time.Second, "how long to sleep less than")
	fail := flag.Int("fail", 0, "how many runs of 100 fail")
	stubborn := flag.Bool("stubborn", false, "do not end when told to")
	flag.Parse()

	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	log, err := os.OpenFile(*path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	// Each line is one write, so that none is torn by those of others or by our end.
	note := func(what string) {
		fmt.Fprintf(log, "%s %s %s %d %d %d\n", what, os.Getenv("VEDETTE_JOB"), os.Getenv("VEDETTE_ATTEMPT"),
			os.Getpid(), os.Getppid(), time.Now().UnixNano())
	}
	note("began")
	over := time.After(*from + rand.N(max(*to-*from, 1)))
	for ended := false; !ended; {
		select {
		case <-told:
			note("told")
			if !*stubborn {
				os.Exit(1)
			}
		case <-over:
			ended = true
		}
	}
	if rand.IntN(100) < *fail {
		note("failed")
		os.Exit(1)
	}
	note("done")
}
