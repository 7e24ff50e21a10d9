package manifest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/check"
	"github.com/vedettehq/vedette/internal/expand"
	"github.com/vedettehq/vedette/when"
)

// minInterval is the shortest interval: more than ten looks a second are a load test.
const minInterval = 100 * time.Millisecond

// layered is where a monitor's values come from.
type layered struct {
	own   *node
	stack stack // own, group, defaults
	path  string
}

// at returns the place of a value, else of the nearest thing around it, else of the monitor.
func (l layered) at(path string) pos {
	if n, _ := l.stack.find(path); n != nil {
		return n.at
	}
	return l.own.at
}

// inherited reports whether a value comes from the group or the defaults.
func (l layered) inherited(path string) bool {
	n, whole := l.own.find(path)
	return !whole || n.kind == null
}

// A group is what its monitors inherit.
type group struct {
	node     *node
	settings settings
	probe    vedette.Raw
	windows  []vedette.Window
	fits     map[string]*group // by scheme: without the keys that do not fit
}

// resolved is all monitors with what they inherit.
type resolved struct {
	monitors []vedette.Monitor
	layers   []layered
	groups   map[string]*group
	defaults *node
}

// resolve makes the monitors of the file.
func (d *decoder) resolve(top *node, doc document) *resolved {
	res := &resolved{groups: map[string]*group{}, defaults: top.get("defaults")}
	none := &layered{own: &node{kind: dict}, stack: stack{res.defaults}}
	res.groups[""] = d.group(nil, doc.Defaults, *none, "defaults")
	if n := top.get("groups"); n != nil {
		d.groups(n, doc.Defaults, res)
	}
	n := top.get("monitors")
	if n == nil || n.kind == null {
		return res
	}
	if n.kind != list {
		d.add(n.at, "monitors", fmt.Sprintf("want a list, not %s", n.kind), "begin each monitor with a dash")
	}
	for i, item := range n.items {
		path := fmt.Sprintf("monitors[%d]", i)
		if item.kind == null {
			d.add(item.at, path, emptyItem, "")
			continue
		}
		if item.kind != dict {
			d.add(item.at, path, fmt.Sprintf("want a map with name and url, not %s", item.kind), "")
			continue
		}
		d.monitor(item, path, res)
	}
	d.refer(res)
	return res
}

func (d *decoder) groups(n *node, base settings, res *resolved) {
	if n.kind != dict {
		d.add(n.at, "groups", fmt.Sprintf("want a map from names to settings, not %s", n.kind), "")
	}
	for _, e := range n.keys {
		if strings.HasPrefix(e.key, "x-") {
			continue
		}
		path := join("groups", e.key)
		set := base
		d.value(e.val, reflect.ValueOf(&set).Elem(), path)
		l := layered{own: e.val, stack: stack{e.val, res.defaults}, path: path}
		res.groups[e.key] = d.group(e.val, set, l, path)
	}
}

func (d *decoder) group(n *node, set settings, l layered, path string) *group {
	l.path = path
	d.checkSettings(set, l)
	return &group{
		node: n, settings: set, probe: d.probe(set, l),
		windows: d.windows(set.Maintenance, l, "maintenance"), fits: map[string]*group{},
	}
}

// fit returns g without the keys that say nothing of a look at url: what a group has in common
// need not concern all of its monitors.
func (d *decoder) fit(g *group, url string, l layered) *group {
	scheme, _, _ := strings.Cut(url, "://")
	if known, ok := g.fits[scheme]; ok {
		return known
	}
	fitted := *g
	v := reflect.ValueOf(&fitted.settings).Elem()
	g.fits[scheme] = g
	for _, f := range d.plans.of(v.Type()) {
		if own := v.FieldByIndex(f.index); f.option && !own.IsZero() && !check.Fits(url, f.key) {
			own.SetZero()
			g.fits[scheme] = &fitted
		}
	}
	if g.fits[scheme] == &fitted {
		fitted.probe = d.probe(fitted.settings, l)
	}
	return g.fits[scheme]
}

// probe returns the keys of package check as JSON, or nil if none is set. An empty list of
// warnings is something: it switches the built-in one off.
func (d *decoder) probe(set settings, l layered) vedette.Raw {
	var of any = set.Options
	if set.Warn != nil {
		of = struct {
			check.Options
			Warn []check.Expectation `json:"warn"`
		}{set.Options, set.Warn}
	}
	raw, err := json.Marshal(of)
	if err != nil {
		d.add(l.own.at, l.path, err.Error(), "")
	}
	if string(raw) == "{}" {
		return nil
	}
	return raw
}

