//go:build unix

package watch

import "syscall"

// descriptors is how many files this process may open.
func descriptors() (n uint64, known bool) {
	var r syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r)
	return uint64(r.Cur), err == nil //nolint:unconvert,gosec // its type differs between systems
}
