package check

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/egress"
)

// A probe is the check of one monitor.
type probe struct {
	*Checker
	plan    *plan
	to      target
	family  egress.Family
	deny    *egress.Forbidden
	name    string
	group   string
	labels  map[string]string
	timeout time.Duration

	kept *kept // the connection of the last look, with request.reuse
	// addr and addrText are those of the last look: mostly the next has the same.
	addr     netip.AddrPort
	addrText string
}

// A run is one look under way. Runs are pooled: a site that is up costs little memory.
type run struct {
	*Checker
	probe    *probe
	plan     *plan
	ctx      context.Context
	deadline time.Time
	clock    clock
	facts    facts

	host string // being dialled
	addr netip.AddrPort
	conn net.Conn
	stop func() bool // ends the watch for cancellation on conn

	code        int
	proto       string
	head        http.Header
	hops        []vedette.Hop
	booked      vedette.Phases // of the hops
	hidden      []string       // values that must not be shown
	peer        *x509.Certificate
	certEnds    time.Time
	body        []byte // all of it where it is needed, else its first KiB
	size        int
	truncated   bool
	parsed      bool
	document    any
	documentErr error

	out     []byte // what is sent
	scratch []byte
	wire    wire
	one     [1]netip.Addr

	first   ask // the first request
	at      *ask
	reused  bool // the connection is that of the last look
	h2conn  *http.ClientConn
	jar     http.CookieJar
	visited []string // requests so far, with their cookies
}

func newRun(c *Checker) *run {
	r := &run{Checker: c}
	r.bind()
	return r
}

// look looks once.
func (p *probe) look(ctx context.Context) vedette.Result {
	r := p.runs.Get().(*run)
	r.begin(ctx, p)
	result := r.conclude(r.attempt())
	r.end()
	return result
}

func (r *run) begin(ctx context.Context, p *probe) {
	r.probe, r.plan, r.ctx = p, p.plan, ctx
	r.host = p.to.host
	r.clock.start()
	r.deadline = r.clock.begun.Add(p.timeout)
	if at, ok := ctx.Deadline(); ok && at.Before(r.deadline) {
		r.deadline = at
	}
}

