//go:build !race

package schedule_test

// raced tells that the race detector makes everything slower.
const raced = false
