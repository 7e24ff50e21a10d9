package check

import (
	"net/http"
	"strings"

	"github.com/vedettehq/vedette"
)

// failure shows a fault with what the site showed.
func (r *run) failure(f *fault) *vedette.Failure {
	return &vedette.Failure{
		Kind: f.kind, Phase: f.phase.String(), Message: short(r.mask(f.text)), Evidence: r.evidence(),
	}
}

// short bounds a message that may quote what the site sent.
func short(text string) string {
	const most = 1000
	if len(text) > most {
		text = text[:most] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// maxEvidence bounds the body that is shown.
const maxEvidence = 1 << 10

// evidence returns what the site showed, or nil if it showed nothing.
func (r *run) evidence() *vedette.Evidence {
	e := &vedette.Evidence{Proto: r.proto, Truncated: r.truncated}
	if r.addr.IsValid() {
		e.Addr = r.addr.String()
	}
	e.Header = r.shownHeader()
	e.Body = r.mask(strings.ToValidUTF8(string(r.body[:min(len(r.body), maxEvidence)]), "\uFFFD"))
	for _, h := range r.hops {
		e.Redirects = append(e.Redirects, h.URL)
	}
	if r.peer != nil {
		e.Cert = describe(r.peer)
	}
	if e.Addr == "" && e.Header == nil && e.Body == "" && e.Redirects == nil && e.Cert == nil {
		return nil
	}
	return e
}

func (r *run) shownHeader() map[string][]string {
	if len(r.head) == 0 {
		return nil
	}
	shown := make(map[string][]string, len(r.head))
	for name, values := range r.head {
		for _, v := range values {
			shown[name] = append(shown[name], r.mask(shownValue(name, v)))
		}
	}
	return shown
}

// shownValue hides the value of a header that lets somebody in.
func shownValue(name, value string) string {
	switch {
	case name == "Set-Cookie":
		cookie, _, _ := strings.Cut(value, "=")
		return cookie + "=" + masked
	case isSecretHeader(name):
		return masked
	}
	return strings.ToValidUTF8(value, "\uFFFD")
}

// isSecretHeader reports whether a header of this name holds a secret by custom.
func isSecretHeader(name string) bool {
	switch name = http.CanonicalHeaderKey(name); name {
	case "Authorization", "Proxy-Authorization", "Cookie":
		return true
	}
	name = strings.ToLower(name)
	for _, word := range []string{"token", "secret", "password", "api-key", "apikey", "session"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// hideCookies adds the cookies that the site set to what is hidden.
func (r *run) hideCookies() {
	for _, c := range (&http.Response{Header: r.head}).Cookies() {
		if len(c.Value) >= 3 {
			r.hidden = append(r.hidden, c.Value)
		}
	}
}

// mask hides the secrets that this look used.
func (r *run) mask(text string) string {
	for _, h := range r.hidden {
		text = strings.ReplaceAll(text, h, masked)
	}
	return text
}