// attempt runs the probe of this kind of check; a panic in it is our fault, not the site's.
func (r *run) attempt() (err error) {
	defer func() {
		if v := recover(); v != nil {
			r.log.Error("check panicked", "monitor", r.probe.name, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = r.failf(vedette.KindInternal, "the check panicked: %v", v)
		}
	}()
	if err := r.ctx.Err(); err != nil {
		return r.failf(vedette.KindInternal, "cancelled before it began: %v", err)
	}
	return r.plan.kind.probe(r)
}

// end gives everything back.
func (r *run) end() {
	r.hangUp()
	f := facts{Header: r.facts.Header, Headers: r.facts.Headers, JSON: r.facts.JSON}
	*r = run{
		Checker: r.Checker, facts: f, body: smallOrNil(r.body), out: smallOrNil(r.out),
		scratch: r.scratch, wire: wire{br: r.wire.br}, first: ask{header: clearFields(r.first.header)},
	}
	r.runs.Put(r)
}

func clearFields(f []field) []field {
	clear(f)
	return f[:0]
}

// smallOrNil keeps a buffer for the next run unless it has grown large.
func smallOrNil(b []byte) []byte {
	if cap(b) > 64<<10 {
		return nil
	}
	return b[:0]
}

// conclude makes the Result of a look that ended with err.
func (r *run) conclude(err error) vedette.Result {
	var f *fault
	if err != nil {
		f = r.fault(err)
	}
	r.clock.enter(after)
	r.closeHops()
	result := vedette.Result{
		State: vedette.Up, Code: r.code, Phases: r.clock.phases(), Hops: r.hops,
		Addr: r.addrText(), CertNotAfter: r.certEnds,
	}
	r.collect()
	if f == nil {
		f = r.unmet(r.plan.wants)
	}
	closed := len(r.plan.opts.FailsWith) > 0
	if closed {
		f = r.mustFail(f)
	}
	switch {
	case f == nil && !closed:
		if f = r.unmet(r.plan.warns); f != nil {
			result.State = vedette.Degraded
		}
	case f != nil && f.ours():
		result.State = vedette.Unknown
	case f != nil:
		result.State = vedette.Down
	}
	if f != nil {
		result.Failure = r.failure(f)
	}
	return result
}

// unmet returns the fault of the first want that does not hold.
func (r *run) unmet(wants []want) *fault {
	for i := range wants {
		w := &wants[i]
		ok, err := w.rule.Eval(&r.facts)
		switch {
		case err != nil:
			f := notTold(err)
			return &fault{f.kind, after, fmt.Sprintf("%s cannot be told: %s", w.That, f.text)}
		case !ok:
			return &fault{w.Kind, after, r.unmetText(w)}
		}
	}
	return nil
}

func (r *run) unmetText(w *want) string {
	switch w.Key {
	case "status":
		return fmt.Sprintf("status is %d, want %s", r.code, w.want)
	case "rcode":
		return fmt.Sprintf("rcode is %s, want %s", r.facts.DNS.Rcode, w.want)
	}
	r.hideCookies()
	text := w.Say
	if text == "" {
		text = w.That + " is false"
	}
	if values := w.rule.Why(&r.facts, r.mask); values != "" {
		text += ": " + values
	}
	if r.truncated && w.rule.Uses("body") {
		text += fmt.Sprintf(" (only the first %s was read)", Size(r.plan.maxBody()))
	}
	return text
}

// mustFail turns the outcome round for a site that must be closed.
func (r *run) mustFail(f *fault) *fault {
	kinds := make([]string, len(r.plan.opts.FailsWith))
	for i, k := range r.plan.opts.FailsWith {
		kinds[i] = string(k)
		if f != nil && f.kind == k {
			return nil
		}
	}
	wanted := strings.Join(kinds, " or ")
	switch {
	case f == nil:
		return &fault{vedette.KindExpectation, after, "the look succeeded, want it to fail with " + wanted}
	case f.ours():
		return f
	}
	return &fault{f.kind, f.phase, f.text + ", want " + wanted}
}

func (r *run) addrText() string {
	if !r.addr.IsValid() {
		return ""
	}
	if p := r.probe; p.addr != r.addr {
		p.addr, p.addrText = r.addr, r.addr.String()
	}
	return r.probe.addrText
}

// both looks over IPv4 and IPv6 at once: degraded when one of them fails, down when both do.
func both(four, six *probe) vedette.Check {
	return func(ctx context.Context) vedette.Result {
		other := make(chan vedette.Result, 1)
		go func() { other <- six.look(ctx) }()
		a := four.look(ctx)
		return merge(a, <-other)
	}
}

// merge returns the Result that speaks for the looks over IPv4 and IPv6: the slower of two
// equally good ones, else the better one with the failure of the worse.
func merge(a, b vedette.Result) vedette.Result {
	if a.Failure != nil {
		a.Failure.Message = "IPv4: " + a.Failure.Message
	}
	if b.Failure != nil {
		b.Failure.Message = "IPv6: " + b.Failure.Message
	}
	if a.State == b.State {
		if b.Phases.Total() > a.Phases.Total() {
			return b
		}
		return a
	}
	good, bad := a, b
	if rank(b.State) < rank(a.State) {
		good, bad = b, a
	}
	if bad.State == vedette.Unknown {
		if good.State == vedette.Down {
			return bad // one of them may work
		}
		return good
	}
	if good.State == vedette.Up || good.State == vedette.Degraded {
		good.State, good.Failure = vedette.Degraded, bad.Failure
	}
	return good
}

func rank(s vedette.State) int {
	switch s {
	case vedette.Up:
		return 0
	case vedette.Degraded:
		return 1
	case vedette.Down:
		return 2
	}
	return 3
}
