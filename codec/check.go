package codec

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/vedettehq/vedette"
)

// The bounds of what makes sense.
const (
	maxPhase = 365 * 24 * time.Hour
	maxCode  = 65535
	maxID    = 1024 // bytes, of a monitor's id and of a region; databases index them

	// JSON has no times before the year 1 and after the year 9999; these are in Unix seconds.
	minTime, maxTime = -62135596800, 253402300799
)

// states are those that one look may find.
var states = [...]vedette.State{vedette.Up, vedette.Degraded, vedette.Down, vedette.Unknown}

// check says why r makes no sense.
func check(r *vedette.Result) error {
	switch {
	case r.Monitor == "" || r.ID.IsZero():
		return errors.New("no monitor or no id")
	case len(r.Monitor) > maxID || len(r.Region) > maxID:
		return fmt.Errorf("monitor of %d and region of %d bytes, want at most %d", len(r.Monitor), len(r.Region), maxID)
	case !sound(string(r.Monitor)) || !sound(r.Region):
		return fmt.Errorf("monitor %q or region %q holds a NUL or is not UTF-8", r.Monitor, r.Region)
	case r.ID.Time().UnixMicro() != r.StartedAt.UnixMicro():
		return fmt.Errorf("id of %v, started at %v", r.ID.Time().UTC(), r.StartedAt.UTC())
	case !slices.Contains(states[:], r.State):
		return fmt.Errorf("state %.40q", r.State)
	case r.Failure != nil && !slices.Contains(vedette.Kinds(), r.Failure.Kind):
		return fmt.Errorf("kind of failure %.40q", r.Failure.Kind)
	case r.Revision < 0 || r.Token < 0:
		return fmt.Errorf("revision %d, token %d: one is negative", r.Revision, r.Token)
	}
	return errors.Join(checkNumbers(r), checkTexts(r))
}

func checkNumbers(r *vedette.Result) error {
	if r.Code < 0 || r.Code > maxCode {
		return fmt.Errorf("code %d", r.Code)
	}
	for _, t := range [...]time.Time{r.DueAt, r.StartedAt, r.CertNotAfter} {
		if badTime(t) {
			return fmt.Errorf("time %v", t)
		}
	}
	if badPhases(&r.Phases) {
		return fmt.Errorf("phases %v: one is negative or above %v", r.Phases, maxPhase)
	}
	for i := range r.Hops {
		if h := &r.Hops[i]; h.Code < 0 || h.Code > maxCode || badPhases(&h.Phases) {
			return fmt.Errorf("hop %d with code %d and phases %v", i, h.Code, h.Phases)
		}
	}
	if f := r.Failure; f != nil && f.Evidence != nil && f.Evidence.Cert != nil {
		if c := f.Evidence.Cert; badTime(c.NotBefore) || badTime(c.NotAfter) {
			return fmt.Errorf("certificate from %v to %v", c.NotBefore, c.NotAfter)
		}
	}
	return nil
}

func badTime(t time.Time) bool { return t.Unix() < minTime || t.Unix() > maxTime }

func badPhases(p *vedette.Phases) bool {
	for _, d := range [...]time.Duration{p.DNS, p.Connect, p.TLS, p.Request, p.TTFB, p.Transfer} {
		if d < 0 || d > maxPhase {
			return true
		}
	}
	return false
}

func checkTexts(r *vedette.Result) error {
	for text := range texts(r) {
		if !sound(text) {
			return fmt.Errorf("text %.80q holds a NUL or is not UTF-8", text)
		}
	}
	return nil
}

// sound reports whether a database can keep s as text.
func sound(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// texts yields the texts of r that are for people.
func texts(r *vedette.Result) iter.Seq[string] {
	return func(yield func(string) bool) {
		all := func(some ...string) bool {
			return !slices.ContainsFunc(some, func(s string) bool { return !yield(s) })
		}
		if !yield(r.Addr) {
			return
		}
		for i := range r.Hops {
			if !all(r.Hops[i].URL, r.Hops[i].Addr) {
				return
			}
		}
		f := r.Failure
		if f == nil || !all(f.Phase, f.Message) || f.Evidence == nil {
			return
		}
		e := f.Evidence
		if !all(e.Proto, e.Addr, e.Body) || !all(e.Redirects...) {
			return
		}
		for name, values := range e.Header {
			if !yield(name) || !all(values...) {
				return
			}
		}
		if c := e.Cert; c != nil {
			_ = all(c.Subject, c.Issuer, c.SHA256) && all(c.Names...)
		}
	}
}

// clean returns r with its texts for people sound: NULs and what is not UTF-8 become U+FFFD.
// It does not change r.
func clean(r *vedette.Result) *vedette.Result {
	if checkTexts(r) == nil {
		return r
	}
	own := *r
	own.Addr = mend(r.Addr)
	own.Hops = slices.Clone(r.Hops)
	for i := range own.Hops {
		h := &own.Hops[i]
		h.URL, h.Addr = mend(h.URL), mend(h.Addr)
	}
	if r.Failure != nil {
		f := *r.Failure
		f.Phase, f.Message, f.Evidence = mend(f.Phase), mend(f.Message), cleanEvidence(f.Evidence)
		own.Failure = &f
	}
	return &own
}

func cleanEvidence(e *vedette.Evidence) *vedette.Evidence {
	if e == nil {
		return nil
	}
	own := *e
	own.Proto, own.Addr, own.Body, own.Redirects = mend(e.Proto), mend(e.Addr), mend(e.Body), mendAll(e.Redirects)
	own.Header = make(map[string][]string, len(e.Header))
	for name, values := range e.Header {
		name = mend(name)
		own.Header[name] = append(own.Header[name], mendAll(values)...)
	}
	if e.Cert != nil {
		c := *e.Cert
		c.Subject, c.Issuer, c.SHA256, c.Names = mend(c.Subject), mend(c.Issuer), mend(c.SHA256), mendAll(c.Names)
		own.Cert = &c
	}
	return &own
}

func mend(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

func mendAll(texts []string) []string {
	own := make([]string, len(texts))
	for i, text := range texts {
		own[i] = mend(text)
	}
	return own
}