// monitor adds one monitor to res.
func (d *decoder) monitor(n *node, path string, res *resolved) {
	g := d.groupOf(n, path, res)
	l := layered{own: n, stack: stack{n, g.node, res.defaults}, path: path}
	url, _ := d.peek(n.get("url"))
	g = d.fit(g, url, l)
	m := monitor{settings: g.settings}
	d.value(n, reflect.ValueOf(&m).Elem(), path)
	if m.Name == "" && !n.has("name") {
		d.add(n.at, path, "the monitor has no name", "give it one with name:")
	}
	if m.URL == "" && !n.has("url") {
		d.add(n.at, path, "the monitor has no url", "say what to look at with url:")
	}
	options := false
	probe, windows := g.probe, g.windows
	for _, e := range n.keys {
		switch f, _ := d.plans.field(reflect.TypeFor[monitor](), e.key); {
		case f.option:
			options = true
		case e.key == "maintenance":
			windows = d.windows(m.Maintenance, l, "maintenance")
		}
	}
	d.checkSettings(m.settings, l)
	if options {
		probe = d.probe(m.settings, l)
	}
	if _, set := l.stack.find("timeout"); !set {
		m.Timeout = min(m.Timeout, m.Interval)
	}
	res.layers = append(res.layers, l)
	res.monitors = append(res.monitors, vedette.Monitor{
		ID: vedette.MonitorID(d.id(m.ID, m.Group, m.Name, l)),
		Meta: vedette.Meta{
			Name: m.Name, Group: m.Group, Labels: m.Labels, Paused: m.Paused, Origin: d.place(n.at),
		},
		URL: m.URL, Interval: m.Interval, Timeout: m.Timeout, RetryInterval: m.RetryInterval,
		Confirm: vedette.Confirm{Down: m.Confirm.Down, Up: m.Confirm.Up},
		Regions: m.Regions, Quorum: d.looking(m.settings, l, m.Name),
		DependsOn: ids(m.DependsOn), Maintenance: windows, Probe: probe,
	})
}

// groupOf returns the group that a monitor names. It need not be declared, but a name that is
// nearly that of one which is was likely meant to be it.
func (d *decoder) groupOf(n *node, path string, res *resolved) *group {
	named := n.get("group")
	name, ok := d.peek(named)
	if g, declared := res.groups[name]; declared || !ok {
		return cmp.Or(g, res.groups[""])
	}
	if fix := didYouMean(name, func(yield func(string) bool) {
		for _, other := range keysOf(res.groups) {
			if other != "" && !yield(other) {
				return
			}
		}
	}); fix != "" {
		d.warn(named.at, join(path, "group"), fmt.Sprintf("no group %s is declared", name), fix)
	}
	return res.groups[""]
}

// peek returns a text before its turn, or false if there is none or something is wrong with it,
// which is told in its turn.
func (d *decoder) peek(n *node) (string, bool) {
	if n == nil || n.kind != scalar {
		return "", false
	}
	text, err := expand.Text(n.text, d.env)
	return text, err == nil
}

func ids(of []string) []vedette.MonitorID {
	if len(of) == 0 {
		return nil
	}
	out := make([]vedette.MonitorID, len(of))
	for i, s := range of {
		out[i] = vedette.MonitorID(s)
	}
	return out
}

// checkSettings finds what is wrong with values that are well-formed.
func (d *decoder) checkSettings(s settings, l layered) {
	for _, x := range [...]struct {
		key string
		val time.Duration
		min time.Duration
	}{{"interval", s.Interval, minInterval}, {"retry_interval", s.RetryInterval, minInterval}, {"timeout", s.Timeout, time.Millisecond}} {
		if x.val < x.min {
			d.add(l.at(x.key), join(l.path, x.key),
				fmt.Sprintf("%s is less than %s", when.FormatDuration(x.val), when.FormatDuration(x.min)), "")
		}
	}
	for _, x := range [...]struct {
		key string
		val int
		min int
	}{{"confirm.down", s.Confirm.Down, 1}, {"confirm.up", s.Confirm.Up, 1}} {
		if x.val < x.min {
			d.add(l.at(x.key), join(l.path, x.key), fmt.Sprintf("%d is less than %d", x.val, x.min), "")
		}
	}
	d.ownRegions(s.Regions, l)
	if _, set := l.stack.find("timeout"); set && s.Timeout > s.Interval && s.Interval >= minInterval {
		key := "timeout"
		if l.inherited(key) && !l.inherited("interval") {
			key = "interval"
		}
		d.warn(l.at(key), join(l.path, key), fmt.Sprintf("the timeout of %s is longer than the interval of %s, so that looks may be missed",
			when.FormatDuration(s.Timeout), when.FormatDuration(s.Interval)), "")
	}
}
