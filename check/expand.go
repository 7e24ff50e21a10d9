package check

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/when"
)

// An Expanded is one thing that a check wants, as an expression: what a shorthand stands for,
// or an expectation as it was given.
type Expanded struct {
	Key     string       `json:"key"`  // where it comes from: "status", "pattern[0]", "warn[1]"
	That    string       `json:"that"` // the expression
	Say     string       `json:"say,omitempty"`
	Kind    vedette.Kind `json:"kind"`              // of the failure when it is false
	Warn    bool         `json:"warn,omitempty"`    // false means degraded, not down
	Default bool         `json:"default,omitempty"` // nobody asked for it
	// want says what is wanted where the value alone makes the message: "200-299".
	want string
}

// expander writes down what options want and collects the mistakes in them.
type expander struct {
	opts     *Options
	out      []Expanded
	mistakes vedette.Mistakes
}

func (e *expander) add(key, that string, kind vedette.Kind) {
	e.out = append(e.out, Expanded{Key: key, That: that, Kind: kind})
}

func (e *expander) wrong(path string, offset int, text string) {
	e.mistakes = append(e.mistakes, vedette.Mistake{Path: path, Offset: offset, Text: text})
}

// expand returns all that a check of kind k with these options wants.
func (o *Options) expand(k *kind) ([]Expanded, vedette.Mistakes) {
	e := &expander{opts: o}
	if k.hasStatus() {
		e.status()
	}
	e.patterns("pattern", o.Pattern, "body matches %s")
	e.patterns("not_pattern", o.NotPattern, "not (body matches %s)")
	e.texts("contains", o.Contains, "body contains %s")
	e.texts("not_contains", o.NotContains, "not (body contains %s)")
	e.json()
	for _, name := range slices.Sorted(maps.Keys(o.Header)) {
		e.add("header."+name, fmt.Sprintf("header(%q) == %q", name, o.Header[name]), vedette.KindExpectation)
	}
	if k.scheme == "dns" {
		e.rcode()
	}
	if o.MaxTime > 0 {
		e.add("max_time", fmt.Sprintf("total <= %q", when.FormatDuration(o.MaxTime)), vedette.KindExpectation)
	}
	if o.CertDays > 0 {
		e.add("cert_days", "cert.days >= "+strconv.FormatFloat(o.CertDays, 'f', -1, 64), vedette.KindExpectation)
	}
	e.given("expect", o.Expect, false)
	e.given("warn", o.Warn, true)
	if o.Warn == nil && k.hasTLS() {
		e.out = append(e.out, Expanded{
			Key: "warn", That: "cert.days > 14", Kind: vedette.KindExpectation, Warn: true, Default: true,
		})
	}
	return e.out, e.mistakes
}

func (e *expander) status() {
	items := e.opts.Status
	if len(items) == 0 {
		e.out = append(e.out, Expanded{
			Key: "status", That: "status in 200..299", Kind: vedette.KindStatus, Default: true, want: "200-299",
		})
		return
	}
	var spans []span
	for i, item := range items {
		s, err := parseStatus(item)
		if err != nil {
			e.wrong(fmt.Sprintf("status[%d]", i), 0, err.Error())
			continue
		}
		spans = append(spans, s)
	}
	if len(spans) == len(items) {
		e.out = append(e.out, Expanded{
			Key: "status", That: expression(spans), Kind: vedette.KindStatus, want: strings.Join(items, ", "),
		})
	}
}

func (e *expander) rcode() {
	codes, byDefault := e.opts.Rcode, false
	if len(codes) == 0 {
		codes, byDefault = []string{"NOERROR"}, true
	}
	quoted := make([]string, len(codes))
	for i, c := range codes {
		c = strings.ToUpper(c)
		quoted[i] = strconv.Quote(c)
		if !slices.Contains(rcodes(), c) {
			e.wrong(fmt.Sprintf("rcode[%d]", i), 0, fmt.Sprintf("%q is no response code: there are %s", c, strings.Join(rcodes(), " ")))
		}
	}
	e.out = append(e.out, Expanded{
		Key: "rcode", That: "dns.rcode in [" + strings.Join(quoted, ", ") + "]",
		Kind: vedette.KindStatus, Default: byDefault, want: strings.Join(codes, ", "),
	})
}

func (e *expander) patterns(key string, patterns []string, format string) {
	for i, p := range patterns {
		path := fmt.Sprintf("%s[%d]", key, i)
		if _, err := regexp.Compile(p); err != nil {
			offset, text := 0, err.Error()
			if bad, ok := errors.AsType[*syntax.Error](err); ok {
				offset = max(strings.Index(p, bad.Expr), 0)
				text = fmt.Sprintf("%s: %s", bad.Code, bad.Expr)
			}
			e.wrong(path, offset, text)
			continue
		}
		e.add(path, fmt.Sprintf(format, strconv.Quote(p)), vedette.KindContent)
	}
}

func (e *expander) texts(key string, texts []string, format string) {
	for i, t := range texts {
		e.add(fmt.Sprintf("%s[%d]", key, i), fmt.Sprintf(format, strconv.Quote(t)), vedette.KindContent)
	}
}

func (e *expander) json() {
	for _, path := range slices.Sorted(maps.Keys(e.opts.JSON)) {
		key := "json." + path
		if err := checkPath(path); err != nil {
			e.wrong(key, 0, err.Error())
			continue
		}
		var literal string
		switch v := e.opts.JSON[path].(type) {
		case string:
			literal = strconv.Quote(v)
		case float64:
			literal = strconv.FormatFloat(v, 'f', -1, 64)
		case bool:
			literal = strconv.FormatBool(v)
		case nil:
			literal = "nil"
		default:
			e.wrong(key, 0, "want a text, a number, true, false or null: use expect for lists and objects")
			continue
		}
		e.add(key, fmt.Sprintf("json(%q) == %s", path, literal), vedette.KindContent)
	}
}

func (e *expander) given(key string, list []Expectation, warn bool) {
	for i, x := range list {
		e.out = append(e.out, Expanded{
			Key: fmt.Sprintf("%s[%d]", key, i), That: x.That, Say: x.Say, Kind: vedette.KindExpectation, Warn: warn,
		})
	}
}
