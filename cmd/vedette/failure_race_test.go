//go:build race

package main

// raced tells that the race detector makes everything slower and larger.
const raced = true
