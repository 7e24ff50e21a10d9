package check

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/vedettehq/vedette/rule"
)

// facts is what expressions are about. Which names a kind of check knows is said by kind.knows.
type facts struct {
	rule.Meter
	Total     time.Duration     `expr:"total"`
	FirstByte time.Duration     `expr:"first_byte"`
	Phases    phaseFacts        `expr:"phases"`
	IP        string            `expr:"ip"`
	Family    int               `expr:"family"`
	Name      string            `expr:"name"`
	Group     string            `expr:"group"`
	Labels    map[string]string `expr:"labels"`

	Status    int    `expr:"status"`
	Proto     string `expr:"proto"`
	URL       string `expr:"url"`
	Redirects int    `expr:"redirects"`
	Body      string `expr:"body"`
	Size      int    `expr:"size"`
	Truncated bool   `expr:"truncated"`

	Header  func(name string) string               `expr:"header"`
	Headers func(name string) []string             `expr:"headers"`
	JSON    func(path string) (value any, e error) `expr:"json"`

	Cert *certFacts `expr:"cert"`
	TLS  *tlsFacts  `expr:"tls"`
	DNS  *dnsFacts  `expr:"dns"`
}

type phaseFacts struct {
	DNS      time.Duration `expr:"dns"`
	Connect  time.Duration `expr:"connect"`
	TLS      time.Duration `expr:"tls"`
	Request  time.Duration `expr:"request"`
	TTFB     time.Duration `expr:"ttfb"`
	Transfer time.Duration `expr:"transfer"`
}

type certFacts struct {
	Days     float64   `expr:"days"`
	LeafDays float64   `expr:"leaf_days"`
	NotAfter time.Time `expr:"not_after"`
	Subject  string    `expr:"subject"`
	Issuer   string    `expr:"issuer"`
	SHA256   string    `expr:"sha256"`
	Names    []string  `expr:"names"`
}

type tlsFacts struct {
	Version string `expr:"version"`
	Cipher  string `expr:"cipher"`
	ALPN    string `expr:"alpn"`
}

type dnsFacts struct {
	Rcode   string        `expr:"rcode"`
	Answers []string      `expr:"answers"`
	TTL     time.Duration `expr:"ttl"`
}

// language returns the language of expectations of one kind of check among all kinds.
func language(k *kind, all []*kind) *rule.Lang {
	elsewhere := map[string]string{}
	for _, other := range all {
		for _, name := range other.knows {
			if slices.Contains(k.knows, name) {
				continue
			}
			if before := elsewhere[name]; before == "" {
				elsewhere[name] = other.scheme
			} else if !strings.Contains(before, other.scheme) || before != other.scheme {
				elsewhere[name] = strings.ReplaceAll(before, " and ", ", ") + " and " + other.scheme
			}
		}
	}
	return rule.New(rule.Config{
		Facts: &facts{}, Elsewhere: elsewhere,
		Args: map[string]func(string) error{"json": checkPath},
	})
}

// bind gives the facts their functions, once for each run that is pooled.
func (r *run) bind() {
	r.facts.Header = func(name string) string { return r.head.Get(name) }
	r.facts.Headers = func(name string) []string {
		return r.head[http.CanonicalHeaderKey(name)]
	}
	r.facts.JSON = r.json
}

// collect fills the facts that every kind of check has.
func (r *run) collect() {
	p := r.clock.phases()
	f := &r.facts
	f.Total, f.Phases = p.Total(), phaseFacts(p)
	f.Name, f.Group, f.Labels = r.probe.name, r.probe.group, r.probe.labels
	if r.addr.IsValid() {
		f.Family = 6
		if r.addr.Addr().Is4() {
			f.Family = 4
		}
		if r.plan.needs("ip") {
			f.IP = r.addr.Addr().String()
		}
	}
	if r.plan.needs("body") {
		f.Body = string(r.body)
	}
	f.Weight = len(r.body)
	f.Size, f.Truncated = r.size, r.truncated
}
