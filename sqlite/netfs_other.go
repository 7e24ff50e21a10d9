//go:build !linux

package sqlite

// remote does not know network file systems on this system.
func remote(string) (string, error) { return "", nil }
