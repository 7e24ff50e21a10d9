package vedette

import (
	"context"
	"time"
)

// A State says how a site does, either by one look (up, degraded, down, unknown) or by the
// verdict over many (all of them).
type State string

// The states, in the order of how well things are known to be.
const (
	Up          State = "up"
	Degraded    State = "degraded" // up, but a warning holds
	Down        State = "down"
	Unknown     State = "unknown"     // we could not look, or nobody has yet
	Maintenance State = "maintenance" // planned work: nobody is told
	Paused      State = "paused"      // not looked at
)

// A Kind is a class of failure, from a closed list.
type Kind string

// The kinds of failure.
const (
	KindDNS         Kind = "dns"         // the name does not resolve
	KindRefused     Kind = "refused"     // nobody listens there
	KindUnreachable Kind = "unreachable" // no route, or the network says no
	KindReset       Kind = "reset"       // the connection was cut
	KindTLS         Kind = "tls"         // the handshake failed
	KindCertificate Kind = "certificate" // the handshake works, the certificate does not
	KindTimeout     Kind = "timeout"     // no end within the time-out
	KindRedirect    Kind = "redirect"    // too many, a loop, or one that may not be followed
	KindProtocol    Kind = "protocol"    // the answer is not what the protocol allows
	KindTruncated   Kind = "truncated"   // the answer ends before its stated end
	KindStatus      Kind = "status"      // the status code is not a wanted one
	KindContent     Kind = "content"     // the body is not a wanted one
	KindExpectation Kind = "expectation" // an expectation is false or cannot be told
	KindMissed      Kind = "missed"      // the look could not be made in time, by our own fault
	KindForbidden   Kind = "forbidden"   // the address is one that must not be reached
	KindInternal    Kind = "internal"    // our own fault
	KindStale       Kind = "stale"       // no look for too long
)

// Kinds lists all kinds of failure.
func Kinds() []Kind {
	return []Kind{
		KindDNS, KindRefused, KindUnreachable, KindReset, KindTLS, KindCertificate, KindTimeout,
		KindRedirect, KindProtocol, KindTruncated, KindStatus, KindContent, KindExpectation,
		KindMissed, KindForbidden, KindInternal, KindStale,
	}
}

// Phases says where the time of a look went, on the monotonic clock. They are disjoint and
// complete: they add up to Total. Over redirects each is the sum of the hops'.
type Phases struct {
	DNS      time.Duration `json:"dns"`
	Connect  time.Duration `json:"connect"`
	TLS      time.Duration `json:"tls"`
	Request  time.Duration `json:"request"`  // writing the request
	TTFB     time.Duration `json:"ttfb"`     // waiting for the first byte of the answer
	Transfer time.Duration `json:"transfer"` // from there to the end
}

// Total is the time of the whole look.
func (p Phases) Total() time.Duration {
	return p.DNS + p.Connect + p.TLS + p.Request + p.TTFB + p.Transfer
}

// Add returns the sums of p and q, phase by phase.
func (p Phases) Add(q Phases) Phases {
	return Phases{
		p.DNS + q.DNS, p.Connect + q.Connect, p.TLS + q.TLS,
		p.Request + q.Request, p.TTFB + q.TTFB, p.Transfer + q.Transfer,
	}
}

// A Hop is one request on the way to the final response.
type Hop struct {
	URL    string `json:"url"`
	Code   int    `json:"code"`
	Addr   string `json:"addr,omitempty"` // the address that answered
	Phases Phases `json:"phases"`
}

// A Result is one look: what it saw, not yet what is so. Its ID and StartedAt never change, so
// sending it again is harmless.
type Result struct {
	ID      ID        `json:"id"`
	Monitor MonitorID `json:"monitor"`
	// Revision is the Version of the Monitor that was looked at.
	Revision int64  `json:"revision"`
	Region   string `json:"region,omitempty"`
	// Token is that of the shard's lease: it orders this look's watcher against others.
	Token int64 `json:"token"`
	// DueAt is when the look should have begun; StartedAt when it did, by the store's
	// clock, to the microsecond: the time of ID.
	DueAt     time.Time `json:"due_at"`
	StartedAt time.Time `json:"started_at"`
	State     State     `json:"state"`
	Code      int       `json:"code,omitempty"` // HTTP status or DNS rcode
	Phases    Phases    `json:"phases"`
	// Hops is set where there were redirects, the final request included.
	Hops []Hop  `json:"hops,omitempty"`
	Addr string `json:"addr,omitempty"` // the address that answered, not kept
	// CertNotAfter is when the certificate chain ends, where there is one.
	CertNotAfter time.Time `json:"cert_not_after,omitzero"`
	Failure      *Failure  `json:"failure,omitempty"` // nil if and only if State is up

	// Seq counts the results that advanced the monitor's Status; 0 is one that came late.
	// It and Maintenance are set by the fold, not by the look.
	Seq         int64 `json:"seq,omitempty"`
	Maintenance bool  `json:"maintenance,omitempty"`
}

// A Failure says what is wrong and shows it.
type Failure struct {
	Kind     Kind      `json:"kind"`
	Phase    string    `json:"phase,omitempty"` // dns, connect, tls, request, ttfb, transfer; "" after them
	Message  string    `json:"message"`
	Evidence *Evidence `json:"evidence,omitempty"`
}

// Evidence is what the site showed when a look failed.
type Evidence struct {
	Proto     string              `json:"proto,omitempty"`
	Addr      string              `json:"addr,omitempty"`
	Header    map[string][]string `json:"header,omitempty"`
	Body      string              `json:"body,omitempty"` // its first KiB; bytes that are not UTF-8 are replaced
	Truncated bool                `json:"truncated,omitempty"`
	Redirects []string            `json:"redirects,omitempty"`
	Cert      *Cert               `json:"cert,omitempty"`
}

// Cert describes the certificate that a server showed.
type Cert struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Names     []string  `json:"names,omitempty"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	SHA256    string    `json:"sha256"`
}

// A Checker turns a Monitor into a Check, or reports all its mistakes at once as [Mistakes]
// whose paths are keys of the monitor. It is safe for concurrent use.
type Checker interface {
	Compile(m Monitor) (Check, error)
}

// A Check looks once, until ctx ends at the latest, and fills what it saw into the Result:
// State, Code, Phases, Hops, Addr, CertNotAfter and Failure. Who looks fills in the rest. What
// went wrong is in the Result, our own faults included; a Check does not panic. One Check must
// not run twice at once.
type Check func(ctx context.Context) Result
