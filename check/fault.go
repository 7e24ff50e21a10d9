package check

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/egress"
	"github.com/vedettehq/vedette/when"
)

// A fault ends a look that found the site wanting, or that could not be made.
type fault struct {
	kind  vedette.Kind
	phase phase
	text  string
}

func (f *fault) Error() string { return f.text }

// ours reports whether the fault says nothing about the site.
func (f *fault) ours() bool { return f.kind == vedette.KindInternal }

func (r *run) failf(kind vedette.Kind, format string, args ...any) *fault {
	return &fault{kind, r.clock.now, fmt.Sprintf(format, args...)}
}

// fault says what err, met in the present phase, means.
func (r *run) fault(err error) *fault {
	var f *fault
	var forbidden *egress.ForbiddenError
	var proxy *egress.ProxyError
	switch {
	case errors.As(err, &f):
		return f
	case r.cancelled():
		return r.failf(vedette.KindInternal, "cancelled")
	case isExhausted(err):
		return r.failf(vedette.KindInternal, "out of resources here: %v", err)
	case r.late(err):
		return r.timeout()
	case errors.As(err, &forbidden):
		return r.failf(vedette.KindForbidden, "%v", err)
	case errors.As(err, &proxy):
		return r.failf(vedette.KindUnreachable, "%v", err)
	case r.clock.now == inDNS:
		return r.failf(vedette.KindDNS, "%s", r.dnsText(err))
	}
	return r.netFault(err)
}

// cancelled reports whether the caller ended the look, other than by a deadline.
func (r *run) cancelled() bool {
	err := r.ctx.Err()
	return err != nil && !errors.Is(err, context.DeadlineExceeded)
}

func (r *run) netFault(err error) *fault {
	who := r.who()
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return r.failf(vedette.KindRefused, "connection refused by %s", who)
	case is(err, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EHOSTDOWN,
		syscall.EACCES, syscall.EPERM, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT):
		return r.failf(vedette.KindUnreachable, "%s is unreachable: %s", who, innermost(err))
	case is(err, syscall.ETIMEDOUT):
		return r.failf(vedette.KindTimeout, "%s does not answer: %s", who, innermost(err))
	case is(err, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED):
		return r.failf(vedette.KindReset, "connection cut by %s %s", who, r.meanwhile())
	case isTLS(err):
		return r.failf(vedette.KindTLS, "TLS handshake with %s failed: %s", who, tlsText(err))
	case r.clock.now == inTLS && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)):
		return r.failf(vedette.KindTLS, "connection closed by %s during the TLS handshake", who)
	case r.clock.now == inTLS:
		return r.failf(vedette.KindTLS, "TLS handshake with %s failed: %s", who, innermost(err))
	case strings.HasPrefix(err.Error(), "stream error"):
		return r.failf(vedette.KindReset, "stream cut by %s: %v", who, err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return r.failf(vedette.KindTruncated, "the answer of %s ends before its end", who)
	case errors.Is(err, io.EOF):
		return r.failf(vedette.KindReset, "connection closed by %s without an answer", who)
	case r.clock.now == inConnect:
		return r.failf(vedette.KindUnreachable, "%s is unreachable: %s", who, innermost(err))
	}
	return r.failf(vedette.KindProtocol, "%s does not speak the protocol: %s", who, innermost(err))
}

// meanwhile says what a look was doing when it was interrupted.
func (r *run) meanwhile() string {
	if r.clock.now == inTransfer {
		return "during the answer"
	}
	return "while waiting " + r.clock.now.waiting()
}

// who names the other side.
func (r *run) who() string {
	if r.addr.IsValid() {
		return r.addr.String()
	}
	return r.host
}

// late reports whether err came because the time was up.
func (r *run) late(err error) bool {
	return (errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || isTimeout(err)) &&
		time.Until(r.deadline) < 5*time.Millisecond
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

func (r *run) timeout() *fault {
	waited := time.Since(r.clock.last)
	return r.failf(vedette.KindTimeout, "no answer within %s (waited %s %s)",
		when.FormatDuration(r.deadline.Sub(r.clock.begun).Round(time.Millisecond)), brief(waited), r.clock.now.waiting())
}

// brief keeps three digits of d.
func brief(d time.Duration) time.Duration {
	unit := time.Nanosecond
	for unit*1000 <= d {
		unit *= 10
	}
	return d.Round(unit)
}

// isExhausted reports whether err means that this process or host ran out of something. The
// errors of the resolver are text only.
func isExhausted(err error) bool {
	if is(err, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM) {
		return true
	}
	var op *net.OpError
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		// Without a route to the family, the source address is missing; without a free port, it
		// is not.
		return !errors.As(err, &op) || op.Addr == nil || isIP4(op.Addr)
	}
	var d *net.DNSError
	return errors.As(err, &d) && (strings.Contains(d.Err, syscall.EMFILE.Error()) || starved())
}

// starved reports whether no file can be opened just now. A resolver that could open none says
// merely that the name does not exist.
func starved() bool {
	f, err := os.Open(os.DevNull)
	if err != nil {
		return is(err, syscall.EMFILE, syscall.ENFILE)
	}
	_ = f.Close()
	return false
}

func isIP4(a net.Addr) bool {
	ap, err := netip.ParseAddrPort(a.String())
	return err == nil && ap.Addr().Unmap().Is4()
}

func is(err error, targets ...error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}

// innermost returns the text of the error at the end of the chain.
func innermost(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

// dnsText says why a name does not resolve, and which server said so: the resolver of the
// standard library names the system's even where another was asked.
func (r *run) dnsText(err error) string {
	var d *net.DNSError
	if !errors.As(err, &d) {
		return err.Error()
	}
	text := fmt.Sprintf("%s does not resolve: %s", d.Name, d.Err)
	server := d.Server
	if own := r.plan.opts.Resolver; own != "" {
		server, _ = serverAddr(own) // compiled before
	}
	if server != "" {
		text += " (asked " + server + ")"
	}
	return text
}

func isTLS(err error) bool {
	var alert tls.AlertError
	var record tls.RecordHeaderError
	return errors.As(err, &alert) || errors.As(err, &record) || strings.Contains(err.Error(), "tls: ")
}

func tlsText(err error) string {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "it does not speak TLS"
	}
	text := strings.TrimPrefix(innermost(err), "tls: ")
	if text == "no application protocol" {
		return "it speaks no version of HTTP that was asked for, as HTTP/2"
	}
	return text
}
