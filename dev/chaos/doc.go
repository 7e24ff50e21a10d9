// Package chaos holds the test that breaks everything at random: real Kafka, real PostgreSQL, two
// watchers and two recorders, each a process of its own, are killed, stopped, crashed and cut
// off, and at the end every result that was acknowledged must be stored exactly once, with the
// statuses and incidents that follow from them.
//
//	go test ./dev/chaos -run Chaos -rounds 1000
package chaos
