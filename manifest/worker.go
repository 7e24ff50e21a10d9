package manifest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Worker says how many jobs to run at once, and of which queues.
type Worker struct {
	Concurrency int
	Queues      []Share // none means the default queue
	// Strict takes of a queue only what those before it do not have.
	Strict bool
}

// A Share is what a queue has of a worker.
type Share struct {
	Queue       string
	Weight      int `json:"weight" doc:"Its share of the starts while there is more than can run. Default: 1."`
	Concurrency int `json:"concurrency" doc:"How many of its jobs to run at once. Default: that of the worker."`
}

// worker is Worker as a section of the file.
type worker struct {
	Concurrency int    `json:"concurrency" doc:"How many jobs to run at once."`
	Queues      shares `json:"queues" doc:"The queues to work on: a list, a map from names to weights, or {strict: [a, b]}."`
}

// shares are the queues of a worker.
type shares struct {
	of     []Share
	strict bool
}

// plain returns the section as those that use it want it.
func (w worker) plain() Worker {
	return Worker{Concurrency: w.Concurrency, Queues: w.Queues.of, Strict: w.Queues.strict}
}

// shares reads a list of names, a map from names to weights, or {strict: [a, b]}.
func (d *decoder) shares(n *node, to *shares, path string) {
	*to = shares{}
	if n.kind != dict {
		to.of = d.sharesOf(n, path)
		return
	}
	strict := n.get("strict")
	if strict != nil && strict.kind == list {
		if len(n.keys) > 1 {
			d.add(n.at, path, "strict stands alone: the order of its list says all", "")
		}
		to.of, to.strict = d.sharesOf(strict, join(path, "strict")), true
		return
	}
	for _, e := range n.keys {
		if !strings.HasPrefix(e.key, "x-") {
			to.of = append(to.of, d.share(e, join(path, e.key)))
		}
	}
}

// sharesOf reads names of queues.
func (d *decoder) sharesOf(n *node, path string) (of []Share) {
	var names []string
	d.value(n, reflect.ValueOf(&names).Elem(), path)
	for i, name := range names {
		at := n.at
		if i < len(n.items) {
			at = n.items[i].at
		}
		if slices.Contains(names[:i], name) {
			d.add(at, fmt.Sprintf("%s[%d]", path, i), name+" is there twice", "")
		}
		d.queueName(name, at, path)
		of = append(of, Share{Queue: name})
	}
	return of
}

func (d *decoder) queueName(name string, at pos, path string) {
	if name != "" && strings.Trim(name, letters) != "" {
		d.add(at, path, fmt.Sprintf("%q is no name of a queue", name), wantQueue)
	}
}

// share reads one queue of the map.
func (d *decoder) share(e entry, path string) Share {
	s := Share{Queue: e.key}
	d.queueName(e.key, e.at, path)
	if e.val.kind == dict {
		d.object(e.val, reflect.ValueOf(&s).Elem(), path, nil)
		s.Queue = e.key
	} else {
		d.value(e.val, reflect.ValueOf(&s.Weight).Elem(), path)
	}
	if s.Weight < 0 || s.Concurrency < 0 {
		d.add(e.val.at, path, "a number below 0", "")
	}
	return s
}
