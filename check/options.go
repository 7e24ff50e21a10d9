package check

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/vedettehq/vedette"
)

// Options are the keys of a monitor that say how to look and what to want. A monitor carries
// them as JSON in Probe; package manifest reads them from YAML by the same tags and makes the
// schema of them: json names the key, doc explains it, enum lists what is allowed.
// The zero value is the default.
type Options struct {
	Status      []string          `json:"status,omitempty" doc:"Status codes that mean up: 200, 2xx, 200-299 or any. Default: 200-299 of the final response."`
	Pattern     []string          `json:"pattern,omitempty" doc:"Regular expressions (RE2) that the decoded body must match."`
	NotPattern  []string          `json:"not_pattern,omitempty" doc:"Regular expressions (RE2) that the decoded body must not match."`
	Contains    []string          `json:"contains,omitempty" doc:"Texts that the decoded body must contain."`
	NotContains []string          `json:"not_contains,omitempty" doc:"Texts that the decoded body must not contain."`
	MaxTime     time.Duration     `json:"max_time,omitempty" doc:"Down when the whole look takes longer."`
	CertDays    float64           `json:"cert_days,omitempty" doc:"Down when the certificate ends in fewer days."`
	JSON        map[string]any    `json:"json,omitempty" doc:"Values that JSON paths into the body must have, e.g. {$.status: ok}."`
	Header      map[string]string `json:"header,omitempty" doc:"Values that response headers must have."`
	Rcode       []string          `json:"rcode,omitempty" doc:"DNS response codes that mean up. Default: NOERROR."`
	Expect      []Expectation     `json:"expect,omitempty" doc:"Expressions that must hold, or the site is down."`
	Warn        []Expectation     `json:"warn,omitempty" doc:"Expressions that should hold, or the site is degraded. Default for https and tls: cert.days > 14."`
	FailsWith   []vedette.Kind    `json:"fails_with,omitempty" doc:"For a site that must be closed: up if the look fails with one of these kinds, down otherwise."`

	Request  Request `json:"request,omitzero" doc:"How to ask over HTTP."`
	TLS      TLS     `json:"tls,omitzero" doc:"TLS settings of https and tls."`
	IP       string  `json:"ip,omitempty" enum:"auto,4,6,both" doc:"Address family. both looks over each: degraded when one fails, down when both do. Default: auto."`
	Resolver string  `json:"resolver,omitempty" doc:"DNS server to resolve the host with, HOST or HOST:PORT. Default: the system's."`
	Send     string  `json:"send,omitempty" doc:"What to send over tcp once connected. With it, or with an expectation on body, the answer is read."`
}

// Request says how to ask over HTTP, in Prometheus's names.
type Request struct {
	Method          string            `json:"method,omitempty" doc:"Default: GET, or POST with a body."`
	Headers         map[string]Secret `json:"headers,omitempty" doc:"Request headers; Host sets the host asked for."`
	Body            Secret            `json:"body,omitzero" doc:"Request body."`
	BodyFile        string            `json:"body_file,omitempty" doc:"File with the request body, read again when it changes."`
	BasicAuth       BasicAuth         `json:"basic_auth,omitzero" doc:"User and password."`
	Bearer          Secret            `json:"bearer,omitzero" doc:"Token for an Authorization: Bearer header."`
	FollowRedirects *int              `json:"follow_redirects,omitempty" doc:"How many redirects to follow; 0 follows none. Default: 10."`
	HTTP            string            `json:"http,omitempty" enum:"auto,1,2" doc:"HTTP version; auto lets TLS choose. Default: auto."`
	ProxyURL        Secret            `json:"proxy_url,omitzero" doc:"http, https or socks5 proxy."`
	MaxBody         Size              `json:"max_body,omitempty" doc:"How much of the decoded body to read; the rest is cut off. Default: 1MiB."`
	Reuse           bool              `json:"reuse,omitempty" doc:"Keep the connection between checks. Default: a new one each time, as an outsider meets the site."`
}

// BasicAuth is a user and a password.
type BasicAuth struct {
	Username string `json:"username,omitempty" doc:"User name."`
	Password Secret `json:"password,omitzero" doc:"Password."`
}

// TLS says how to speak TLS and whom to trust.
type TLS struct {
	CAFile             string `json:"ca_file,omitempty" doc:"PEM file with the authorities to trust instead of the system's."`
	CertFile           string `json:"cert_file,omitempty" doc:"PEM file with the client certificate."`
	KeyFile            string `json:"key_file,omitempty" doc:"PEM file with the client key."`
	ServerName         string `json:"server_name,omitempty" doc:"Name to ask for and to verify instead of the URL's host."`
	InsecureSkipVerify bool   `json:"insecure_skip_verify,omitempty" doc:"Accept any certificate."`
	MinVersion         string `json:"min_version,omitempty" enum:"1.0,1.1,1.2,1.3" doc:"Lowest TLS version. Default: 1.2."`
}

// An Expectation is one expression of package rule, with words to say when it is false.
type Expectation struct {
	That string `json:"that" doc:"The expression."`
	Say  string `json:"say,omitempty" doc:"What to say when it is false, before the values."`
}

// UnmarshalText reads a bare expression.
func (e *Expectation) UnmarshalText(text []byte) error {
	*e = Expectation{That: string(text)}
	return nil
}

// UnmarshalJSON reads a bare expression or an object with that and say.
func (e *Expectation) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*e = Expectation{}
		return json.Unmarshal(b, &e.That)
	}
	type plain Expectation
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode((*plain)(e))
}
