package check

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/egress"
)

// secure speaks TLS over the present connection, in the phase tls, and verifies the other side
// itself, so that what a bad one shows can be kept.
func (r *run) secure(name string, protocols ...string) error {
	r.clock.enter(inTLS)
	trust, err := r.trusts.Get(r.plan.trust)
	if err != nil {
		return r.failf(vedette.KindInternal, "TLS settings: %v", err)
	}
	if n := r.plan.opts.TLS.ServerName; n != "" {
		name = n
	}
	config := trust.Config.Clone()
	config.ServerName, config.NextProtos = name, protocols
	conn := tls.Client(r.conn, config)
	// The connection has a deadline; a context would cost a goroutine.
	if err := conn.Handshake(); err != nil { //nolint:noctx // see above
		return err
	}
	state := conn.ConnectionState()
	if err := r.verify(&state, trust.Roots, name); err != nil {
		return err
	}
	r.conn = conn
	return nil
}

// secureProxy speaks TLS with a proxy, which must show a certificate that holds.
func (r *run) secureProxy(name string) error {
	r.clock.enter(inTLS)
	conn := tls.Client(r.conn, &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12})
	if err := conn.Handshake(); err != nil { //nolint:noctx // the connection has a deadline
		return &egress.ProxyError{Proxy: name, Text: innermost(err)}
	}
	r.conn = conn
	return nil
}

// verify fills the facts about TLS and reports a certificate that does not hold.
func (r *run) verify(state *tls.ConnectionState, roots *x509.CertPool, name string) error {
	r.facts.TLS = &tlsFacts{
		Version: strings.TrimPrefix(tls.VersionName(state.Version), "TLS "),
		Cipher:  tls.CipherSuiteName(state.CipherSuite),
		ALPN:    state.NegotiatedProtocol,
	}
	certs := state.PeerCertificates
	if len(certs) == 0 {
		return r.failf(vedette.KindCertificate, "%s shows no certificate", r.who())
	}
	now := time.Now()
	ends, err := r.chains.verify(certs, roots, name, now)
	if err != nil {
		ends = earliest(certs)
	}
	r.certFacts(certs[0], ends, now)
	if err != nil && !r.plan.opts.TLS.InsecureSkipVerify {
		return r.failf(vedette.KindCertificate, "%s", certText(err, certs[0], name, now))
	}
	return nil
}

func earliest(certs []*x509.Certificate) time.Time {
	ends := certs[0].NotAfter
	for _, c := range certs {
		if c.NotAfter.Before(ends) {
			ends = c.NotAfter
		}
	}
	return ends
}

func (r *run) certFacts(leaf *x509.Certificate, ends, now time.Time) {
	r.certEnds = ends
	r.peer = leaf
	r.facts.Cert = &certFacts{
		Days:     ends.Sub(now).Hours() / 24,
		LeafDays: leaf.NotAfter.Sub(now).Hours() / 24,
		NotAfter: ends,
	}
	if r.plan.needs("cert") {
		c := describe(leaf)
		f := r.facts.Cert
		f.Subject, f.Issuer, f.SHA256, f.Names = c.Subject, c.Issuer, c.SHA256, c.Names
	}
}

// describe says what a certificate says.
func describe(c *x509.Certificate) *vedette.Cert {
	sum := sha256.Sum256(c.Raw)
	names := c.DNSNames
	for _, ip := range c.IPAddresses {
		names = append(slices.Clip(names), ip.String())
	}
	return &vedette.Cert{
		Subject: c.Subject.String(), Issuer: c.Issuer.String(), Names: names,
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, SHA256: hex.EncodeToString(sum[:]),
	}
}

// certText says why a certificate does not hold, with its dates and names.
func certText(err error, leaf *x509.Certificate, name string, now time.Time) string {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	const day = "2006-01-02 15:04 MST"
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		c := invalid.Cert
		if now.Before(c.NotBefore) {
			return fmt.Sprintf("the certificate of %s is valid from %s only", subject(c), c.NotBefore.UTC().Format(day))
		}
		return fmt.Sprintf("the certificate of %s expired on %s (%.1f days ago)", subject(c), c.NotAfter.UTC().Format(day), now.Sub(c.NotAfter).Hours()/24)
	case errors.As(err, &host):
		names := describe(leaf).Names
		return fmt.Sprintf("the certificate is for %s, not for %s", strings.Join(names[:min(len(names), 10)], ", "), name)
	case errors.As(err, &unknown) && leaf.Issuer.String() == leaf.Subject.String():
		return fmt.Sprintf("the certificate of %s is self-signed", subject(leaf))
	case errors.As(err, &unknown):
		return fmt.Sprintf("the certificate of %s is signed by an unknown authority: %s", subject(leaf), leaf.Issuer)
	}
	return "the certificate does not hold: " + strings.TrimPrefix(err.Error(), "x509: ")
}

func subject(c *x509.Certificate) string {
	if len(c.DNSNames) > 0 {
		return c.DNSNames[0]
	}
	return c.Subject.String()
}

// chains remembers which certificates were verified, since the outcome depends on nothing but
// them, the authorities, the name, and whether they have expired by now.
type chains struct {
	mu   sync.Mutex
	kept map[chainKey]window
}

type chainKey struct {
	certs [sha256.Size]byte
	roots *x509.CertPool
	name  string
}

// A window is when a verified chain is valid.
type window struct{ from, to time.Time }

// maxChains bounds what is remembered; beyond it, all is verified anew.
const maxChains = 8192

// verify returns when the verified chain that lasts longest ends.
func (c *chains) verify(certs []*x509.Certificate, roots *x509.CertPool, name string, now time.Time) (time.Time, error) {
	key := chainKey{digest(certs), roots, name}
	c.mu.Lock()
	known, ok := c.kept[key]
	c.mu.Unlock()
	if ok && now.After(known.from) && now.Before(known.to) {
		return known.to, nil
	}
	between := x509.NewCertPool()
	for _, one := range certs[1:] {
		between.AddCert(one)
	}
	found, err := certs[0].Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: between, CurrentTime: now})
	if err != nil {
		return time.Time{}, err
	}
	best := longest(found)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil || len(c.kept) >= maxChains {
		c.kept = map[chainKey]window{}
	}
	c.kept[key] = best
	return best.to, nil
}

func digest(certs []*x509.Certificate) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, c := range certs {
		h.Write(c.Raw)
	}
	h.Sum(sum[:0])
	return sum
}

func longest(found [][]*x509.Certificate) (best window) {
	for _, chain := range found {
		w := window{chain[0].NotBefore, chain[0].NotAfter}
		for _, c := range chain[1:] {
			if c.NotAfter.Before(w.to) {
				w.to = c.NotAfter
			}
			if c.NotBefore.After(w.from) {
				w.from = c.NotBefore
			}
		}
		if w.to.After(best.to) {
			best = w
		}
	}
	return best
}
