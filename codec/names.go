package codec

import (
	"hash/maphash"
	"sync/atomic"
	"unsafe"
)

const (
	nameSlots = 1 << 16 // a power of two
	maxName   = 64      // bytes; longer texts seldom come again
)

// names keeps one copy of the short texts that come again and again: ids, regions, addresses.
// It forgets some when it has too many. It is safe for concurrent use.
type names struct {
	seed maphash.Seed
	slot []atomic.Pointer[string]
}

func newNames() *names {
	return &names{seed: maphash.MakeSeed(), slot: make([]atomic.Pointer[string], nameSlots)}
}

// get returns a text equal to s that shares no memory with it.
func (n *names) get(s string) string {
	return n.ofBytes(unsafe.Slice(unsafe.StringData(s), len(s))) // it reads them only
}

// ofBytes is get for a text that is still bytes.
func (n *names) ofBytes(s []byte) string {
	if len(s) == 0 || len(s) > maxName {
		return string(s)
	}
	h := maphash.Bytes(n.seed, s)
	first := &n.slot[h%nameSlots]
	second := &n.slot[h%nameSlots^1]
	kept := first.Load()
	if kept != nil && *kept == string(s) {
		return *kept
	}
	if other := second.Load(); other != nil && *other == string(s) {
		return *other
	}
	own := string(s)
	if kept != nil && h>>63 == 1 {
		first = second
	}
	first.Store(&own)
	return own
}
