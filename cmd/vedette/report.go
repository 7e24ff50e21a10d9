package main

import (
	"slices"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/demo"
)

// A report is what the self-test prints.
type report struct {
	OK           bool         `json:"ok"`
	Acknowledged int          `json:"acknowledged"`
	Stored       int          `json:"stored"`
	Missed       int64        `json:"missed"`
	Sites        []siteReport `json:"sites"`
}

type siteReport struct {
	Site   string  `json:"site"`
	OK     bool    `json:"ok"`
	Wanted outcome `json:"wanted"`
	Seen   outcome `json:"seen"`
}

type outcome struct {
	States   []vedette.State `json:"states"`
	Kinds    []vedette.Kind  `json:"failure_kinds"`
	HiddenBy []string        `json:"hidden_by"`
}

func (s *scene) report() report {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := report{OK: len(s.acked) > 0 && s.stored == len(s.acked), Acknowledged: len(s.acked), Stored: s.stored, Missed: s.missed}
	for _, name := range s.order {
		one := siteReport{Site: name, Wanted: wantedOf(s.wants[name]), Seen: s.seen(name)}
		one.OK = all(one.Wanted.States, one.Seen.States) && all(one.Wanted.Kinds, one.Seen.Kinds) && all(one.Wanted.HiddenBy, one.Seen.HiddenBy)
		r.OK = r.OK && one.OK
		r.Sites = append(r.Sites, one)
	}
	return r
}

func wantedOf(w demo.Want) outcome {
	o := outcome{States: w.States, Kinds: []vedette.Kind{}, HiddenBy: []string{}}
	if w.Kind != "" {
		o.Kinds = append(o.Kinds, w.Kind)
	}
	if w.Muted != "" {
		o.HiddenBy = append(o.HiddenBy, w.Muted)
	}
	return o
}

func (s *scene) seen(name string) outcome {
	o := outcome{States: []vedette.State{}, Kinds: []vedette.Kind{}, HiddenBy: []string{}}
	for _, one := range s.sites {
		if one.monitor.Name == name {
			o = outcome{States: keys(one.states), Kinds: keys(one.kinds), HiddenBy: keys(one.muted)}
		}
	}
	return o
}

func keys[K ~string](m map[K]bool) []K {
	list := make([]K, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

func all[T comparable](wanted, seen []T) bool {
	for _, w := range wanted {
		if !slices.Contains(seen, w) {
			return false
		}
	}
	return true
}
