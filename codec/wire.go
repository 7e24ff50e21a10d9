package codec

import (
	"strings"
	"time"

	"github.com/vedettehq/vedette"
)

// A wire is what a Result is decoded into: result.avsc, its times and phases in microseconds.
type wire struct {
	ID           [16]byte     `avro:"id"`
	Monitor      string       `avro:"monitor"`
	Revision     int64        `avro:"revision"`
	Region       string       `avro:"region"`
	Token        int64        `avro:"token"`
	DueAt        *int64       `avro:"due_at"`
	StartedAt    int64        `avro:"started_at"`
	State        string       `avro:"state"`
	Code         int          `avro:"code"`
	Phases       wirePhases   `avro:"phases"`
	Hops         []wireHop    `avro:"hops"`
	Addr         string       `avro:"addr"`
	CertNotAfter *int64       `avro:"cert_not_after"`
	Failure      *wireFailure `avro:"failure"`

	due, cert int64 // what DueAt and CertNotAfter point to, so that they need no allocation
}

// blank makes w ready to be decoded into.
func (w *wire) blank() {
	*w = wire{Hops: []wireHop{}}
	w.DueAt, w.CertNotAfter = &w.due, &w.cert
}

type wirePhases struct {
	DNS      int64 `avro:"dns"`
	Connect  int64 `avro:"connect"`
	TLS      int64 `avro:"tls"`
	Request  int64 `avro:"request"`
	TTFB     int64 `avro:"ttfb"`
	Transfer int64 `avro:"transfer"`
}

type wireHop struct {
	URL    string     `avro:"url"`
	Code   int        `avro:"code"`
	Addr   string     `avro:"addr"`
	Phases wirePhases `avro:"phases"`
}

type wireFailure struct {
	Kind     string        `avro:"kind"`
	Phase    string        `avro:"phase"`
	Message  string        `avro:"message"`
	Evidence *wireEvidence `avro:"evidence"`
}

type wireEvidence struct {
	Proto     string              `avro:"proto"`
	Addr      string              `avro:"addr"`
	Header    map[string][]string `avro:"header"`
	Body      string              `avro:"body"`
	Truncated bool                `avro:"truncated"`
	Redirects []string            `avro:"redirects"`
	Cert      *wireCert           `avro:"cert"`
}

type wireCert struct {
	Subject   string   `avro:"subject"`
	Issuer    string   `avro:"issuer"`
	Names     []string `avro:"names"`
	NotBefore int64    `avro:"not_before"`
	NotAfter  int64    `avro:"not_after"`
	SHA256    string   `avro:"sha256"`
}

// result sets r to w and copies its texts. Numbers that no Result can hold become such that
// check calls them invalid.
func (w *wire) result(r *vedette.Result, names *names) {
	*r = vedette.Result{
		ID: w.ID, Monitor: vedette.MonitorID(names.get(w.Monitor)), Revision: w.Revision,
		Region: names.get(w.Region), Token: w.Token,
		DueAt: timeOf(w.DueAt), StartedAt: time.UnixMicro(w.StartedAt).UTC(), State: stateOf(w.State),
		Code: w.Code, Phases: w.Phases.phases(), Addr: names.get(w.Addr), CertNotAfter: timeOf(w.CertNotAfter),
	}
	if len(w.Hops) > 0 {
		r.Hops = make([]vedette.Hop, len(w.Hops))
	}
	for i := range w.Hops {
		h := &w.Hops[i]
		r.Hops[i] = vedette.Hop{URL: names.get(h.URL), Code: h.Code, Addr: names.get(h.Addr), Phases: h.Phases.phases()}
	}
	if f := w.Failure; f != nil {
		r.Failure = &vedette.Failure{
			Kind: vedette.Kind(names.get(f.Kind)), Phase: names.get(f.Phase),
			Message: strings.Clone(f.Message), Evidence: f.Evidence.evidence(names),
		}
	}
}

func (w *wireEvidence) evidence(names *names) *vedette.Evidence {
	if w == nil {
		return nil
	}
	e := &vedette.Evidence{
		Proto: names.get(w.Proto), Addr: names.get(w.Addr), Body: strings.Clone(w.Body),
		Truncated: w.Truncated, Redirects: cloneAll(w.Redirects),
	}
	if len(w.Header) > 0 {
		e.Header = make(map[string][]string, len(w.Header))
	}
	for name, values := range w.Header {
		e.Header[names.get(name)] = cloneAll(values)
	}
	if c := w.Cert; c != nil {
		e.Cert = &vedette.Cert{
			Subject: names.get(c.Subject), Issuer: names.get(c.Issuer), Names: cloneAll(c.Names),
			NotBefore: time.UnixMicro(c.NotBefore).UTC(), NotAfter: time.UnixMicro(c.NotAfter).UTC(), SHA256: names.get(c.SHA256),
		}
	}
	return e
}

func cloneAll(texts []string) []string {
	if len(texts) == 0 {
		return nil
	}
	own := make([]string, len(texts))
	for i, text := range texts {
		own[i] = strings.Clone(text)
	}
	return own
}

func (p *wirePhases) phases() vedette.Phases {
	return vedette.Phases{
		DNS: spanOf(p.DNS), Connect: spanOf(p.Connect), TLS: spanOf(p.TLS),
		Request: spanOf(p.Request), TTFB: spanOf(p.TTFB), Transfer: spanOf(p.Transfer),
	}
}

// spanOf keeps a number of microseconds from overflowing.
func spanOf(us int64) time.Duration {
	if us < 0 || us > maxPhase.Microseconds() {
		return -1
	}
	return time.Duration(us) * time.Microsecond
}

func stateOf(s string) vedette.State {
	for _, known := range states {
		if s == string(known) {
			return known
		}
	}
	return vedette.State(strings.Clone(s))
}

func timeOf(us *int64) time.Time {
	if us == nil {
		return time.Time{}
	}
	return time.UnixMicro(*us).UTC()
}
