package check

import (
	"slices"
	"strings"
)

// A kind is a kind of check, chosen by the scheme of the URL.
type kind struct {
	scheme string
	port   uint16   // by default; 0 means that the URL must say it
	knows  []string // names in expressions, beside those that all kinds know
	keys   []string // options, beside those that all kinds have
	// path says whether the URL has anything behind the port.
	path bool
	// check adds mistakes that lie in the URL and options together; may be nil.
	check func(*compiler)
	// probe looks at the site. It leaves what it saw in the run, and returns a *fault.
	probe func(*run) error
}

func (k *kind) hasStatus() bool { return slices.Contains(k.knows, "status") }
func (k *kind) hasTLS() bool    { return slices.Contains(k.knows, "cert") }

// kinds returns all kinds of check. A new one is a file and a line here.
func kinds() []*kind {
	return []*kind{
		httpKind(),
		httpsKind(),
		tcpKind(),
		tlsKind(),
		dnsKind(),
	}
}

// keysOfAll are the options that every kind of check has.
func keysOfAll() []string {
	return []string{"max_time", "expect", "warn", "fails_with", "ip", "resolver"}
}

// Fits reports whether key, one of [Options], says anything of a look at url. A URL that names
// no kind of check fits every key: what is wrong then is the URL.
func Fits(url, key string) bool {
	scheme, _, _ := strings.Cut(url, "://")
	for _, k := range kinds() {
		if strings.EqualFold(k.scheme, scheme) {
			return slices.Contains(keysOfAll(), key) || slices.Contains(k.keys, key)
		}
	}
	return true
}

// schemes lists the kinds' schemes.
func schemes(all []*kind) string {
	names := make([]string, len(all))
	for i, k := range all {
		names[i] = k.scheme
	}
	return strings.Join(names, ", ")
}
