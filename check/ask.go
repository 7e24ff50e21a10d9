package check

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/egress"
)

// An ask is one HTTP request.
type ask struct {
	to     target
	method string
	host   string // of the Host header, if it is not that of the URL
	header []field
	body   string
	proxy  *egress.Proxy
	deny   *egress.Forbidden
}

// A field is one header of a request.
type field struct {
	name, value string
	secret      bool // stays with the host that it is for
}

// viaProxy reports whether the proxy gets the request itself, and no tunnel.
func (q *ask) viaProxy() bool {
	return q.proxy != nil && q.proxy.Scheme != "socks5" && q.to.scheme == "http"
}

// has reports whether q sets a header.
func (q *ask) has(name string) bool {
	return slices.ContainsFunc(q.header, func(f field) bool { return strings.EqualFold(f.name, name) })
}

func (q *ask) set(name, value string, secret bool) {
	q.header = append(q.header, field{name, value, secret})
}

// firstAsk makes the request that the options describe.
func (r *run) firstAsk() (*ask, error) {
	o := &r.plan.opts.Request
	q := &r.first
	*q = ask{to: r.probe.to, deny: r.probe.deny, header: q.header[:0]}
	if err := r.fill(q, o); err != nil {
		return nil, r.failf(vedette.KindInternal, "request: %v", err)
	}
	q.method = o.Method
	if q.method == "" {
		q.method = http.MethodGet
		if q.body != "" {
			q.method = http.MethodPost
		}
	}
	return q, nil
}

func (r *run) fill(q *ask, o *Request) (err error) {
	for _, name := range sorted(o.Headers) {
		if err := r.fillHeader(q, name, o.Headers[name]); err != nil {
			return err
		}
	}
	if q.body, err = r.secrets.value(o.Body); err != nil {
		return err
	}
	if o.BodyFile != "" {
		if q.body, err = r.secrets.read(o.BodyFile); err != nil {
			return err
		}
	}
	if err := r.fillAuth(q, o); err != nil || o.ProxyURL.IsZero() {
		return err
	}
	text, err := r.secrets.value(o.ProxyURL)
	if err != nil || text == "" {
		return err
	}
	q.proxy, err = egress.ParseProxy(text)
	return err
}

// sorted returns the keys of m in order, without a cost where there are none.
func sorted(m map[string]Secret) []string {
	if len(m) == 0 {
		return nil
	}
	return slices.Sorted(maps.Keys(m))
}

func (r *run) fillHeader(q *ask, name string, s Secret) error {
	secret := isSecretHeader(name) || s.File != "" || strings.Contains(s.Text, "${")
	read := r.secrets.value
	if secret {
		read = r.secret
	}
	value, err := read(s)
	switch {
	case err != nil:
		return err
	case !httpguts.ValidHeaderFieldValue(value):
		return fmt.Errorf("the value of header %s holds a line break or control character", name)
	case strings.EqualFold(name, "Host"):
		q.host = value
	default:
		q.set(name, value, secret)
	}
	return nil
}

func (r *run) fillAuth(q *ask, o *Request) error {
	switch {
	case !o.Bearer.IsZero():
		token, err := r.secret(o.Bearer)
		if err != nil {
			return err
		}
		if !httpguts.ValidHeaderFieldValue(token) {
			return fmt.Errorf("the bearer token holds a line break or control character")
		}
		q.set("Authorization", "Bearer "+token, true)
	case o.BasicAuth != (BasicAuth{}):
		password, err := r.secret(o.BasicAuth.Password)
		if err != nil {
			return err
		}
		r.basicAuth(q, o.BasicAuth.Username, password)
	case q.to.user != nil && !q.has("Authorization"):
		password, _ := q.to.user.Password()
		r.basicAuth(q, q.to.user.Username(), password)
	}
	return nil
}

func (r *run) basicAuth(q *ask, user, password string) {
	value := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	r.hidden = append(r.hidden, value)
	q.set("Authorization", "Basic "+value, true)
}

// append writes q in HTTP/1.1.
func (q *ask) append(b []byte, agent string, keep bool) []byte {
	b = append(b, q.method...)
	b = append(b, ' ')
	if q.viaProxy() {
		b = append(b, "http://"...)
		b = append(b, q.to.hostport...)
	}
	b = append(b, q.to.uri...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, cmp.Or(q.host, q.to.hostport)...)
	b = append(b, "\r\n"...)
	if !q.has("User-Agent") {
		b = appendField(b, "User-Agent", agent)
	}
	if !q.has("Accept-Encoding") {
		b = appendField(b, "Accept-Encoding", "gzip")
	}
	if !keep {
		b = appendField(b, "Connection", "close")
	}
	if q.viaProxy() && q.proxy.Auth() != "" {
		b = appendField(b, "Proxy-Authorization", q.proxy.Auth())
	}
	for _, f := range q.header {
		b = appendField(b, f.name, f.value)
	}
	if q.body != "" || q.method == http.MethodPost || q.method == http.MethodPut || q.method == http.MethodPatch {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(q.body)), 10)
		b = append(b, "\r\n"...)
	}
	b = append(b, "\r\n"...)
	return append(b, q.body...)
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}
