package check

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"

	"github.com/vedettehq/vedette"
)

// follow returns the request that a redirect leads to, or nil if the answer to q is final.
func (r *run) follow(q *ask) (*ask, error) {
	limit := r.plan.redirects()
	location := ""
	if limit > 0 && isRedirect(r.code) {
		location = r.head.Get("Location")
	}
	if location == "" {
		return nil, nil
	}
	to, base, err := r.resolveLocation(q, location)
	if err != nil {
		return nil, err
	}
	r.storeCookies(base)
	r.closeHop(q.to.String())
	if len(r.hops) > limit {
		return nil, r.redirectFault("more than %d redirects: %s", limit, r.chain(to))
	}
	next := r.redirected(q, to)
	mark := next.method + " " + to.String() + " " + r.cookies(to)
	if len(r.visited) == 0 {
		r.visited = append(r.visited, q.method+" "+q.to.String()+" ")
	}
	if slices.Contains(r.visited, mark) {
		return nil, r.redirectFault("redirects go round in a circle: %s", r.chain(to))
	}
	r.visited = append(r.visited, mark)
	return next, nil
}

func isRedirect(code int) bool {
	switch code {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

func (r *run) redirectFault(format string, args ...any) error {
	f := r.failf(vedette.KindRedirect, format, args...)
	f.phase = after
	return f
}

// chain shows the redirects so far, and where the last one leads.
func (r *run) chain(to target) string {
	urls := make([]string, 0, len(r.hops)+1)
	for _, h := range r.hops {
		urls = append(urls, h.URL)
	}
	urls = append(urls, to.String())
	if len(urls) > 6 {
		urls = append(append(slices.Clip(urls[:3]), "…"), urls[len(urls)-2:]...)
	}
	return strings.Join(urls, " → ")
}

func (r *run) resolveLocation(q *ask, location string) (to target, base *url.URL, err error) {
	base, err = url.Parse(q.to.String())
	if err != nil {
		return to, nil, err
	}
	u, err := base.Parse(location)
	if err != nil {
		return to, base, r.redirectFault("redirect to %q, which is no URL", location)
	}
	u.Fragment = ""
	ports := map[string]uint16{"http": 80, "https": 443}
	port, ok := ports[u.Scheme]
	if !ok {
		return to, base, r.redirectFault("redirect to %s, which may not be followed", u.Redacted())
	}
	if to, err = newTarget(u, port); err != nil {
		return to, base, r.redirectFault("redirect to %q: %v", location, err)
	}
	return to, base, nil
}

// closeHop books the request that was answered by a redirect.
func (r *run) closeHop(url string) {
	r.clock.enter(inDNS)
	r.hangUp()
	r.addHop(url)
}

// closeHops books what came after the last redirect, so that the hops add up to the look.
func (r *run) closeHops() {
	switch {
	case len(r.hops) == 0:
	case r.at != nil:
		r.addHop(r.at.to.String())
	default:
		last := &r.hops[len(r.hops)-1].Phases
		*last = last.Add(since(r.clock.phases(), r.booked))
	}
}

// addHop appends the request whose phases were booked last.
func (r *run) addHop(url string) {
	sum := r.clock.phases()
	r.at = nil
	r.hops = append(r.hops, vedette.Hop{URL: url, Code: r.code, Addr: r.addrText(), Phases: since(sum, r.booked)})
	r.booked = sum
}

// redirected returns q as browsers change it for a redirect to another place. What is secret
// stays with the host that it was for.
func (r *run) redirected(q *ask, to target) *ask {
	next := &ask{to: to, method: q.method, body: q.body, proxy: q.proxy, deny: r.strange}
	post := r.code != http.StatusSeeOther && q.method == http.MethodPost
	if r.code == http.StatusSeeOther && q.method != http.MethodHead ||
		post && (r.code == http.StatusMovedPermanently || r.code == http.StatusFound) {
		next.method, next.body = http.MethodGet, ""
	}
	same := sameHost(q.to, to)
	if same {
		next.host = q.host
	}
	for _, f := range q.header {
		bodily := strings.HasPrefix(strings.ToLower(f.name), "content-")
		if f.secret && !same || bodily && next.body == "" || strings.EqualFold(f.name, "Cookie") && r.jar != nil {
			continue
		}
		next.header = append(next.header, f)
	}
	if c := r.cookies(to); c != "" {
		next.set("Cookie", c, true)
	}
	return next
}

// sameHost reports whether what was meant for a may go to b: the same host and port, or the
// same host over TLS instead.
func sameHost(a, b target) bool {
	if a.host != b.host {
		return false
	}
	return a.scheme == b.scheme && a.port == b.port || a.scheme == "http" && b.scheme == "https" && a.usual && b.usual
}

// storeCookies keeps the cookies of an answer for the rest of this look.
func (r *run) storeCookies(from *url.URL) {
	set := (&http.Response{Header: r.head}).Cookies()
	if len(set) == 0 {
		return
	}
	if r.jar == nil {
		r.jar, _ = cookiejar.New(nil) // without options there is no error
	}
	r.jar.SetCookies(from, set)
}

// cookies returns the value of the Cookie header for a request to to.
func (r *run) cookies(to target) string {
	if r.jar == nil {
		return ""
	}
	u, err := url.Parse(to.String())
	if err != nil {
		return ""
	}
	var all []string
	for _, c := range r.jar.Cookies(u) {
		all = append(all, c.Name+"="+c.Value)
	}
	return strings.Join(all, "; ")
}
