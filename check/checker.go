package check

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/egress"
	"github.com/vedettehq/vedette/rule"
)

// A Config says how to look. The zero Config is complete.
type Config struct {
	Version string // for the user agent Vedette/VERSION; "" is dev
	// Env looks up the environment variables that secrets name; nil knows none.
	Env func(name string) (value string, ok bool)
	// Forbidden lists networks that no check may reach, whoever wrote its URL.
	Forbidden []netip.Prefix
	Log       *slog.Logger // nil discards
}

// A Checker compiles monitors. It is safe for concurrent use; all checks share it.
type Checker struct {
	agent     string
	secrets   secrets
	log       *slog.Logger
	kinds     []*kind
	langs     map[string]*rule.Lang // by scheme
	plans     plans
	trusts    egress.Trusts
	chains    chains
	inflaters inflaters
	trusted   *egress.Forbidden // what URLs that a file owns must not lead to
	strange   *egress.Forbidden // what others, redirects above all, must not lead to
	runs      sync.Pool
	h2        *http.Transport
	mu        sync.Mutex
	asked     map[string]*net.Resolver // by address
}

var _ vedette.Checker = (*Checker)(nil)

// New returns a Checker.
func New(c Config) (*Checker, error) {
	strange := egress.Metadata().Plus(c.Forbidden...)
	checker := &Checker{
		agent:   "Vedette/" + cmp.Or(c.Version, "dev"),
		secrets: secrets{env: c.Env},
		log:     cmp.Or(c.Log, slog.New(slog.DiscardHandler)),
		kinds:   kinds(),
		langs:   map[string]*rule.Lang{},
		trusted: &egress.Forbidden{Nets: c.Forbidden},
		strange: &strange,
		h2:      newH2(),
		asked:   map[string]*net.Resolver{"": egress.NewResolver("")},
	}
	for _, k := range checker.kinds {
		checker.langs[k.scheme] = language(k, checker.kinds)
	}
	checker.runs.New = func() any { return newRun(checker) }
	return checker, nil
}

// Look compiles m and looks once, within m.Timeout or 10s. The error is
// [vedette.Mistakes]; whatever the look finds is in the Result.
func Look(ctx context.Context, m vedette.Monitor) (vedette.Result, error) {
	c, err := New(Config{})
	if err != nil {
		return vedette.Result{}, err
	}
	look, err := c.Compile(m)
	if err != nil {
		return vedette.Result{}, err
	}
	at := time.Now().UTC().Truncate(time.Microsecond)
	r := look(ctx)
	r.ID, r.Monitor, r.Revision, r.DueAt, r.StartedAt = vedette.NewID(at), m.ID, m.Version, at, at
	return r, nil
}

// Expand returns what a check of m wants, one expression each: the shorthands, what is wanted
// by default, and the expectations. The error is [vedette.Mistakes].
func Expand(m vedette.Monitor) ([]Expanded, error) {
	c, err := New(Config{})
	if err != nil {
		return nil, err
	}
	k, mistake := c.kindOf(m.URL)
	if mistake != nil {
		return nil, vedette.Mistakes{*mistake}
	}
	p, mistakes := c.plan(k, m.Probe)
	if err := mistakes.Err(); err != nil {
		return nil, err
	}
	all := make([]Expanded, 0, len(p.wants)+len(p.warns))
	for _, w := range append(p.wants, p.warns...) {
		all = append(all, w.Expanded)
	}
	return all, nil
}

// Compile returns the check of m, or all that is wrong with m as [vedette.Mistakes].
func (c *Checker) Compile(m vedette.Monitor) (vedette.Check, error) {
	k, mistake := c.kindOf(m.URL)
	if mistake != nil {
		return nil, vedette.Mistakes{*mistake}
	}
	p, mistakes := c.plan(k, m.Probe)
	w := &compiler{Checker: c, plan: p, monitor: m}
	w.target()
	mistakes = append(w.mistakes, mistakes...)
	if m.Timeout < 0 {
		mistakes = append(mistakes, vedette.Mistake{Path: "timeout", Text: "a timeout is not negative"})
	}
	if err := mistakes.Err(); err != nil {
		return nil, err
	}
	if p.opts.IP == "both" {
		return both(w.probe(egress.IP4), w.probe(egress.IP6)), nil
	}
	return w.probe(p.family).look, nil
}

// kindOf returns the kind of check that the scheme of a URL chooses.
func (c *Checker) kindOf(text string) (*kind, *vedette.Mistake) {
	if text == "" {
		return nil, &vedette.Mistake{Path: "url", Text: "a monitor needs a url"}
	}
	scheme, _, ok := strings.Cut(text, "://")
	if !ok {
		return nil, &vedette.Mistake{Path: "url", Text: "the URL has no scheme", Fix: "did you mean https://" + text + "?"}
	}
	names := make([]string, len(c.kinds))
	for i, k := range c.kinds {
		if names[i] = k.scheme; strings.EqualFold(k.scheme, scheme) {
			return k, nil
		}
	}
	return nil, &vedette.Mistake{Path: "url", Text: "unknown scheme " + scheme, Fix: rule.DidYouMean(scheme, names)}
}

// A compiler makes the probe of one monitor.
type compiler struct {
	*Checker
	plan     *plan
	monitor  vedette.Monitor
	url      *url.URL
	to       target
	mistakes vedette.Mistakes
}

// wrong notes a mistake of the URL.
func (w *compiler) wrong(text, fix string) {
	w.mistakes = append(w.mistakes, vedette.Mistake{Path: "url", Text: text, Fix: fix})
}

// target reads the URL.
func (w *compiler) target() {
	u, err := url.Parse(w.monitor.URL)
	if err != nil {
		why := ": " + innermost(err)
		if strings.Contains(w.monitor.URL, "@") {
			why = "" // it might quote a part of a password
		}
		w.wrong("this is no URL"+why, "")
		return
	}
	w.url = u
	k := w.plan.kind
	if k.check != nil {
		k.check(w)
		return
	}
	if w.to, err = newTarget(u, k.port); err != nil {
		w.wrong(err.Error(), "")
	}
	if !k.path && (u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil) {
		w.wrong(k.scheme+" checks go to a host and port only", "want "+k.scheme+"://"+u.Host)
	}
}

func (w *compiler) probe(family egress.Family) *probe {
	m := w.monitor
	deny := w.strange
	if m.Origin != "" {
		deny = w.trusted
	}
	return &probe{
		Checker: w.Checker, plan: w.plan, to: w.to, family: family, deny: deny,
		name: m.Name, group: m.Group, labels: m.Labels, timeout: cmp.Or(m.Timeout, 10*time.Second),
	}
}
