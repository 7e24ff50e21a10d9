package check

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"weak"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/egress"
	"github.com/vedettehq/vedette/rule"
)

// A plan is how to look and what to want: options of one kind of check, compiled. Monitors
// with equal options share one.
type plan struct {
	kind   *kind
	opts   Options
	keys   []string // that were given
	wants  []want   // down when false
	warns  []want   // degraded when false
	family egress.Family
	trust  egress.Trust
	uses   []string // names of costly facts that occur
}

// A want is one compiled thing that a check wants.
type want struct {
	Expanded
	rule *rule.Rule
}

// needs reports whether a fact occurs in what is wanted.
func (p *plan) needs(name string) bool { return slices.Contains(p.uses, name) }

// keepsBody reports whether the whole body must be kept.
func (p *plan) keepsBody() bool { return p.needs("body") || p.needs("json") }

// maxBody is how much of a body is read.
func (p *plan) maxBody() int64 {
	if p.opts.Request.MaxBody > 0 {
		return int64(p.opts.Request.MaxBody)
	}
	return 1 << 20
}

func (p *plan) redirects() int {
	if n := p.opts.Request.FollowRedirects; n != nil {
		return *n
	}
	return 10
}

// plans shares equal plans for as long as somebody holds them.
type plans struct {
	mu   sync.Mutex
	kept map[planKey]weak.Pointer[plan]
}

type planKey struct{ scheme, probe string }

func (p *plans) get(key planKey) *plan {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kept[key].Value()
}

func (p *plans) put(key planKey, made *plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kept == nil {
		p.kept = map[planKey]weak.Pointer[plan]{}
	}
	p.kept[key] = weak.Make(made)
	runtime.AddCleanup(made, p.forget, key)
}

func (p *plans) forget(key planKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kept[key].Value() == nil {
		delete(p.kept, key)
	}
}

// plan returns the plan of kind k with the options raw, and what is wrong with them.
func (c *Checker) plan(k *kind, raw vedette.Raw) (*plan, vedette.Mistakes) {
	key := planKey{k.scheme, string(raw)}
	if p := c.plans.get(key); p != nil {
		return p, nil
	}
	p := &plan{kind: k}
	var mistakes vedette.Mistakes
	p.keys, mistakes = decode(raw, &p.opts)
	mistakes = append(mistakes, p.foreign(c.kinds)...)
	expanded, more := p.opts.expand(k)
	mistakes = append(mistakes, more...)
	mistakes = append(mistakes, p.compile(c.langs[k.scheme], expanded)...)
	mistakes = append(mistakes, c.checkOptions(p)...)
	if len(mistakes) == 0 {
		c.plans.put(key, p)
	}
	return p, mistakes
}

// foreign reports keys that belong to other kinds of check.
func (p *plan) foreign(all []*kind) (mistakes vedette.Mistakes) {
	for _, key := range p.keys {
		if slices.Contains(keysOfAll(), key) || slices.Contains(p.kind.keys, key) {
			continue
		}
		var owners []*kind
		for _, k := range all {
			if slices.Contains(k.keys, key) {
				owners = append(owners, k)
			}
		}
		mistakes = append(mistakes, vedette.Mistake{
			Path: key, Text: fmt.Sprintf("%s checks have no %s", p.kind.scheme, key),
			Fix: "it is for " + schemes(owners),
		})
	}
	return mistakes
}

// compile makes rules of what is wanted.
func (p *plan) compile(lang *rule.Lang, expanded []Expanded) (mistakes vedette.Mistakes) {
	for _, x := range expanded {
		if !slices.Contains(keysOfAll(), rootOf(x.Key)) && !x.Default && !slices.Contains(p.kind.keys, rootOf(x.Key)) {
			continue // reported as foreign
		}
		r, err := lang.Compile(x.That)
		if err != nil {
			mistakes = append(mistakes, ruleMistake(x.Key, err))
			continue
		}
		for _, name := range []string{"body", "json", "ip", "url", "cert"} {
			if costs(r, name) && !p.needs(name) {
				p.uses = append(p.uses, name)
			}
		}
		if x.Warn {
			p.warns = append(p.warns, want{x, r})
		} else {
			p.wants = append(p.wants, want{x, r})
		}
	}
	return mistakes
}

// costs reports whether r uses a fact that is costly to collect. Of a certificate, its days are
// not.
func costs(r *rule.Rule, name string) bool {
	if name != "cert" || !r.Uses(name) {
		return r.Uses(name)
	}
	for _, field := range []string{"subject", "issuer", "sha256", "names"} {
		if strings.Contains(r.String(), field) {
			return true
		}
	}
	return false
}

func ruleMistake(key string, err error) vedette.Mistake {
	m := vedette.Mistake{Path: key, Text: err.Error()}
	if e, ok := err.(*rule.Error); ok { //nolint:errorlint // Compile returns nothing else
		m.Offset, m.Text, m.Fix = e.Offset, e.Text, e.Fix
	}
	return m
}

// rootOf returns the first key of a path.
func rootOf(path string) string {
	for i, c := range path {
		if c == '.' || c == '[' {
			return path[:i]
		}
	}
	return path
}
