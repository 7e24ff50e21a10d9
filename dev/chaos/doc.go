// Package chaos holds the tests that break everything at random, with real processes and servers:
// they are killed, stopped, crashed and cut off, and at the end what is stored must be right.
//
// TestChaos is about results: two watchers and two recorders, Kafka and PostgreSQL. Every result
// that was acknowledged is stored exactly once, with the statuses and incidents that follow.
//
// TestChaosJobs is about jobs: three schedulers and four workers, with everything in PostgreSQL, in
// Redis, or with jobs in Redis and the rest in PostgreSQL. Every due time is fired once or counted as
// left out, every job ends, none has two owners at once, and the store and the programs that did the
// jobs tell the same.
//
// All tests have servers of their own and mostly wait, so they run at once, as far as -parallel allows:
//
//	go test ./dev/chaos -parallel 4
//	go test ./dev/chaos -run 'Chaos$' -rounds 1000
//	go test ./dev/chaos -run ChaosJobs/apart -rounds 1000
package chaos
