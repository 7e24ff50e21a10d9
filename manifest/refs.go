package manifest

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/vedettehq/vedette"
)

// id returns the id that a thing was given, or one made of its group and name.
func (d *decoder) id(given, group, name string, l layered) string {
	switch {
	case given != "" && (strings.Trim(given, letters+"/:") != "" || len(given) > 200):
		d.add(l.at("id"), join(l.path, "id"), fmt.Sprintf("%q is no id", given), "use up to 200 letters, digits and - _ . / :")
	case given == "" && slug(name) == "" && name != "":
		d.add(l.at("name"), join(l.path, "name"), fmt.Sprintf("no id can be made of %q", name), "give it one with id:")
	}
	return cmp.Or(given, string(ID(group, name)))
}

// slug writes a name with a-z, 0-9 and single dashes between.
func slug(name string) string {
	var out strings.Builder
	gap := false
	for _, c := range strings.ToLower(name) {
		if c < '0' || c > '9' && c < 'a' || c > 'z' {
			gap = true
			continue
		}
		if gap && out.Len() > 0 {
			out.WriteByte('-')
		}
		gap = false
		out.WriteRune(c)
	}
	return out.String()
}

// maxGuesses bounds for how many unknown names a likely one is looked for among all.
const maxGuesses = 50

// An index finds monitors by what people call them.
type index struct {
	byID   map[vedette.MonitorID]int
	byName map[string][]int
	left   int // guesses
}

// refer makes ids unique and turns the names in depends_on into ids.
func (d *decoder) refer(res *resolved) {
	ix := &index{byID: map[vedette.MonitorID]int{}, byName: map[string][]int{}, left: maxGuesses}
	for i, m := range res.monitors {
		if first, taken := ix.byID[m.ID]; taken && m.ID != "" {
			d.taken(string(m.ID), res.monitors[first].Name, m.Name, res.layers[first], res.layers[i])
			continue
		}
		ix.byID[m.ID] = i
		ix.byName[m.Name] = append(ix.byName[m.Name], i)
	}
	for i := range res.monitors {
		d.parents(res, ix, i)
	}
	d.cycles(res, ix)
}

// taken reports a thing of this name with the id of an earlier one.
func (d *decoder) taken(id, firstName, name string, first, l layered) {
	key := "id"
	if l.own.get(key) == nil {
		key = "name"
	}
	text := fmt.Sprintf("the id %s is that of %q at %s", id, firstName, d.place(first.at(key)))
	if firstName == name && key == "name" {
		text = fmt.Sprintf("the name %q is there twice in this group: first at %s", name, d.place(first.at(key)))
	}
	d.add(l.at(key), join(l.path, key), text, "give one of them another "+key)
}

func (d *decoder) parents(res *resolved, ix *index, i int) {
	m, l := &res.monitors[i], res.layers[i]
	if len(m.DependsOn) == 0 {
		return
	}
	// The list may be shared with the group.
	known := make([]vedette.MonitorID, 0, len(m.DependsOn))
	for k, named := range m.DependsOn {
		if named == "" {
			continue // it was no name, which is told already
		}
		path := fmt.Sprintf("depends_on[%d]", k)
		id, text, fix := ix.find(res, string(named))
		if text != "" {
			d.add(l.at(path), join(l.path, path), text, fix)
			continue
		}
		if id == m.ID && l.inherited("depends_on") {
			continue // a group that depends on one of its own
		}
		if !slices.Contains(known, id) {
			known = append(known, id)
		}
	}
	m.DependsOn = known
	if len(known) == 0 {
		m.DependsOn = nil
	}
}

// find returns the monitor that is called so, or says what is wrong.
func (ix *index) find(res *resolved, name string) (id vedette.MonitorID, text, fix string) {
	if _, ok := ix.byID[vedette.MonitorID(name)]; ok {
		return vedette.MonitorID(name), "", ""
	}
	called := ix.byName[name]
	switch len(called) {
	case 1:
		return res.monitors[called[0]].ID, "", ""
	case 0:
		if ix.left--; ix.left >= 0 {
			fix = didYouMean(name, ix.words())
		}
		return "", fmt.Sprintf("there is no monitor %q", name), fix
	}
	all := make([]string, 0, len(called))
	for _, i := range called[:min(len(called), 5)] {
		all = append(all, string(res.monitors[i].ID))
	}
	return "", fmt.Sprintf("%d monitors have the name %q", len(called), name), "name one by its id: " + strings.Join(all, ", ")
}

func (ix *index) words() iter.Seq[string] {
	words := slices.Sorted(maps.Keys(ix.byName))
	for id := range ix.byID {
		words = append(words, string(id))
	}
	slices.Sort(words)
	return slices.Values(slices.Compact(words))
}

// cycles reports each chain of monitors that depend on themselves.
func (d *decoder) cycles(res *resolved, ix *index) {
	const (
		unseen = iota
		open
		done
	)
	state := make([]uint8, len(res.monitors))
	var chain []int
	var visit func(i int)
	visit = func(i int) {
		state[i] = open
		chain = append(chain, i)
		for _, id := range res.monitors[i].DependsOn {
			parent := ix.byID[id]
			switch state[parent] {
			case unseen:
				visit(parent)
			case open:
				d.cycle(res, append(slices.Clone(chain[slices.Index(chain, parent):]), parent))
			}
		}
		chain = chain[:len(chain)-1]
		state[i] = done
	}
	for i := range res.monitors {
		if state[i] == unseen {
			visit(i)
		}
	}
}

func (d *decoder) cycle(res *resolved, chain []int) {
	words := make([]string, len(chain))
	for i, m := range chain {
		words[i] = string(res.monitors[m].ID)
	}
	first := res.layers[chain[0]]
	d.add(first.at("depends_on"), join(first.path, "depends_on"), "a cycle: "+strings.Join(words, " -> "), "remove one of these")
}
