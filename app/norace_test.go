//go:build !race

package app_test

// slower is by how much the race detector may slow what a test waits for.
const slower = 1
