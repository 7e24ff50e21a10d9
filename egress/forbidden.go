// Package egress is the way out: it resolves and dials, through proxies too, keeps out of
// forbidden networks, and knows whom to trust over TLS.
package egress

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Forbidden is a set of networks and hosts that must not be reached. The zero value forbids
// nothing.
type Forbidden struct {
	Nets  []netip.Prefix
	Hosts []string // lower case, without a dot at the end
}

// Metadata returns what nobody may be led to from outside: link-local and unspecified
// addresses and the metadata services of clouds.
func Metadata() Forbidden {
	return Forbidden{
		Nets: []netip.Prefix{
			netip.MustParsePrefix("169.254.0.0/16"),
			netip.MustParsePrefix("fe80::/10"),
			netip.MustParsePrefix("0.0.0.0/8"),
			netip.MustParsePrefix("::/128"),
			netip.MustParsePrefix("100.100.100.200/32"), // Alibaba Cloud
			netip.MustParsePrefix("168.63.129.16/32"),   // Azure
			netip.MustParsePrefix("192.0.0.192/32"),     // Oracle Cloud
			netip.MustParsePrefix("fd00:ec2::/32"),      // AWS
			netip.MustParsePrefix("fd20:ce::254/128"),   // Google Cloud
		},
		Hosts: []string{"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"},
	}
}

// A ForbiddenError says what must not be reached.
type ForbiddenError struct {
	Target string
	Net    netip.Prefix // the network it lies in; zero for a host
}

func (e *ForbiddenError) Error() string {
	if !e.Net.IsValid() {
		return fmt.Sprintf("%s must not be reached", e.Target)
	}
	return fmt.Sprintf("%s lies in the forbidden network %s", e.Target, e.Net)
}

// Addr returns a [*ForbiddenError] if a must not be reached, in whichever notation of IPv6 an
// IPv4 address may hide.
func (f *Forbidden) Addr(a netip.Addr) error {
	if f == nil || len(f.Nets) == 0 {
		return nil
	}
	for _, one := range [...]netip.Addr{a.Unmap().WithZone(""), embedded(a)} {
		for _, n := range f.Nets {
			if one.IsValid() && n.Contains(one) {
				return &ForbiddenError{a.String(), n}
			}
		}
	}
	return nil
}

// embedded returns the IPv4 address in an address of NAT64 (RFC 6052) or 6to4 (RFC 3056), or
// one that is IPv4-compatible (RFC 4291).
func embedded(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return netip.Addr{}
	}
	b := a.As16()
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(a), netip.MustParsePrefix("::/96").Contains(a) && b[12] != 0:
		return netip.AddrFrom4([4]byte(b[12:16]))
	case netip.MustParsePrefix("2002::/16").Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return netip.Addr{}
}

// Host returns a [*ForbiddenError] if name must not even be asked for.
func (f *Forbidden) Host(name string) error {
	if f == nil {
		return nil
	}
	if slices.Contains(f.Hosts, strings.TrimSuffix(strings.ToLower(name), ".")) {
		return &ForbiddenError{Target: name}
	}
	return nil
}

// Plus returns the union of f and networks.
func (f Forbidden) Plus(nets ...netip.Prefix) Forbidden {
	f.Nets = append(slices.Clip(f.Nets), nets...)
	return f
}
