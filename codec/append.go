package codec

import (
	"encoding/binary"
	"time"

	"github.com/vedettehq/vedette"
)

// appendResult appends r in the order of result.avsc, in Avro's binary encoding: numbers are
// zigzag varints, as in encoding/binary, a text stands behind its length, a choice behind its
// number. The library's encoder needs five times as long; the tests hold this one to it.
func appendResult(b []byte, r *vedette.Result) []byte {
	b = append(b, r.ID[:]...)
	b = appendText(b, string(r.Monitor))
	b = binary.AppendVarint(b, r.Revision)
	b = appendText(b, r.Region)
	b = binary.AppendVarint(b, r.Token)
	b = appendTime(b, r.DueAt)
	b = binary.AppendVarint(b, r.StartedAt.UnixMicro())
	b = appendText(b, string(r.State))
	b = binary.AppendVarint(b, int64(r.Code))
	b = appendPhases(b, &r.Phases)
	b = appendHops(b, r.Hops)
	b = appendText(b, r.Addr)
	b = appendTime(b, r.CertNotAfter)
	return appendFailure(b, r.Failure)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendVarint(b, int64(len(s))), s...)
}

// Which of null and a value follows.
const (
	isNull  = 0
	isValue = 2 // 1, in zigzag
)

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, isNull)
	}
	return binary.AppendVarint(append(b, isValue), t.UnixMicro())
}

func appendPhases(b []byte, p *vedette.Phases) []byte {
	for _, d := range [...]time.Duration{p.DNS, p.Connect, p.TLS, p.Request, p.TTFB, p.Transfer} {
		b = binary.AppendVarint(b, d.Microseconds())
	}
	return b
}

// appendCount begins a list or a map, whose end is a count of 0.
func appendCount(b []byte, n int) []byte {
	if n == 0 {
		return b
	}
	return binary.AppendVarint(b, int64(n))
}

func appendHops(b []byte, hops []vedette.Hop) []byte {
	b = appendCount(b, len(hops))
	for i := range hops {
		h := &hops[i]
		b = appendText(b, h.URL)
		b = binary.AppendVarint(b, int64(h.Code))
		b = appendText(b, h.Addr)
		b = appendPhases(b, &h.Phases)
	}
	return append(b, 0)
}

func appendTexts(b []byte, texts []string) []byte {
	b = appendCount(b, len(texts))
	for _, text := range texts {
		b = appendText(b, text)
	}
	return append(b, 0)
}

func appendFailure(b []byte, f *vedette.Failure) []byte {
	if f == nil {
		return append(b, isNull)
	}
	b = appendText(append(b, isValue), string(f.Kind))
	b = appendText(appendText(b, f.Phase), f.Message)
	e := f.Evidence
	if e == nil {
		return append(b, isNull)
	}
	b = appendText(append(b, isValue), e.Proto)
	b = appendText(b, e.Addr)
	b = appendCount(b, len(e.Header))
	for name, values := range e.Header {
		b = appendTexts(appendText(b, name), values)
	}
	b = appendText(append(b, 0), e.Body)
	truncated := byte(0)
	if e.Truncated {
		truncated = 1
	}
	b = appendTexts(append(b, truncated), e.Redirects)
	return appendCert(b, e.Cert)
}

func appendCert(b []byte, c *vedette.Cert) []byte {
	if c == nil {
		return append(b, isNull)
	}
	b = appendText(append(b, isValue), c.Subject)
	b = appendTexts(appendText(b, c.Issuer), c.Names)
	b = binary.AppendVarint(b, c.NotBefore.UnixMicro())
	b = binary.AppendVarint(b, c.NotAfter.UnixMicro())
	return appendText(b, c.SHA256)
}
