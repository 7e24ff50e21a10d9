package check

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/egress"
	"github.com/vedettehq/vedette/rule"
)

// checkOptions completes p from its options and reports what is wrong with them.
func (c *Checker) checkOptions(p *plan) vedette.Mistakes {
	o := &p.opts
	v := &validator{checker: c}
	v.oneOf("ip", o.IP, "auto", "4", "6", "both")
	p.family = map[string]egress.Family{"4": egress.IP4, "6": egress.IP6}[o.IP]
	v.resolver(o.Resolver)
	v.failsWith(o.FailsWith)
	if o.MaxTime < 0 {
		v.wrong("max_time", "a time is not negative", "")
	}
	v.request(&o.Request)
	p.trust = egress.Trust{
		CAFile: o.TLS.CAFile, CertFile: o.TLS.CertFile, KeyFile: o.TLS.KeyFile, MinVersion: o.TLS.MinVersion,
	}
	v.tls(p.trust)
	return v.mistakes
}

type validator struct {
	checker  *Checker
	mistakes vedette.Mistakes
}

func (v *validator) wrong(path, text, fix string) {
	v.mistakes = append(v.mistakes, vedette.Mistake{Path: path, Text: text, Fix: fix})
}

func (v *validator) oneOf(path, got string, want ...string) {
	if got != "" && !slices.Contains(want, got) {
		v.wrong(path, fmt.Sprintf("%q is not one of %s", got, strings.Join(want, ", ")), "")
	}
}

func (v *validator) resolver(text string) {
	if text == "" {
		return
	}
	if _, err := serverAddr(text); err != nil {
		v.wrong("resolver", err.Error(), "")
	}
}

// serverAddr reads HOST or HOST:PORT of a DNS server.
func serverAddr(text string) (string, error) {
	if a, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return netip.AddrPortFrom(a, 53).String(), nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = text, "53"
	}
	if host == "" || strings.ContainsAny(host, " /") {
		return "", fmt.Errorf("%q is no server: want HOST or HOST:PORT", text)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%q is no port", port)
	}
	return net.JoinHostPort(host, port), nil
}

func (v *validator) failsWith(kinds []vedette.Kind) {
	ours := []vedette.Kind{vedette.KindMissed, vedette.KindInternal, vedette.KindStale}
	var names []string
	for _, k := range vedette.Kinds() {
		if !slices.Contains(ours, k) {
			names = append(names, string(k))
		}
	}
	for i, k := range kinds {
		if !slices.Contains(names, string(k)) {
			v.wrong(fmt.Sprintf("fails_with[%d]", i), fmt.Sprintf("%q is no kind of failure of a site", k), rule.DidYouMean(string(k), names))
		}
	}
}

func (v *validator) request(q *Request) {
	if q.Method != "" && !httpguts.ValidHeaderFieldName(q.Method) {
		v.wrong("request.method", fmt.Sprintf("%q is no method", q.Method), "")
	}
	if strings.EqualFold(q.Method, "CONNECT") {
		v.wrong("request.method", "CONNECT is for proxies", "")
	}
	for name := range q.Headers {
		v.header(name)
	}
	if !q.Body.IsZero() && q.BodyFile != "" {
		v.wrong("request.body_file", "there is a body already", "keep one of body and body_file")
	}
	v.readable("request.body_file", q.BodyFile)
	if q.BasicAuth != (BasicAuth{}) && !q.Bearer.IsZero() {
		v.wrong("request.bearer", "there is basic_auth already", "keep one of bearer and basic_auth")
	}
	if n := q.FollowRedirects; n != nil && (*n < 0 || *n > 100) {
		v.wrong("request.follow_redirects", "want a number from 0 to 100", "")
	}
	v.oneOf("request.http", q.HTTP, "auto", "1", "2")
	if q.ProxyURL.Text != "" && !strings.Contains(q.ProxyURL.Text, "${") {
		if _, err := egress.ParseProxy(q.ProxyURL.Text); err != nil {
			v.wrong("request.proxy_url", err.Error(), "")
		}
	}
	if q.MaxBody < 0 || q.MaxBody > 1<<30 {
		v.wrong("request.max_body", "want at most 1GiB", "")
	}
}

func (v *validator) header(name string) {
	path := "request.headers." + name
	switch strings.ToLower(name) {
	case "content-length", "transfer-encoding", "connection", "trailer", "upgrade":
		v.wrong(path, "this header is set by the checker itself", "")
		return
	}
	if !httpguts.ValidHeaderFieldName(name) {
		v.wrong(path, fmt.Sprintf("%q is no header name", name), "")
	}
}

func (v *validator) readable(path, file string) {
	if file == "" {
		return
	}
	f, err := os.Open(file)
	if err != nil {
		v.wrong(path, "cannot read it: "+err.Error(), "")
		return
	}
	_ = f.Close()
}

func (v *validator) tls(t egress.Trust) {
	before := len(v.mistakes)
	v.readable("tls.ca_file", t.CAFile)
	v.readable("tls.cert_file", t.CertFile)
	v.readable("tls.key_file", t.KeyFile)
	if _, err := t.Version(); err != nil {
		v.wrong("tls.min_version", err.Error(), "")
	}
	if len(v.mistakes) > before {
		return
	}
	if _, err := v.checker.trusts.Get(t); err != nil {
		path := "tls.cert_file"
		if t.CAFile != "" && strings.Contains(err.Error(), t.CAFile) {
			path = "tls.ca_file"
		}
		v.wrong(path, err.Error(), "")
	}
}
