// Package check looks at a site once and says what it saw. [Checker.Compile] turns a monitor
// into a check, or reports all its mistakes; [Look] does it in one call.
//
// A look goes through phases on one clock, so that every instant of it belongs to one of them:
// resolve, connect, TLS, request, first byte, transfer. HTTP/1.1 is spoken by the package
// itself over a connection of its own: one goroutine, pooled buffers, deadlines on the
// connection. What the site must be like is said in expressions of package rule, the
// shorthands among the options included ([Expand]).
//
// The kinds of check are listed in kinds.go, one file each. Their options are [Options].
//
// Nothing that a server does makes a look last longer than its timeout or hold more than its
// bounds: 64 KiB of headers, max_body of decoded body. Failures that are our own, as a lack of
// descriptors, make the state unknown and never down.
package check
